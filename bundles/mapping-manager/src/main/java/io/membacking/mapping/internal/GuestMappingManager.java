package io.membacking.mapping.internal;

import io.membacking.access.GuestMemory;
import io.membacking.error.Failure;
import io.membacking.error.HostMappingException;
import io.membacking.host.AddressReservation;
import io.membacking.host.Backing;
import io.membacking.host.BackingKind;
import io.membacking.host.HostMemory;
import io.membacking.host.HostPiece;
import io.membacking.mapping.AccessPiece;
import io.membacking.mapping.HeldMemory;
import io.membacking.mapping.MappingManager;
import io.membacking.range.MemoryRange;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;

/**
 * One guest's VA space: the reservation, the book of what it holds, and the gate that its readers pass.
 *
 * <p>It does not trust its caller with the life of the JVM: memory that readers can see is neither replaced nor released, what is
 * not held is never shown, and access is narrowed in a transition alone. Breaking that is an {@link IllegalStateException} here
 * instead of a fault there.
 */
final class GuestMappingManager implements MappingManager {
    /**
     * How long close waits for readers, nanoseconds. They are inside for microseconds; one that is not out by then is stopped in a
     * debugger, and the VA space is left to it.
     */
    private static final long CLOSE_NANOS = Duration.ofSeconds(30).toNanos();

    private final String guest;
    private final boolean replacesInPlace;
    private final long size;
    private final long base;
    final Epochs epochs;
    final AccessGate gate;
    private final GuestMemory memory;
    private final Consumer<MappingManager> onClose;

    /** Serialises what is done to the reservation, close included. */
    private final ReentrantLock lock = new ReentrantLock();

    private final AddressReservation reservation;
    private final Holdings holdings = new Holdings();
    private final Set<Long> privateBackings = new HashSet<>();

    /** @param onClose called once when closing begins, by the thread that closes, which holds no lock then */
    GuestMappingManager(
            String guest,
            HostMemory host,
            AddressReservation reservation,
            Epochs epochs,
            Consumer<MappingManager> onClose) {
        this.guest = guest;
        this.replacesInPlace = host.capabilities().replacesInPlace();
        this.reservation = reservation;
        this.size = reservation.size();
        this.base = reservation.base();
        this.epochs = epochs;
        this.gate = new AccessGate(guest, size, epochs);
        this.memory = new AnyThreadMemory(gate, epochs, base);
        this.onClose = onClose;
    }

    @Override
    public String guest() {
        return guest;
    }

    @Override
    public long size() {
        return size;
    }

    @Override
    public long base() {
        gate.requireOpen();
        return base;
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
        List<MemoryRange> copy = List.copyOf(pieces);
        copy.forEach(this::requireInside);
        if (!gate.begin(copy, deadline.toNanos())) {
            throw new HostMappingException(Failure.of(
                    "wait for readers of guest '" + guest + "'",
                    copy.get(0),
                    "some were still inside " + copy + " after " + deadline.toMillis() + " ms",
                    "nothing has changed; try again, or with a longer deadline"));
        }
        return new GateTransition(copy);
    }

