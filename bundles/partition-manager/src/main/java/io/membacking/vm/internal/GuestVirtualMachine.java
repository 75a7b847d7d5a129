package io.membacking.vm.internal;

import io.membacking.error.BackendException;
import io.membacking.error.Failure;
import io.membacking.memory.GuestMemoryManager;
import io.membacking.partition.Processor;
import io.membacking.partition.ProcessorState;
import io.membacking.vm.ExitHandler;
import io.membacking.vm.MoveForecast;
import io.membacking.vm.MovePolicy;
import io.membacking.vm.MoveResult;
import io.membacking.vm.Run;
import io.membacking.vm.RunResult;
import io.membacking.vm.RunResult.Kind;
import io.membacking.vm.VirtualMachine;
import io.membacking.vm.VmRequest;
import io.membacking.vm.VmState;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * A virtual machine: see {@link VirtualMachine}. Its {@link Placement} changes under the lifecycle lock, its runs come and go with
 * {@link #start}.
 */
final class GuestVirtualMachine implements VirtualMachine {
    private static final System.Logger LOG = System.getLogger(GuestVirtualMachine.class.getName());

    /**
     * How long a departing backend waits for all guests together: well below the five seconds after which the component runtime gives
     * up on a lock. An exit handler that is longer under way finds its processor closed when it comes back.
     */
    static final Duration DEPARTURE = Duration.ofSeconds(3);

    /** How long a move on request waits for exit handlers; a departing backend may have to wait for that move. */
    private static final Duration REQUEST = Duration.ofSeconds(1);

    private final VmRequest request;
    private final Executor later;
    private final Consumer<GuestVirtualMachine> onClosed;
    private final ReentrantLock lifecycle = new ReentrantLock(true);
    private final Condition changed = lifecycle.newCondition();
    private final Gate gate;
    private final InterruptLines lines;
    private final Placement placement;
    private volatile @Nullable GuestRun run;
    private volatile boolean closed;

    /**
     * @param later runs what a commit's or a processor's thread must not do itself, one after the other
     * @param onClosed told when it has closed
     */
    GuestVirtualMachine(VmRequest request, Backends backends, Executor later, Consumer<GuestVirtualMachine> onClosed) {
        this.request = request;
        this.later = later;
        this.onClosed = onClosed;
        this.gate = new Gate(request.name());
        this.lines = new InterruptLines(request.name(), request.interruptControllers());
        this.placement = new Placement(request, backends, gate, lines, this::detached, changed::signalAll);
    }

    @Override
    public String name() {
        return request.name();
    }

    @Override
    public GuestMemoryManager memory() {
        return request.memory();
    }

    @Override
    public int processors() {
        return request.processors();
    }

    boolean uses(long serviceId) {
        Engagement current = placement.engagement();
        return current != null && current.backend().serviceId() == serviceId;
    }

    VmRequest request() {
        return request;
    }

    @Override
    public VmState state() {
        if (closed) {
            return VmState.CLOSED;
        }
        if (placement.isParked()) {
            return VmState.PARKED;
        }
        if (placement.engagement() == null) {
            return VmState.WAITING;
        }
        GuestRun current = run;
        return current != null && !current.finished() ? VmState.RUNNING : VmState.READY;
    }

    @Override
    public String status() {
        return switch (state()) {
            case CLOSED -> "closed";
            case WAITING -> "waiting for a backend: " + placement.reason();
            case PARKED -> "parked: " + placement.reason();
            case READY -> "ready on " + placement.here();
            case RUNNING -> "running on " + placement.here();
        };
    }

    @Override
    public Optional<String> backend() {
        return Optional.ofNullable(placement.engagement()).map(e -> e.backend().name());
    }

    @Override
    public Optional<RunResult> lastResult() {
        return Optional.ofNullable(run).flatMap(GuestRun::result);
    }

    @Override
    public boolean awaitReady(Duration deadline) throws InterruptedException {
        long left = deadline.toNanos();
        if (!lifecycle.tryLock(left, TimeUnit.NANOSECONDS)) {
            return false;
        }
        try {
            if (!closed) {
                placement.takeUp();
            }
            while (placement.engagement() == null && !closed && left > 0) {
                left = changed.awaitNanos(left);
            }
            return placement.engagement() != null;
        } finally {
            lifecycle.unlock();
        }
    }

    @Override
    public ProcessorState processorState(int processor) throws BackendException {
        lifecycle.lock();
        try {
            Processor ready = readyProcessor(processor);
            // A run that was stopped may have left its last exit unfinished.
            GuestState.finish(ready, gate);
            return ready.state();
        } finally {
            lifecycle.unlock();
        }
    }

    @Override
    public void setProcessorState(int processor, ProcessorState state) throws BackendException {
        lifecycle.lock();
        try {
            Processor ready = readyProcessor(processor);
            GuestState.finish(ready, gate);
            ready.setState(state);
        } finally {
            lifecycle.unlock();
        }
    }

    private Processor readyProcessor(int processor) {
        List<Processor> all = requireReady().processors();
        if (processor < 0 || processor >= all.size()) {
            throw new IllegalArgumentException(
                    "processor " + processor + " of '" + name() + "' is not within 0 to " + (all.size() - 1));
        }
        return all.get(processor);
    }

    private Engagement requireReady() {
        Engagement current = placement.engagement();
        if (state() != VmState.READY || current == null) {
            throw new IllegalStateException("virtual machine '" + name() + "' is not ready: " + status());
        }
        return current;
    }

    @Override
    public Run start(ExitHandler handler) {
        return start(handler, processors());
    }

    @Override
    public Run start(ExitHandler handler, int processors) {
        if (processors < 1 || processors > processors()) {
            throw new IllegalArgumentException(
                    processors + " processors of '" + name() + "' to be run; it has " + processors());
        }
        lifecycle.lock();
        try {
            requireReady();
            GuestRun next = new GuestRun(name(), processors, gate, handler, this::signalChanged);
            run = next;
            next.start();
            return next;
        } finally {
            lifecycle.unlock();
        }
    }

    /** A run has ended: told without the lifecycle lock if another holds it, since that one may be waiting for this very run. */
    private void signalChanged() {
        if (lifecycle.tryLock()) {
            try {
                changed.signalAll();
            } finally {
                lifecycle.unlock();
            }
        }
    }

    @Override
    public void reset() throws BackendException {
        lifecycle.lock();
        try {
            GuestRun current = run;
            if (closed || (current != null && !current.finished())) {
                throw new IllegalStateException("virtual machine '" + name() + "' cannot be reset: " + status());
            }
            // A hypervisor may not let a processor be made twice in one partition, and its controllers reset with it: a
            // new one.
            placement.disengage();
            placement.engage();
            if (placement.engagement() == null) {
                throw new BackendException(Failure.of(
                        "reset virtual machine '" + name() + "'",
                        null,
                        placement.reason(),
                        "install or mend a hypervisor backend"));
            }
        } finally {
            lifecycle.unlock();
        }
    }

    @Override
    public MoveForecast forecast(String backendFilter) {
        Backends.checkFilter(backendFilter);
        GuestRun current = run;
        if (current != null && current.isOnOwnThread()) {
            // Who holds the lock may be waiting for this very handler.
            throw new IllegalStateException(
                    "the forecast for '" + name() + "' cannot be made by one of its own exit handlers");
        }
        lifecycle.lock();
        try {
            return placement.forecast(status(), backendFilter, matching(backendFilter));
        } finally {
            lifecycle.unlock();
        }
    }

    private static Predicate<Backends.Installed> matching(String filter) {
        return one -> filter.isEmpty() || one.matches(filter);
    }

    @Override
    public CompletionStage<MoveResult> move(String backendFilter) {
        Backends.checkFilter(backendFilter);
        return whenFree(() -> placement.move(backendFilter, matching(backendFilter), "asked for", REQUEST));
    }

    @Override
    public CompletionStage<MoveResult> park(String reason) {
        return whenFree(() -> placement.park(reason, REQUEST));
    }

    private interface Moving {
        MoveResult now();
    }

    /** Runs it with the lifecycle lock on a thread that is no processor's. */
    private CompletionStage<MoveResult> whenFree(Moving moving) {
        if (closed) {
            throw new IllegalStateException("virtual machine '" + name() + "' is closed");
        }
        CompletableFuture<MoveResult> result = new CompletableFuture<>();
        try {
            later.execute(() -> result.complete(locked(moving)));
        } catch (RejectedExecutionException e) {
            throw new IllegalStateException("virtual machine '" + name() + "' is closed", e);
        }
        return result.minimalCompletionStage();
    }

    private MoveResult locked(Moving moving) {
        lifecycle.lock();
        try {
            return closed ? placement.stayed("it was closed") : moving.now();
        } catch (RuntimeException | Error e) {
            LOG.log(System.Logger.Level.ERROR, "a move of '" + name() + "' failed", e);
            return placement.stayed(e.toString());
        } finally {
            lifecycle.unlock();
        }
    }

    @Override
    public Optional<MoveResult> lastMove() {
        return placement.lastMove();
    }

    @Override
    public long moves() {
        return placement.moves();
    }

    @Override
    public MovePolicy policy() {
        return placement.policy();
    }

    @Override
    public void setPolicy(MovePolicy policy) {
        placement.setPolicy(policy);
    }

    @Override
    public void startTrace(Path file) throws BackendException {
        Engagement current = placement.engagement();
        if (current == null) {
            throw new IllegalStateException("virtual machine '" + name() + "' cannot be traced: " + status());
        }
        current.partition().startTrace(file);
    }

    @Override
    public void stopTrace() {
        Engagement current = placement.engagement();
        if (current != null) {
            current.partition().stopTrace();
        }
    }

    @Override
    public void setInterruptLine(int line, boolean raised) throws BackendException {
        lines.set(line, raised);
    }

    @Override
    public boolean pulseInterruptLine(int line) throws BackendException {
        return lines.pulse(line);
    }

    /** Takes up a backend if one will have it and it has none, or moves to a better one where that is the policy. */
    void backendArrived() {
        lifecycle.lock();
        try {
            if (!closed) {
                placement.takeUp();
                placement.better().ifPresent(this::follow);
            }
        } finally {
            lifecycle.unlock();
        }
    }

    /** Whoever brings a backend, or changes its rank, does not wait for the guests. */
    private void follow(long better) {
        laterUnlessClosed(() -> locked(() -> placement.move(
                "(service.id=" + better + ")", one -> one.serviceId() == better, "a better backend came", REQUEST)));
    }

    private void laterUnlessClosed(Runnable task) {
        try {
            later.execute(task);
        } catch (RejectedExecutionException e) {
            // After close there is nothing left to do.
        }
    }

    /**
     * Moves off a backend that is about to be gone, or parks. Returns when nothing of it is held, and runs inside the call that takes
     * it away: everything is bounded.
     *
     * @param latest when exit handlers must have returned, as {@link System#nanoTime()} tells it
     */
    void backendDeparting(long serviceId, long latest) {
        lifecycle.lock();
        try {
            Engagement current = placement.engagement();
            if (current != null && current.backend().serviceId() == serviceId) {
                leave(current, latest);
            }
        } finally {
            lifecycle.unlock();
        }
    }

    private void leave(Engagement from, long latest) {
        String reason = from.backend().title() + " departs";
        String why;
        GuestRun current = run;
        if (current != null && !current.finished() && current.isOnOwnThread()) {
            // Its own exit would never be finished: this call is in the middle of handling it.
            why = "an exit handler of its own took it away";
        } else {
            try {
                placement.leave(from, reason, latest);
                return;
            } catch (BackendException | RuntimeException | LinkageError e) {
                why = String.valueOf(e.getMessage());
            }
        }
        endRun(new RunResult(Kind.BACKEND_DEPARTED, 0, reason + ": " + why, -1), Placement.until(latest));
        placement.disengage();
        placement.engage();
    }

    private void detached(String attachment, String reason) {
        Engagement affected = placement.engagement();
        GuestRun current = run;
        if (affected != null && affected.attachmentName().equals(attachment) && current != null) {
            current.end(new RunResult(Kind.DETACHED, 0, reason, -1));
        }
        // The caller is a commit: the partition can be closed only when it is over.
        laterUnlessClosed(() -> afterDetached(reason));
    }

    private void afterDetached(String reason) {
        lifecycle.lock();
        try {
            Engagement current = placement.engagement();
            if (current != null && !current.attached()) {
                endRun(new RunResult(Kind.DETACHED, 0, reason, -1), DEPARTURE);
                placement.disengage();
                placement.waitFor(reason);
            }
        } finally {
            lifecycle.unlock();
        }
    }

    private void endRun(RunResult result, Duration deadline) {
        GuestRun current = run;
        if (current != null && !current.finished()) {
            current.end(result);
            if (!current.awaitThreads(deadline)) {
                LOG.log(System.Logger.Level.WARNING, "an exit handler of ''{0}'' is still under way", name());
                current.abandon();
            }
        }
    }

    @Override
    public void close() {
        lifecycle.lock();
        try {
            if (closed) {
                return;
            }
            endRun(new RunResult(Kind.CLOSED, 0, "virtual machine '" + name() + "' was closed", -1), DEPARTURE);
            closed = true;
            placement.disengage();
            changed.signalAll();
        } finally {
            lifecycle.unlock();
        }
        onClosed.accept(this);
    }
}
