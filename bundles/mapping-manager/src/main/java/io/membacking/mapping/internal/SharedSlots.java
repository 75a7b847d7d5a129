package io.membacking.mapping.internal;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Where virtual threads announce themselves: there may be a million of them, and a slot for each would make every change look at a
 * million slots. They count themselves in and out of a few stripes instead.
 *
 * <p>Each stripe has two counters, and newcomers use the side that is in favour. A change turns them to the other side, waits until
 * the first has been at zero, turns them back and waits for the second: newcomers cannot hold it up for ever. Whoever saw an older
 * snapshot had counted itself before, so it has left once both have been at zero, whichever side it took.
 */
final class SharedSlots {
    private static final VarHandle COUNT = MethodHandles.arrayElementVarHandle(long[].class);
    private static final int PADDING = 16;
    /** Unlike that of a slot of one thread, by which {@link Epochs} tells them apart. */
    private static final int STRIPE_LENGTH = 3 * PADDING;

    private final long[][] stripes;
    /** The side in favour, 0 or 1. */
    private volatile int favoured;

    /** One drain at a time: each turns the sides twice. */
    private final ReentrantLock draining = new ReentrantLock();

    SharedSlots() {
        int count = Integer.highestOneBit(Runtime.getRuntime().availableProcessors()) * 2;
        stripes = new long[count][STRIPE_LENGTH];
        leave(stripes[0], enter(stripes[0])); // links the var handles now, not inside a section
    }

    /** The calling thread's stripe. */
    long[] stripe() {
        return stripes[System.identityHashCode(Thread.currentThread()) & (stripes.length - 1)];
    }

    /** @return negative: what {@link #leave} needs */
    long enter(long[] stripe) {
        int index = index(favoured);
        COUNT.getAndAdd(stripe, index, 1L);
        VarHandle.fullFence();
        return ~index;
    }

    static void leave(long[] stripe, long entered) {
        COUNT.getAndAddRelease(stripe, (int) ~entered, -1L);
    }

    /** As {@link Epochs#drain}, after its fence. */
    boolean drain(long start, long nanos) {
        draining.lock();
        try {
            boolean drained = drainFavoured(start, nanos);
            return drained && drainFavoured(start, nanos); // which is the other side now
        } finally {
            draining.unlock();
        }
    }

    private boolean drainFavoured(long start, long nanos) {
        int side = favoured;
        favoured = 1 - side;
        for (long[] stripe : stripes) {
            if (!Epochs.await(() -> (long) COUNT.getAcquire(stripe, index(side)) == 0, start, nanos)) {
                return false;
            }
        }
        return true;
    }

    private static int index(int side) {
        return PADDING + side * PADDING;
    }
}