    @Override
    public MemoryRange disturbed(MemoryRange range) {
        requireInside(range);
        lock.lock();
        try {
            gate.requireOpen();
            return reservation.disturbed(range);
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void map(MemoryRange range, Backing backing, long backingOffset) throws HostMappingException {
        requireInside(range);
        lock.lock();
        try {
            gate.requireOpen();
            requireUnseen("map", reservation.disturbed(range));
            reservation.map(range, backing, backingOffset);
            if (backing.kind() == BackingKind.PRIVATE) {
                privateBackings.add(backing.id());
            }
            holdings.put(range, backing.id(), backingOffset);
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void release(MemoryRange range) {
        requireInside(range);
        lock.lock();
        try {
            requireUnseen("release", range);
            holdings.remove(range);
            reservation.release(range);
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void prefetch(MemoryRange range) throws HostMappingException {
        requireInside(range);
        lock.lock();
        try {
            gate.requireOpen();
            reservation.prefetch(range);
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void lock(MemoryRange range) throws HostMappingException {
        requireInside(range);
        lock.lock();
        try {
            gate.requireOpen();
            reservation.lock(range);
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void unlock(MemoryRange range) {
        requireInside(range);
        lock.lock();
        try {
            gate.requireOpen();
            reservation.unlock(range);
        } finally {
            lock.unlock();
        }
    }

    @Override
    public List<HeldMemory> held() {
        gate.requireOpen();
        return holdings.list();
    }

    @Override
    public List<HeldMemory> observe() {
        lock.lock();
        try {
            gate.requireOpen();
            Holdings observed = new Holdings();
            for (HostPiece piece : reservation.observe()) {
                if (!privateBackings.contains(piece.backing())) {
                    observed.put(piece.offsets(), piece.backing(), piece.backingOffset());
                } else { // the host knows no offsets in private memory: the book's, where it has this backing there
                    for (HeldMemory held : holdings.list()) {
                        if (held.backing() == piece.backing()) {
                            held.range()
                                    .intersection(piece.offsets())
                                    .ifPresent(part -> observed.put(
                                            part,
                                            held.backing(),
                                            held.backingOffset()
                                                    + part.start()
                                                    - held.range().start()));
                        }
                    }
                    for (MemoryRange unknown : observed.gaps(piece.offsets())) {
                        observed.put(unknown, piece.backing(), 0);
                    }
                }
            }
            return observed.list();
        } finally {
            lock.unlock();
        }
    }

    @Override
    public List<AccessPiece> snapshot() {
        gate.requireOpen();
        return gate.settled().pieces();
    }

    @Override
    public Counters counters() {
        return gate.counters();
    }

    @Override
    public void close() {
        if (!gate.close()) {
            return;
        }
        onClose.accept(this);
        boolean drained = drainForGood();
        lock.lock();
        try {
            if (drained) {
                reservation.close();
            } else {
                System.getLogger(GuestMappingManager.class.getName())
                        .log(
                                System.Logger.Level.ERROR,
                                "a thread is still inside the memory of guest ''{0}'': its {1} bytes of address space are not given back",
                                guest,
                                Long.toString(size));
            }
        } finally {
            lock.unlock();
        }
    }

    private boolean drainForGood() {
        try {
            return epochs.drain(CLOSE_NANOS);
        } catch (RuntimeException e) {
            return false; // a host that was closed before its users has no barrier any more, nor the reservation
        }
    }

    @Override
    public String toString() {
        return "mapping manager of guest '" + guest + "'";
    }

    private void requireInside(MemoryRange range) {
        if (Long.compareUnsigned(range.end(), size) > 0) {
            throw new IllegalArgumentException("range " + range + " lies outside the VA space of guest '" + guest
                    + "', which ends at 0x" + Long.toHexString(size));
        }
    }

    /** A reader could fault in it, or write to what takes its place. */
    private void requireUnseen(String operation, MemoryRange range) {
        gate.requireOpen();
        if (gate.snapshot().anyAtLeast(range, Snapshot.READ)) {
            throw new IllegalStateException(operation + " at " + range + " of guest '" + guest
                    + "': readers can see part of it; open a transition for that part first");
        }
    }

    private final class GateTransition implements Transition {
        private final List<MemoryRange> pieces;
        private boolean ended;

        private GateTransition(List<MemoryRange> pieces) {
            this.pieces = pieces;
        }

        @Override
        public void publish(List<AccessPiece> changed) {
            requireOngoing();
            Snapshot before = gate.settled();
            Snapshot during = gate.snapshot();
            Snapshot.Edit edit = before.edit();
            for (AccessPiece piece : changed) {
                requireInside(piece.range());
                requirePublishable(piece, during);
                edit.set(piece.range(), Snapshot.stateOf(piece.access()));
            }
            ended = true;
            gate.end(edit.done());
        }

        @Override
        public void abandon() {
            requireOngoing();
            ended = true;
            // What an undo could not bring back is not shown again.
            Snapshot.Edit edit = gate.settled().edit();
            for (MemoryRange piece : pieces) {
                holdings.gaps(piece).forEach(gap -> edit.set(gap, Snapshot.NONE));
            }
            gate.end(edit.done());
        }

        private void requireOngoing() {
            if (ended) {
                throw new IllegalStateException("this transition has ended");
            }
        }

        private void requirePublishable(AccessPiece piece, Snapshot during) {
            byte least = Snapshot.stateOf(piece.access());
            if (during.anyAtLeast(piece.range(), (byte) (Math.max(least, Snapshot.TRANSITION) + 1))) {
                throw new IllegalStateException("access at " + piece.range() + " of guest '" + guest
                        + "' is narrowed to " + piece.access() + " outside a transition");
            }
            if (least >= Snapshot.READ && !holdings.gaps(piece.range()).isEmpty()) {
                throw new IllegalStateException("access to " + piece.range() + " of guest '" + guest
                        + "' cannot be shown: the VA space holds nothing at " + holdings.gaps(piece.range()));
            }
        }
    }
}
