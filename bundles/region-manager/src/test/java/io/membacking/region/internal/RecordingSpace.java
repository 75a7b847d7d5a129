package io.membacking.region.internal;

import io.membacking.access.GuestMemory;
import io.membacking.error.HostMappingException;
import io.membacking.host.Backing;
import io.membacking.mapping.AccessPiece;
import io.membacking.mapping.AccessPiece.Access;
import io.membacking.mapping.HeldMemory;
import io.membacking.range.MemoryRange;
import java.lang.reflect.Proxy;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.LongConsumer;

/**
 * A VA space page by page, which refuses what the contract forbids and fails where it is told to. If it does not replace in place,
 * it is like Windows's: what was mapped by one call goes as a whole when a part of it is replaced.
 */
final class RecordingSpace implements TestSpace {
    static final long BASE = 0x7f0000000000L;

    private final Faults faults;
    private final long size;
    private final boolean replacesInPlace;
    private final TreeMap<Long, HeldMemory> pages = new TreeMap<>();
    private final TreeMap<Long, Access> access = new TreeMap<>();
    private final List<MemoryRange> locked = new ArrayList<>();
    private final GuestMemory memory = (GuestMemory) Proxy.newProxyInstance(
            getClass().getClassLoader(), new Class<?>[] {GuestMemory.class}, (proxy, method, args) -> {
                if (method.getName().equals("equals")) {
                    return proxy == args[0];
                }
                if (method.getName().equals("hashCode")) {
                    return 1;
                }
                throw new UnsupportedOperationException(method.getName());
            });
    private final TreeMap<Long, MemoryRange> views = new TreeMap<>();
    private LongConsumer onDisturbed = gpa -> {};
    private List<MemoryRange> transition;
    private boolean closed;
    private long transitions;

    RecordingSpace(Faults faults, long size, boolean replacesInPlace) {
        this.faults = faults;
        this.size = size;
        this.replacesInPlace = replacesInPlace;
    }

    @Override
    public HeldMemory page(long gpa) {
        return pages.get(gpa);
    }

    @Override
    public boolean inTransition() {
        return transition != null;
    }

    boolean isClosed() {
        return closed;
    }

    @Override
    public boolean isLocked(long gpa) {
        return locked.stream().anyMatch(range -> range.contains(gpa));
    }

    /** Told of each page that stays and is inaccessible for a moment. */
    void onDisturbed(LongConsumer observer) {
        onDisturbed = observer;
    }

    @Override
    public MemoryRange disturbed(MemoryRange range) {
        MemoryRange all = range;
        for (MemoryRange view : views.values()) {
            if (view.overlaps(range)) {
                all = new MemoryRange(Math.min(all.start(), view.start()), Math.max(all.end(), view.end()));
            }
        }
        return all;
    }

    private void cutViews(MemoryRange range) {
        if (replacesInPlace) {
            return;
        }
        for (MemoryRange beside : disturbed(range).minus(range)) {
            pages(beside).stream().filter(pages::containsKey).forEach(gpa -> {
                checkDrained(gpa);
                onDisturbed.accept(gpa);
            });
        }
        for (MemoryRange view : List.copyOf(views.values())) {
            if (view.overlaps(range)) {
                views.remove(view.start());
                view.minus(range).forEach(rest -> views.put(rest.start(), rest));
            }
        }
        views.put(range.start(), range);
    }

    /** Something drifts: the operating system's doing. */
    void lose(long gpa) {
        pages.remove(gpa);
    }

    @Override
    public String guest() {
        return "test";
    }

    @Override
    public long size() {
        return size;
    }

    @Override
    public long base() {
        return BASE;
    }

    @Override
    public boolean replacesInPlace() {
        return replacesInPlace;
    }

    @Override
    public GuestMemory memory() {
        return memory;
    }

