package io.membacking.mapping.internal;

import io.membacking.host.HostMemory;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.invoke.VarHandle;
import java.lang.ref.WeakReference;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Who is inside a guest's memory now. Each thread announces itself in a slot of its own: zero while it is outside, the epoch in
 * which it came while it is inside (virtual threads share a few: {@link SharedSlots}). A change publishes a snapshot, begins a new
 * epoch and then waits until every slot of an older one has moved: whoever is inside afterwards has seen the new snapshot.
 *
 * <p>Why it holds. Reader: load epoch, store slot, <i>fence</i>, load snapshot. Changer: store snapshot, advance epoch,
 * <i>fence</i>, load slots. Who is found in the new epoch loaded it before the snapshot, and so sees the snapshot that was stored
 * before it. For everyone else, with a full fence on both sides either the changer sees the slot or the reader the snapshot; a
 * reader that was stopped between its first load and its store, however long, is no different. Where the host has a barrier for all
 * threads of the process, the changer's fence is a full one on behalf of every reader, and the reader's may be one for the compiler
 * alone: its acquire fence keeps the loads that follow behind it, and HotSpot (17 and 25, x86-64 and aarch64) moves no store across
 * it either; the Java memory model does not promise the latter, hence the full fence where the barrier is missing. The release store
 * at the end keeps every touch before it, and the changer's acquire load of it orders the change after the touch. A plain store
 * would not do: the compiler has been seen to move it above the touch.
 *
 * <p>The epoch is one for all and changes seldom. A number counted up in each slot would do as well, but then every access would
 * wait for the store of the one before.
 *
 * <p>A slot is a {@code long[]} and not a class of ours, since it stays in a host thread's ThreadLocal after this bundle has gone
 * and would keep its class loader alive. It is padded, so that neighbours in memory do not share its cache lines.
 */
class Epochs {
    private static final VarHandle SLOT = MethodHandles.arrayElementVarHandle(long[].class);
    private static final VarHandle CURRENT = findCurrent();
    private static final @Nullable MethodHandle IS_VIRTUAL = findIsVirtual();
    private static final int PADDING = 16;
    private static final int HERE = PADDING;
    private static final int SLOT_LENGTH = 2 * PADDING + 1;
    /** Epochs are positive. */
    private static final long OUTSIDE = 0;
    /** The slot was given back. */
    private static final long RETIRED = -1;

    private static final int SPINS = 200;
    private static final int YIELDS = 1000;
    private static final long PARK_NANOS = 50_000;

    private final HostMemory host;
    /** The readers' side of the bargain: whether they fence for themselves. */
    private final boolean fenced;

    /** Of this guest alone, so that no guest's readers hold up another's changes. */
    @SuppressWarnings("ThreadLocalUsage")
    private final ThreadLocal<long[]> threadSlot = new ThreadLocal<>();

    /** Counted up by each change after it published its snapshot. */
    @SuppressWarnings({"FieldMayBeFinal", "UnusedVariable"}) // read and written through the handle
    private long current = 1;

    private final SharedSlots shared = new SharedSlots();
    /** Guarded by itself. */
    private final List<WeakReference<long[]>> slots = new ArrayList<>();

    private int pruneAt = 64;

    Epochs(HostMemory host) {
        this.host = host;
        this.fenced = !host.hasProcessBarrier();
        leave(newSlot(), enter(newSlot())); // links the var handles now, not inside a section
    }

    /** The calling thread's slot, or one that it shares with others. */
    long[] slotOfThread() {
        long[] slot = threadSlot.get();
        return slot != null ? slot : adoptThread();
    }

    private long[] adoptThread() {
        if (isVirtual(Thread.currentThread())) {
            return shared.stripe();
        }
        long[] slot = register();
        threadSlot.set(slot);
        return slot;
    }

    /** A slot of its own for one thread at a time. Forgotten when it is retired or no longer reachable. */
    long[] register() {
        long[] slot = newSlot();
        synchronized (slots) {
            if (slots.size() >= pruneAt) {
                slots.removeIf(Epochs::isGone);
                pruneAt = Math.max(64, 2 * slots.size());
            }
            slots.add(new WeakReference<>(slot));
        }
        return slot;
    }

