package io.membacking.vm.internal;

import io.membacking.partition.Exit;
import io.membacking.vm.ExitHandler;
import io.membacking.vm.Outcome;
import io.membacking.vm.Run;
import io.membacking.vm.RunResult;
import io.membacking.vm.RunResult.Kind;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * Runs the processors of a virtual machine, a thread each, until something ends it, on whatever backend they are. The first end
 * counts; the result is told when the last thread has gone.
 */
final class GuestRun implements Run {
    private static final System.Logger LOG = System.getLogger(GuestRun.class.getName());

    private final int size;
    private final Gate gate;
    private final Gate.Crew crew;
    private final ExitHandler handler;
    private final OutOfLine outOfLine = new OutOfLine();
    private final Runnable onFinished;
    private final AtomicReference<@Nullable RunResult> end = new AtomicReference<>();
    private final CompletableFuture<RunResult> completion = new CompletableFuture<>();
    private final List<Thread> threads = new ArrayList<>();
    private int running;
    private int halted;

    /** @param onFinished called when no thread is left, before the result is told */
    GuestRun(String machine, int processors, Gate gate, ExitHandler handler, Runnable onFinished) {
        this.size = processors;
        this.gate = gate;
        this.handler = handler;
        this.onFinished = onFinished;
        this.running = processors;
        this.crew = gate.enlist(processors, this::ended);
        for (int i = 0; i < processors; i++) {
            int index = i;
            Thread thread = new Thread(null, () -> runProcessor(index), machine + " processor " + index, 0, false);
            thread.setDaemon(true);
            // A thread made here inherits nothing of its creator: neither locals nor a class loader that would be kept
            // alive.
            thread.setContextClassLoader(null);
            threads.add(thread);
        }
    }

    void start() {
        threads.forEach(Thread::start);
    }

    boolean finished() {
        return completion.isDone();
    }

    @Override
    public Optional<RunResult> result() {
        return completion.isDone() ? Optional.of(completion.join()) : Optional.empty();
    }

    @Override
    public Optional<RunResult> await(Duration deadline) throws InterruptedException {
        try {
            return Optional.of(completion.get(deadline.toNanos(), TimeUnit.NANOSECONDS));
        } catch (TimeoutException e) {
            return Optional.empty();
        } catch (ExecutionException e) {
            throw new IllegalStateException(e);
        }
    }

    @Override
    public CompletionStage<RunResult> completion() {
        return completion.minimalCompletionStage();
    }

    @Override
    public void stop(int code, String reason) {
        end(new RunResult(Kind.STOPPED, code, reason, -1));
    }

    /** Ends the run with this result unless it has one; returns at once. */
    void end(RunResult result) {
        if (end.compareAndSet(null, result)) {
            gate.disturb();
            synchronized (this) {
                notifyAll();
            }
        }
    }

    /** Whether the calling thread is one of its processors'. */
    boolean isOnOwnThread() {
        return threads.contains(Thread.currentThread());
    }