    @Override
    public Transition begin(List<MemoryRange> pieces, Duration deadline) throws HostMappingException {
        if (transition != null) {
            throw faults.violated("a transition is open");
        }
        if (faults.fails("begin")) {
            throw new HostMappingException(Faults.failure("begin"));
        }
        transition = List.copyOf(pieces);
        transitions++;
        return new Transition() {
            private boolean ended;

            @Override
            public void publish(List<AccessPiece> changed) {
                end();
                for (AccessPiece piece : changed) {
                    pages(piece.range()).forEach(gpa -> {
                        Access before = access.getOrDefault(gpa, Access.NONE);
                        boolean drained = pieces.stream().anyMatch(range -> range.contains(gpa));
                        if (piece.access().compareTo(before) < 0 && !drained) {
                            throw faults.violated("readers of 0x" + Long.toHexString(gpa) + " lose access undrained");
                        }
                        access.put(gpa, piece.access());
                    });
                }
                access.forEach((gpa, may) -> {
                    if (may != Access.NONE && !pages.containsKey(gpa)) {
                        throw faults.violated(
                                "readers are let onto 0x" + Long.toHexString(gpa) + ", which holds nothing");
                    }
                });
                access.values().removeIf(may -> may == Access.NONE);
                faults.changed();
            }

            @Override
            public void abandon() {
                end();
            }

            private void end() {
                if (ended) {
                    throw faults.violated("the transition has ended");
                }
                ended = true;
                transition = null;
            }
        };
    }

    @Override
    public void map(MemoryRange range, Backing backing, long backingOffset) throws HostMappingException {
        if (faults.fails("va map " + range)) {
            throw new HostMappingException(Faults.failure("va map"));
        }
        checkChangeable(range);
        cutViews(range);
        pages(range)
                .forEach(gpa -> pages.put(
                        gpa,
                        new HeldMemory(
                                MemoryRange.ofLength(gpa, 4096), backing.id(), backingOffset + gpa - range.start())));
        faults.changed();
    }

    @Override
    public void release(MemoryRange range) {
        faults.called("va release " + range);
        checkChangeable(range);
        pages(range).forEach(pages::remove);
        faults.changed();
    }

    private void checkChangeable(MemoryRange range) {
        pages(range).forEach(gpa -> {
            checkDrained(gpa);
            if (isLocked(gpa)) {
                throw faults.violated("0x" + Long.toHexString(gpa) + " changes while it is locked");
            }
        });
    }

    private void checkDrained(long gpa) {
        boolean drained = transition != null && transition.stream().anyMatch(piece -> piece.contains(gpa));
        if (access.getOrDefault(gpa, Access.NONE) != Access.NONE && !drained) {
            throw faults.violated("0x" + Long.toHexString(gpa) + " changes under its readers");
        }
    }

    @Override
    public void prefetch(MemoryRange range) throws HostMappingException {
        if (faults.fails("va prefetch " + range)) {
            throw new HostMappingException(Faults.failure("va prefetch"));
        }
    }

    @Override
    public void lock(MemoryRange range) throws HostMappingException {
        if (faults.fails("va lock " + range)) {
            throw new HostMappingException(Faults.failure("va lock"));
        }
        locked.add(range);
    }

    @Override
    public void unlock(MemoryRange range) {
        List<MemoryRange> rest = Pieces.subtract(Pieces.union(locked), List.of(range));
        locked.clear();
        locked.addAll(rest);
    }

    @Override
    public List<HeldMemory> held() {
        return Pieces.joined(List.copyOf(pages.values()));
    }

    @Override
    public List<HeldMemory> observe() {
        return held();
    }

    @Override
    public List<AccessPiece> snapshot() {
        List<AccessPiece> pieces = new ArrayList<>();
        for (Map.Entry<Long, Access> page : access.entrySet()) {
            AccessPiece last = pieces.isEmpty() ? null : pieces.get(pieces.size() - 1);
            if (last != null && last.range().end() == page.getKey() && last.access() == page.getValue()) {
                pieces.set(
                        pieces.size() - 1,
                        new AccessPiece(new MemoryRange(last.range().start(), page.getKey() + 4096), last.access()));
            } else {
                pieces.add(new AccessPiece(MemoryRange.ofLength(page.getKey(), 4096), page.getValue()));
            }
        }
        return pieces;
    }

    @Override
    public Counters counters() {
        return new Counters(transitions, 0, 0);
    }

    @Override
    public void close() {
        closed = true;
    }

    private static List<Long> pages(MemoryRange range) {
        List<Long> all = new ArrayList<>();
        for (long gpa = range.start(); gpa != range.end(); gpa += 4096) {
            all.add(gpa);
        }
        return all;
    }
}
