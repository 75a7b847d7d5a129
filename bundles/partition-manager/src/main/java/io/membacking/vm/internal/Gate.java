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
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.function.Supplier;
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
    private final String machine;
    private final Set<Door> holding = Collections.newSetFromMap(new IdentityHashMap<>());
    /** Those without a thread of a crew that are in the middle of finishing an exit. */
    private int visitors;

    private List<Processor> processors = List.of();
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
                return processors.get(index);
            }
        }

        /**
         * Does what is to be done once all are gathered, if it is the last of them.
         *
         * @param whole whether nothing is left of its last exit, after {@link Pass#SETTLE}
         */
        void leave(int index, boolean whole) {
            FutureTask<?> mine = null;
            synchronized (Gate.this) {
                inside.clear(index);
                settled.set(index, whole);
                if (whole && busy().isEmpty()) {
                    mine = errand;
                    errand = null;
                }
                // Each needless wake-up of who gathers would contend with the next entry.
                if (!holding.isEmpty()) {
                    Gate.this.notifyAll();
                }
            }
            if (mine != null) {
                mine.run();
                wake();
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
        processors.forEach(Processor::cancel);
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
        FutureTask<T> task = new FutureTask<>(then::run);
        if (isForCaller(deadline, task)) {
            task.run();
        }
        return result(task);
    }

    /** Gathers them. @return whether none of them does it */
    private synchronized boolean isForCaller(Duration deadline, FutureTask<?> task) throws BackendException {
        gathering = true;
        Crew current = crew;
        if (current == null) {
            return true;
        }
        current.settled.clear(); // what an earlier call that gave up may have left
        errand = task;
        cancelInside(current);
        notifyAll();
        try {
            await(
                    deadline,
                    () -> errand == task && !current.busy().isEmpty(),
                    current::busy,
                    " did not finish its exit within " + deadline);
        } catch (BackendException e) {
            if (errand == task) {
                errand = null;
                letGo(processors);
                throw e;
            }
        }
        boolean left = errand == task;
        errand = null;
        return left;
    }

    private static <T> T result(FutureTask<T> task) throws BackendException {
        boolean interrupted = false;
        try {
            while (true) {
                try {
                    return task.get();
                } catch (InterruptedException e) {
                    interrupted = true; // it has begun, and ends soon
                }
            }
        } catch (ExecutionException e) {
            Throwable cause = e.getCause();
            if (cause instanceof BackendException failed) {
                throw failed;
            } else if (cause instanceof Error error) {
                throw error;
            }
            throw (RuntimeException) cause;
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    private synchronized void wake() {
        notifyAll();
    }

    /** Whether this processor of those that are gathered has nothing left of its last exit. */
    synchronized boolean isWhole(int index) {
        return crew != null && crew.settled.get(index);
    }

    /** Lets them go on with these processors; those of a gate never gathered are given likewise. */
    synchronized void letGo(List<Processor> next) {
        processors = List.copyOf(next);
        gathering = false;
        if (crew != null) {
            crew.settled.clear();
        }
        notifyAll();
    }

    /** Forgets the processors of those that are gathered: they are about to be closed. */
    synchronized void forget() {
        gathering = true;
        processors = List.of();
    }

    private void cancelInside(Crew current) {
        // A processor that is inside, or about to enter, returns: cancelling counts for the run under way or else the
        // next.
        current.inside.stream().forEach(i -> processors.get(i).cancel());
    }

    private void await(Duration deadline, BooleanSupplier busy, Supplier<BitSet> who, String otherwise)
            throws BackendException {
        long end = System.nanoTime() + deadline.toNanos();
        try {
            while (busy.getAsBoolean()) {
                long left = end - System.nanoTime();
                if (left <= 0) {
                    throw notHeld("processor " + who.get() + otherwise);
                }
                // Rounded up: a wait of 0 would be one without end.
                wait((left + 999_999) / 1_000_000);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw notHeld("interrupted while waiting for processors to leave the guest");
        }
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
                    await(
                            deadline,
                            () -> visitors > 0 || !inside.isEmpty(),
                            () -> inside,
                            " did not leave the guest within " + deadline);
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