    /**
     * Waits until every processor's thread but the calling one has gone.
     *
     * @return whether they have
     */
    boolean awaitThreads(Duration deadline) {
        long until = System.nanoTime() + deadline.toNanos();
        boolean interrupted = false;
        boolean gone = true;
        for (Thread thread : threads) {
            while (thread != Thread.currentThread() && thread.isAlive()) {
                long left = TimeUnit.NANOSECONDS.toMillis(until - System.nanoTime());
                if (left <= 0) {
                    gone = false;
                    break;
                }
                try {
                    thread.join(left);
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
        return gone;
    }

    /** Tells the result although a handler has not come back: its thread ends when it does. */
    void abandon() {
        finish();
    }

    /** Waits until there is something for a processor to do. */
    Gate.Pass pass(int index) throws InterruptedException {
        return crew.pass(index);
    }

    private boolean ended() {
        return end.get() != null;
    }

    private void runProcessor(int index) {
        try {
            boolean goesOn = true;
            while (goesOn) {
                goesOn = step(index, pass(index));
            }
        } catch (InterruptedException e) {
            end(new RunResult(Kind.FAILED, 0, "processor " + index + " was interrupted", index));
        } catch (Throwable e) {
            // Whatever a handler or a backend throws ends this run, and nothing else.
            if (!ended()) {
                LOG.log(
                        System.Logger.Level.WARNING,
                        "run of " + Thread.currentThread().getName() + " failed",
                        e);
            }
            end(new RunResult(Kind.FAILED, 0, "processor " + index + ": " + e, index));
        } finally {
            crew.gone(index);
            boolean last;
            synchronized (this) {
                running--;
                last = running == 0;
            }
            if (last) {
                finish();
            }
        }
    }

    /** Does what a processor is to do next. @return whether the run goes on */
    boolean step(int index, Gate.Pass next) throws Throwable {
        switch (next) {
            case SETTLE -> settle(index);
            case ENTER -> enter(index);
            case END -> {
                return false;
            }
        }
        return true;
    }

    private void enter(int index) throws Throwable {
        Exit exit;
        boolean whole = false;
        try {
            exit = outOfLine.run(crew.processor(index));
            whole = exit instanceof Exit.Cancelled cancelled && cancelled.whole();
        } finally {
            crew.leave(index, whole);
        }
        // An exit that comes together with the end is handled all the same: its instruction has happened.
        if (!(exit instanceof Exit.Cancelled)) {
            act(index, exit, outOfLine.handle(handler, index, exit));
        }
    }

    /** Leaves nothing of the last exit behind, so that the processor's state is whole; where that exits again, not yet. */
    private void settle(int index) throws Throwable {
        Optional<Exit> next;
        boolean whole = false;
        try {
            next = outOfLine.completeExit(crew.processor(index));
            whole = next.isEmpty();
        } finally {
            crew.leave(index, whole);
        }
        if (next.isPresent()) {
            act(index, next.get(), outOfLine.handle(handler, index, next.get()));
        }
    }

    private void finish() {
        onFinished.run();
        RunResult result = end.get();
        completion.complete(result != null ? result : new RunResult(Kind.FAILED, 0, "ended without a result", -1));
    }

    private void act(int index, Exit exit, Outcome outcome) throws InterruptedException {
        if (outcome instanceof Outcome.Stop stop) {
            end(new RunResult(Kind.STOPPED, stop.code(), stop.reason(), index));
        } else if (outcome == Outcome.unhandled()) {
            unhandled(index, exit);
        }
    }

    private void unhandled(int index, Exit exit) throws InterruptedException {
        floatBus(exit);
        if (exit instanceof Exit.Halt) {
            waitHalted(index);
        } else if (exit instanceof Exit.Shutdown shutdown) {
            end(new RunResult(Kind.SHUTDOWN, 0, shutdown.detail(), index));
        } else if (exit instanceof Exit.MemoryFault fault) {
            end(new RunResult(Kind.MEMORY_FAULT, 0, fault.toString(), index));
        } else if (exit instanceof Exit.EmulationFailure failure) {
            end(new RunResult(Kind.EMULATION_FAILED, 0, failure.toString(), index));
        }
    }

    /** Nobody drives the bus: reads see all ones. */
    static void floatBus(Exit exit) {
        if (exit instanceof Exit.PortIo io && io.input()) {
            Arrays.fill(io.data(), (byte) 0xff);
        } else if (exit instanceof Exit.Mmio mmio && mmio.input()) {
            Arrays.fill(mmio.data(), (byte) 0xff);
        }
    }

    /** Nothing wakes a halted processor here, so when the last halts the run is over. */
    private synchronized void waitHalted(int index) throws InterruptedException {
        crew.rest(index);
        halted++;
        if (halted == size) {
            end(new RunResult(Kind.HALTED, 0, "every processor halted", -1));
        }
        while (!ended()) {
            wait();
        }
        halted--;
    }
}
