package io.membacking.partition.reference;

import io.membacking.error.BackendException;
import io.membacking.partition.CpuModel;
import io.membacking.partition.Exit;
import io.membacking.partition.Processor;
import io.membacking.partition.ProcessorState;
import io.membacking.partition.ProcessorState.Activity;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * A core with a life: who may use it, when it is to stop, and where it is between two calls.
 *
 * <p>{@code lock} guards who has the processor and what is asked of it; it is held for moments only. Who is {@code busy} has the core
 * to itself. Whoever asks for something sets {@code attention} after it, and the running thread looks between two instructions.
 */
final class ReferenceProcessor implements Processor {
    private static final Exit HALT = new Exit.Halt();

    private final ReferencePartition partition;
    private final String label;
    private final Core core;

    private final Object lock = new Object();
    private boolean busy;
    private boolean cancelled;
    private boolean closing;
    /** How often a running processor was asked to look at the partition anew, and up to which time it has. */
    private long looksAsked;

    private long looksDone;

    private volatile boolean attention = true;

    // Of who is busy:
    private Activity activity = Activity.RUNNING;
    /** An exit that finishing the last one gave, and that run has not returned yet. */
    private @Nullable Exit waiting;

    private @Nullable TraceFile tracing;

    ReferenceProcessor(
            ReferencePartition partition, int index, CpuModel model, @Nullable DirtyLog dirtyLog, Object splitLock) {
        this.partition = partition;
        this.label = "processor " + index + " of partition '" + partition.name() + "'";
        this.core = new Core(index, model, dirtyLog, splitLock);
        PortableState.reset(core);
    }

    @Override
    public int index() {
        return core.index;
    }

    @Override
    public Exit run() {
        claim();
        try {
            if (waiting == null && isUnfinished()) {
                waiting = finish(true);
            }
            if (takeCancel()) {
                return cancelledExit();
            }
            Exit next = waiting;
            if (next != null) {
                waiting = null;
                return next;
            }
            return activity == Activity.RUNNING ? execute() : rest();
        } finally {
            letGo();
        }
    }

    private Exit execute() {
        while (true) {
            if (attention) {
                look();
                if (takeCancel()) {
                    return cancelledExit();
                }
            }
            Exit exit = core.step();
            if (exit != null) {
                return exit;
            }
        }
    }

    /** Set to do nothing: it halts once more, or waits for a start that nobody here can give. */
    private Exit rest() {
        if (activity == Activity.HALTED) {
            activity = Activity.RUNNING;
            return HALT;
        }
        synchronized (lock) {
            while (!cancelled && !closing) {
                try {
                    lock.wait();
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    return cancelledExit();
                }
            }
            cancelled = false;
        }
        return cancelledExit();
    }

    private Exit cancelledExit() {
        return new Exit.Cancelled(waiting == null && !isUnfinished());
    }

    private boolean isUnfinished() {
        return core.exchange.asked() != null || !core.exchange.isEmpty();
    }

    /**
     * Goes on with the instruction of the last exit to its end.
     *
     * @param cancellable whether a cancel may leave it in the middle, while memory cannot be had
     * @return its next exit, if it has one
     */
    private @Nullable Exit finish(boolean cancellable) {
        if (core.exchange.asked() != null) {
            core.exchange.answer();
        }
        while (!core.exchange.isEmpty()) {
            if (attention) {
                look();
            }
            Exit exit = core.step();
            if (exit != null) {
                return exit;
            }
            // Not before it was tried once: a cancel that came with the exit's answer finds the instruction done.
            if (!core.exchange.isEmpty() && isAskedToStop(cancellable)) {
                attention = true;
                return null;
            }
        }
        return null;
    }

    @Override
    public Optional<Exit> completeExit() {
        claim();
        try {
            if (waiting == null && isUnfinished()) {
                waiting = finish(false);
            }
            Exit next = waiting;
            waiting = null;
            if (next instanceof Exit.MemoryFault) { // or its state could not be taken until there is memory
                core.exchange.clear();
            }
            return Optional.ofNullable(next);
        } finally {
            letGo();
        }
    }

    @Override
    public void cancel() {
        synchronized (lock) {
            cancelled = true;
            attention = true;
            lock.notifyAll();
        }
    }

    /** Asks it to end, and waits for nobody. */
    void stop() {
        synchronized (lock) {
            closing = true;
            attention = true;
            lock.notifyAll();
        }
    }

    @Override
    public void close() {
        stop();
        boolean interrupted = false;
        synchronized (lock) {
            while (busy) {
                try {
                    lock.wait();
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
            core.forgetMemory();
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    /** What the partition has, instead of what it had, is to count from the next instruction on. */
    long askToLook() {
        synchronized (lock) {
            attention = true;
            return busy ? ++looksAsked : 0;
        }
    }

    /**
     * Returns when it has looked or runs no more.
     *
     * @param asked what {@link #askToLook()} returned
     * @param deadline of {@link System#nanoTime()}: a processor that waits for the end of a commit looks only then
     */
    void awaitLook(long asked, long deadline) {
        boolean interrupted = false;
        synchronized (lock) {
            while (busy && looksDone < asked) {
                long left = TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime());
                if (left <= 0) {
                    break;
                }
                try {
                    lock.wait(left);
                } catch (InterruptedException e) {
                    interrupted = true;
                    break;
                }
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public ProcessorState state() {
        claim();
        try {
            if (isUnfinished()) {
                throw new IllegalStateException(label + " is in the middle of an instruction: complete its exit first");
            }
            return PortableState.read(core, activity);
        } finally {
            letGo();
        }
    }

    @Override
    public void setState(ProcessorState state) throws BackendException {
        claim();
        try {
            PortableState.check(state, "set the state of " + label);
            core.exchange.clear();
            waiting = null;
            PortableState.write(core, state);
            state.activity().ifPresent(next -> activity = next);
        } finally {
            letGo();
        }
    }

    private void claim() {
        synchronized (lock) {
            if (closing) {
                throw new IllegalStateException(label + " is closed");
            }
            if (busy) {
                throw new IllegalStateException(label + " is in use by another thread");
            }
            busy = true;
        }
        // The monitor may have changed page tables since.
        core.enter(Thread.currentThread());
        attention = true;
    }

    private void letGo() {
        synchronized (lock) {
            busy = false;
            looksDone = looksAsked;
            lock.notifyAll();
        }
    }

    /** Takes up what the partition has now. */
    private void look() {
        attention = false; // before it looks: what is asked for from here on is looked for again
        long asked;
        synchronized (lock) {
            asked = looksAsked;
        }
        core.setTable(partition.table());
        TraceFile file = partition.trace();
        if (file != tracing) {
            tracing = file;
            core.setTrace(file == null ? null : new TraceLines(file, core.index));
        }
        synchronized (lock) {
            if (looksDone < asked) {
                looksDone = asked;
                lock.notifyAll();
            }
        }
    }

    private boolean isAskedToStop(boolean byCancel) {
        synchronized (lock) {
            return closing || (byCancel && cancelled);
        }
    }

    private boolean takeCancel() {
        synchronized (lock) {
            boolean taken = cancelled || closing;
            cancelled = false;
            return taken;
        }
    }

    @Override
    public String toString() {
        return label;
    }
}