    /** Gives a slot back; the caller is outside. */
    static void retire(long[] slot) {
        SLOT.setRelease(slot, HERE, RETIRED);
    }

    /**
     * Goes inside. What follows must not block, call out, or be long, and must end with {@link #leave} whatever happens. The
     * snapshot is loaded after this.
     *
     * @return what {@link #leave} needs
     */
    long enter(long[] slot) {
        if (slot.length != SLOT_LENGTH) {
            return shared.enter(slot);
        }
        long epoch = (long) CURRENT.getAcquire(this);
        SLOT.setOpaque(slot, HERE, epoch);
        if (fenced) {
            VarHandle.fullFence();
        } else {
            VarHandle.acquireFence();
        }
        return epoch;
    }

    static void leave(long[] slot, long epoch) {
        if (epoch < 0) {
            SharedSlots.leave(slot, epoch);
        } else {
            SLOT.setRelease(slot, HERE, OUTSIDE);
        }
    }

    /**
     * Waits until everyone who may have seen an older snapshot than the last one published is outside. Not from inside.
     *
     * @param nanos how long to wait at most
     * @return whether all left in time
     */
    boolean drain(long nanos) {
        long now = (long) CURRENT.getAndAdd(this, 1L) + 1;
        if (!fenced) {
            host.processBarrier();
        }
        VarHandle.fullFence();
        List<Inside> inside = new ArrayList<>();
        synchronized (slots) {
            // Who registers after this synchronises with us here, and so sees the snapshot.
            slots.removeIf(reference -> {
                long[] slot = reference.get();
                if (slot == null) {
                    return true;
                }
                long epoch = (long) SLOT.getAcquire(slot, HERE);
                if (epoch > OUTSIDE && epoch < now) {
                    inside.add(new Inside(slot, epoch));
                }
                return epoch == RETIRED;
            });
        }
        long start = System.nanoTime();
        for (Inside reader : inside) {
            if (!await(() -> (long) SLOT.getAcquire(reader.slot, HERE) != reader.epoch, start, nanos)) {
                return false;
            }
        }
        return shared.drain(start, nanos);
    }

    /** Waits for a reader. Yields before it sleeps: on a full machine the reader is often one that was preempted inside. */
    @SuppressWarnings("ThreadPriorityCheck")
    static boolean await(BooleanSupplier left, long start, long nanos) {
        for (int tries = 0; !left.getAsBoolean(); tries++) {
            if (tries < SPINS) {
                Thread.onSpinWait();
            } else if (System.nanoTime() - start >= nanos) {
                return false;
            } else if (tries < SPINS + YIELDS) {
                Thread.yield();
            } else {
                LockSupport.parkNanos(PARK_NANOS);
            }
        }
        return true;
    }

    private static boolean isVirtual(Thread thread) {
        try {
            return IS_VIRTUAL != null && (boolean) IS_VIRTUAL.invokeExact(thread);
        } catch (Throwable e) {
            throw new LinkageError("Thread.isVirtual is not what it is documented to be", e);
        }
    }

    private static VarHandle findCurrent() {
        try {
            return MethodHandles.lookup().findVarHandle(Epochs.class, "current", long.class);
        } catch (ReflectiveOperationException e) {
            throw new LinkageError("no handle on a field of this class", e);
        }
    }

    /** Java 21 on; null before. */
    private static @Nullable MethodHandle findIsVirtual() {
        try {
            return MethodHandles.publicLookup()
                    .findVirtual(Thread.class, "isVirtual", MethodType.methodType(boolean.class));
        } catch (NoSuchMethodException e) {
            return null;
        } catch (IllegalAccessException e) {
            throw new LinkageError("Thread.isVirtual is not public", e);
        }
    }

    private static boolean isGone(WeakReference<long[]> reference) {
        long[] slot = reference.get();
        return slot == null || (long) SLOT.getAcquire(slot, HERE) == RETIRED;
    }

    private static long[] newSlot() {
        return new long[SLOT_LENGTH];
    }

    private record Inside(long[] slot, long epoch) {}
}
