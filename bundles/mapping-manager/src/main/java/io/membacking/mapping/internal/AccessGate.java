package io.membacking.mapping.internal;

import io.membacking.mapping.MappingManager;
import io.membacking.range.MemoryRange;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.List;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Where readers and changes of one guest's memory meet: the snapshot that is in force, the transition under way, and who waits for
 * its end. Readers load the snapshot and nothing else; the lock is for who changes it and for readers that found a transition.
 */
final class AccessGate {
    private static final VarHandle SNAPSHOT;

    static {
        try {
            SNAPSHOT = MethodHandles.lookup().findVarHandle(AccessGate.class, "snapshot", Snapshot.class);
        } catch (ReflectiveOperationException e) {
            throw new LinkageError("no handle on a field of this class", e);
        }
    }

    private final String guest;
    private final Epochs epochs;
    private final Snapshot nothing;

    @SuppressWarnings({"FieldMayBeFinal", "UnusedVariable"}) // used through the handle
    private Snapshot snapshot;

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    /** What follows is guarded by the lock. */
    private @Nullable Thread committing;

    private Snapshot before;
    private boolean closed;
    private long transitions;
    private long drainNanos;
    private long waits;

    /** @param size bytes of the VA space */
    AccessGate(String guest, long size, Epochs epochs) {
        this.guest = guest;
        this.epochs = epochs;
        this.nothing = Snapshot.empty(size);
        this.snapshot = nothing;
        this.before = nothing;
    }

    /** What is in force, pieces in transition included. From inside a section: what was in force at some moment since it began. */
    Snapshot snapshot() {
        return (Snapshot) SNAPSHOT.getAcquire(this);
    }

    /** What was in force before the transition under way, or is, if there is none. */
    Snapshot settled() {
        lock.lock();
        try {
            return before;
        } finally {
            lock.unlock();
        }
    }

    /**
     * Puts pieces in transition and waits for the readers inside, if any could be in them.
     *
     * @return whether they left in time; if not, all is as it was and there is no transition
     * @throws IllegalStateException if closed, or a transition is under way
     */
    boolean begin(List<MemoryRange> pieces, long nanos) {
        boolean visible = false;
        lock.lock();
        try {
            requireOpen();
            if (committing != null) {
                throw new IllegalStateException("guest '" + guest + "' has a transition under way already");
            }
            Snapshot.Edit edit = before.edit();
            for (MemoryRange piece : pieces) {
                visible |= before.anyAtLeast(piece, Snapshot.READ);
                edit.set(piece, Snapshot.TRANSITION);
            }
            if (!pieces.isEmpty()) {
                SNAPSHOT.setVolatile(this, edit.done());
            }
            committing = Thread.currentThread();
            transitions++;
        } finally {
            lock.unlock();
        }
        if (!visible) {
            return true; // whoever is inside is elsewhere: what no snapshot shows was drained when it went
        }
        boolean drained = false;
        long start = System.nanoTime();
        try {
            drained = epochs.drain(nanos);
        } finally {
            long spent = System.nanoTime() - start;
            lock.lock();
            try {
                drainNanos += spent;
                if (!drained) {
                    end(before);
                }
            } finally {
                lock.unlock();
            }
        }
        return drained;
    }

    /** Ends the transition with a new snapshot, and lets go who waited. After close it does nothing. */
    void end(Snapshot next) {
        lock.lock();
        try {
            committing = null;
            if (!closed) {
                before = next;
                SNAPSHOT.setVolatile(this, next);
            }
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /** Shows nothing from now on, and says closed to who waits. @return false if it was closed already */
    boolean close() {
        lock.lock();
        try {
            if (closed) {
                return false;
            }
            closed = true;
            before = nothing;
            SNAPSHOT.setVolatile(this, nothing);
            changed.signalAll();
            return true;
        } finally {
            lock.unlock();
        }
    }

    /**
     * For a reader, outside, that found a page in transition: waits until no transition has it, which is when the answer is known.
     *
     * @throws IllegalStateException if closed, or on the thread that is to end the transition
     */
    void awaitEnd(long gpa) {
        lock.lock();
        try {
            boolean counted = false;
            while (!closed && snapshot().state(gpa) == Snapshot.TRANSITION) {
                if (committing == Thread.currentThread()) {
                    throw new IllegalStateException("guest '" + guest + "': 0x" + Long.toHexString(gpa)
                            + " is being changed by this very thread; access it after the commit");
                }
                if (!counted) {
                    counted = true;
                    waits++;
                }
                changed.awaitUninterruptibly();
            }
            requireOpen();
        } finally {
            lock.unlock();
        }
    }

    /** @throws IllegalStateException if closed */
    void requireOpen() {
        lock.lock();
        try {
            if (closed) {
                throw new IllegalStateException("the memory of guest '" + guest + "' is closed");
            }
        } finally {
            lock.unlock();
        }
    }

    MappingManager.Counters counters() {
        lock.lock();
        try {
            return new MappingManager.Counters(transitions, drainNanos, waits);
        } finally {
            lock.unlock();
        }
    }
}
