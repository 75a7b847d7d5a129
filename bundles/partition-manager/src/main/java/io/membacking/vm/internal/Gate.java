package io.membacking.vm.internal;

import io.membacking.error.BackendException;
import io.membacking.error.Failure;
import io.membacking.partition.Processor;
import io.membacking.region.ProcessorGate;
import java.time.Duration;
import java.util.BitSet;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The way into the guest for the processors of one virtual machine. A processor's thread passes it on each entry. Two close it:
 *
 * <ul>
 *   <li>a commit, through a {@link Door}: processors that are inside come out; nobody waits for exit handlers
 *   <li>a move, by {@link #gather}: processors come out, their exit handlers return, their last exit is finished, what there is to do
 *       is done, and they stay until {@link #letGo} gives them their new processors
 * </ul>
 */
final class Gate {
    // Nanoseconds. Calling processors out and moving their state takes some hundred thousand.
    private static final long BUSY = 1_000_000;
    private static final long FIRST_PAUSE = 100_000;
    private static final long LONGEST_PAUSE = 5_000_000;

    private final String machine;
    private final OutOfLine outOfLine = new OutOfLine();
    private final Set<Door> holding = Collections.newSetFromMap(new IdentityHashMap<>());
    /** Those without a thread of a crew that are in the middle of finishing an exit. */
    private int visitors;

    /** An array: who takes one out of a list casts it, and compiled code then holds the classes the cast has met. */
    private Processor[] processors = {};

    private @Nullable Crew crew;
    private boolean gathering;
    /** What is to be done once all are gathered, until somebody does it. */
    private @Nullable FutureTask<?> errand;

    Gate(String machine) {
        this.machine = machine;
    }

    /** What a processor's thread is to do next. */
    enum Pass {
        /** Enter the guest, then {@link Crew#leave}. */
        ENTER,
        /** Finish the last exit, then {@link Crew#leave} as whole if there is nothing left of it. */
        SETTLE,
        /** The run has ended. */
        END
    }

    /** The threads of one run. All else of them lies in the run; threads that outlive it disturb no other. */
    final class Crew {
        private final BitSet live = new BitSet();
        private final BitSet inside = new BitSet();
        private final BitSet settled = new BitSet();
        private final BitSet resting = new BitSet();
        private final BooleanSupplier ended;

        private Crew(int size, BooleanSupplier ended) {
            live.set(0, size);
            this.ended = ended;
        }

        /** Waits until there is something to do. */
        Pass pass(int index) throws InterruptedException {
            synchronized (Gate.this) {
                while (true) {
                    if (ended.getAsBoolean()) {
                        return Pass.END;
                    }
                    // Finishing an exit may touch guest memory as running does: commits keep both out.
                    if (holding.isEmpty() && !(gathering && settled.get(index))) {
                        inside.set(index);
                        return gathering ? Pass.SETTLE : Pass.ENTER;
                    }
                    Gate.this.wait();
                }
            }
        }

        Processor processor(int index) {
            synchronized (Gate.this) {
                return processors[index];
            }
        }

        /**
         * Does what is to be done once all are gathered, if it is the last of them.
         *
         * @param whole whether nothing is left of its last exit
         */
        void leave(int index, boolean whole) {
            FutureTask<?> mine = null;
            synchronized (Gate.this) {
                inside.clear(index);
                settled.set(index, whole);
                if (whole && allSettled()) {
                    mine = errand;
                    errand = null;
                }
                if (!holding.isEmpty()) {
                    Gate.this.notifyAll();
                }
            }
            if (mine != null) {
                outOfLine.move(mine);
            }
        }

        /** It waits outside with nothing left to finish, for as long as the run lasts. */
        void rest(int index) {
            mark(resting, index, true);
        }

        /** Its thread ends. */
        void gone(int index) {
            mark(live, index, false);
        }

        private void mark(BitSet set, int index, boolean value) {
            synchronized (Gate.this) {
                set.set(index, value);
                Gate.this.notifyAll();
            }
        }

        private boolean allSettled() {
            int index = live.nextSetBit(0);
            while (index >= 0 && (settled.get(index) || resting.get(index))) {
                index = live.nextSetBit(index + 1);
            }
            return index < 0;
        }

        /** Those that are not settled. */
        private BitSet busy() {
            BitSet busy = (BitSet) live.clone();
            busy.andNot(settled);
            busy.andNot(resting);
            return busy;
        }
    }

    /**
     * The threads of a new run, for the first processors.
     *
     * @param ended whether the run has ended; asked under this gate's monitor, so it must be quick
     */
    synchronized Crew enlist(int size, BooleanSupplier ended) {
        Crew next = new Crew(size, ended);
        crew = next;
        return next;
    }

    /**
     * Waits until no commit keeps processors out, and makes the next wait until {@link #leave}: for who finishes the exit of a
     * processor without a thread. A partition that has lost its memory keeps nobody waiting.
     */
    synchronized void visit() {
        boolean interrupted = false;
        while (holding.stream().anyMatch(door -> !door.lost)) {
            try {
                wait();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        visitors++;
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    synchronized void leave() {
        visitors--;
        notifyAll();
    }

    /** Makes those inside come out, and those that wait look again at whether their run has ended. */
    synchronized void disturb() {
        for (Processor processor : processors) {
            processor.cancel();
        }
        notifyAll();
    }

    /** What is to be done while processors stand still. */
    interface Errand<T> {
        T run() throws BackendException;
    }

    /**
     * Waits until no processor is inside the guest, in an exit handler or in the middle of an instruction, and does something. They
     * stay so until {@link #letGo}, which that may call.
     *
     * <p>The last processor's thread does it: to hand it over to another and back would cost as much again as reading and setting a
     * processor's state, and hypervisors do that best on a processor's own thread.
     *
     * @throws BackendException naming those that were not there in time, and they go on then; or what the errand throws
     */
    <T> T gather(Duration deadline, Errand<T> then) throws BackendException {
        FutureTask<T> task = summon(then);
        awaitGathered(deadline, task);
        return result(task);
    }

    /** Asks them to come out; the last of them does it. */
    synchronized <T> FutureTask<T> summon(Errand<T> then) {
        FutureTask<T> task = new FutureTask<>(then::run);
        gathering = true;
        errand = task;
        Crew current = crew;
        if (current != null) {
            current.settled.clear(); // what an earlier call that gave up may have left
            cancelInside(current);
        }
        notifyAll();
        return task;
    }

    /**
     * Waits until it is done, and does it if none of them is there to do it. Measured: to wake it would cost the thread that does it
     * some 20 us before its processor enters the guest again; and if it sleeps, that enters some 50 us later.
     */
    @SuppressWarnings("ThreadPriorityCheck") // yields so that on a busy machine processors come out the sooner
    private void awaitGathered(Duration deadline, FutureTask<?> task) throws BackendException {
        long start = System.nanoTime();
        long end = start + deadline.toNanos();
        long pause = FIRST_PAUSE;
        boolean interrupted = false;
        try {
            while (!task.isDone()) {
                if (isForCaller(deadline, end, interrupted, task)) {
                    task.run();
                } else if (System.nanoTime() - start < BUSY) {
                    Thread.yield();
                } else {
                    LockSupport.parkNanos(pause);
                    pause = Math.min(2 * pause, LONGEST_PAUSE);
                }
                interrupted |= Thread.interrupted();
            }
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    /** @throws BackendException if nobody has begun, and it is too late to begin */
    private synchronized boolean isForCaller(Duration deadline, long end, boolean interrupted, FutureTask<?> task)
            throws BackendException {
        if (errand != task) {
            return false;
        }
        BitSet busy = crew == null ? new BitSet() : crew.busy();
        boolean late = System.nanoTime() - end >= 0;
        if (!busy.isEmpty() && !late && !interrupted) {
            return false;
        }
        errand = null;
        if (busy.isEmpty()) {
            return true;
        }
        goOn();
        throw late ? notHeld("processor " + busy + " did not finish its exit within " + deadline) : interrupted();
    }

    static <T> T result(FutureTask<T> done) throws BackendException {
        try {
            return done.get();
        } catch (InterruptedException e) {
            throw new IllegalStateException("it is done, and nothing is waited for", e);
        } catch (ExecutionException e) {
            Throwable cause = e.getCause();
            if (cause instanceof BackendException failed) {
                throw failed;
            } else if (cause instanceof Error error) {
                throw error;
            }
            throw (RuntimeException) cause;
        }
    }

    /** Whether this processor of those that are gathered has nothing left of its last exit. */
    synchronized boolean isWhole(int index) {
        return crew != null && crew.settled.get(index);
    }

    /** Lets them go on with these processors; those of a gate never gathered are given likewise. */
    synchronized void letGo(List<Processor> next) {
        processors = next.toArray(Processor[]::new);
        goOn();
    }

    private synchronized void goOn() {
        gathering = false;
        if (crew != null) {
            crew.settled.clear();
        }
        notifyAll();
    }

    /** Forgets the processors of those that are gathered: they are about to be closed. */
    synchronized void forget() {
        gathering = true;
        processors = new Processor[0];
    }

    private void cancelInside(Crew current) {
        // A processor that is inside, or about to enter, returns: cancelling counts for the run under way or else the
        // next.
        current.inside.stream().forEach(i -> processors[i].cancel());
    }

    /** Waits until none is inside. Holds the monitor. */
    private void awaitLeft(Duration deadline, BitSet inside) throws BackendException {
        long end = System.nanoTime() + deadline.toNanos();
        try {
            while (visitors > 0 || !inside.isEmpty()) {
                long left = end - System.nanoTime();
                if (left <= 0) {
                    throw notHeld("processor " + inside + " did not leave the guest within " + deadline);
                }
                // Rounded up: a wait of 0 would be one without end.
                wait((left + 999_999) / 1_000_000);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw interrupted();
        }
    }

    private BackendException interrupted() {
        return notHeld("interrupted while waiting for processors to leave the guest");
    }

    private BackendException notHeld(String problem) {
        return new BackendException(Failure.of(
                "hold the processors of '" + machine + "'", null, problem, "repeat it with a longer deadline"));
    }

    /**
     * A way to close the gate, for commits of one attachment.
     *
     * @param onDetached told once the partition has lost its memory; called under the region manager's lock, so it must only note it
     */
    Door door(Consumer<String> onDetached) {
        return new Door(onDetached);
    }

    final class Door implements ProcessorGate {
        private final Consumer<String> onDetached;
        private boolean lost;

        private Door(Consumer<String> onDetached) {
            this.onDetached = onDetached;
        }

        @Override
        public void hold(Duration deadline) throws BackendException {
            synchronized (Gate.this) {
                holding.add(this);
                Crew current = crew;
                BitSet inside = current == null ? new BitSet() : current.inside;
                if (current != null) {
                    cancelInside(current);
                }
                try {
                    awaitLeft(deadline, inside);
                } catch (BackendException e) {
                    release();
                    throw e;
                }
            }
        }

        @Override
        public void release() {
            synchronized (Gate.this) {
                holding.remove(this);
                Gate.this.notifyAll();
            }
        }

        /** Nobody enters until this door is {@link #release}d for good. */
        @Override
        public void detached(String reason) {
            synchronized (Gate.this) {
                holding.add(this);
                lost = true;
                Gate.this.notifyAll();
            }
            onDetached.accept(reason);
        }
    }
}
