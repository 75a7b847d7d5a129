package io.membacking.region.internal;

import io.membacking.access.GuestMemory;
import io.membacking.error.HostMappingException;
import io.membacking.host.Backing;
import io.membacking.mapping.AccessPiece;
import io.membacking.mapping.HeldMemory;
import io.membacking.mapping.MappingManager;
import io.membacking.range.MemoryRange;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** A real VA space that fails where it is told to, before anything is done. */
final class FaultySpace implements TestSpace {
    private final Faults faults;
    private final MappingManager real;
    private final List<MemoryRange> locked = new ArrayList<>();
    private boolean inTransition;
    private List<HeldMemory> observed; // null once something changed: asking reads all of /proc/self/maps

    FaultySpace(Faults faults, MappingManager real) {
        this.faults = faults;
        this.real = real;
    }

    @Override
    public HeldMemory page(long gpa) {
        MemoryRange page = MemoryRange.ofLength(gpa, 4096);
        if (observed == null) {
            observed = real.observe();
        }
        return observed.stream()
                .filter(memory -> memory.range().overlaps(page))
                .map(memory -> Pieces.clip(memory, page))
                .findFirst()
                .orElse(null);
    }

    @Override
    public boolean isLocked(long gpa) {
        return locked.stream().anyMatch(range -> range.contains(gpa));
    }

    @Override
    public boolean inTransition() {
        return inTransition;
    }

    @Override
    public String guest() {
        return real.guest();
    }

    @Override
    public long size() {
        return real.size();
    }

    @Override
    public long base() {
        return real.base();
    }

    @Override
    public boolean replacesInPlace() {
        return real.replacesInPlace();
    }

    @Override
    public GuestMemory memory() {
        return real.memory();
    }

    @Override
    public Transition begin(List<MemoryRange> pieces, Duration deadline) throws HostMappingException {
        if (faults.fails("begin")) {
            throw new HostMappingException(Faults.failure("begin"));
        }
        Transition transition = real.begin(pieces, deadline);
        inTransition = true;
        return new Transition() {
            @Override
            public void publish(List<AccessPiece> changed) {
                inTransition = false;
                transition.publish(changed);
            }

            @Override
            public void abandon() {
                inTransition = false;
                transition.abandon();
            }
        };
    }

    @Override
    public void map(MemoryRange range, Backing backing, long backingOffset) throws HostMappingException {
        if (faults.fails("va map " + range)) {
            throw new HostMappingException(Faults.failure("va map"));
        }
        real.map(range, backing, backingOffset);
        observed = null;
        faults.changed();
    }

    @Override
    public void release(MemoryRange range) {
        faults.called("va release " + range);
        real.release(range);
        observed = null;
        faults.changed();
    }

    @Override
    public void prefetch(MemoryRange range) throws HostMappingException {
        if (faults.fails("va prefetch " + range)) {
            throw new HostMappingException(Faults.failure("va prefetch"));
        }
        real.prefetch(range);
    }

    @Override
    public void lock(MemoryRange range) throws HostMappingException {
        if (faults.fails("va lock " + range)) {
            throw new HostMappingException(Faults.failure("va lock"));
        }
        real.lock(range);
        locked.add(range);
    }

    @Override
    public void unlock(MemoryRange range) {
        real.unlock(range);
        List<MemoryRange> rest = Pieces.subtract(Pieces.union(locked), List.of(range));
        locked.clear();
        locked.addAll(rest);
    }

    @Override
    public List<HeldMemory> held() {
        return real.held();
    }

    @Override
    public List<HeldMemory> observe() {
        return real.observe();
    }

    @Override
    public List<AccessPiece> snapshot() {
        return real.snapshot();
    }

    @Override
    public Counters counters() {
        return real.counters();
    }

    @Override
    public void close() {
        real.close();
    }
}
