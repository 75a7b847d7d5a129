package io.membacking.vm.internal;

import io.membacking.error.AttachException;
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
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** A virtual machine: see {@link VirtualMachine}. What changes its engagement holds the lifecycle lock. */
final class GuestVirtualMachine implements VirtualMachine {
    private static final System.Logger LOG = System.getLogger(GuestVirtualMachine.class.getName());

    /**
     * How long a departing backend waits for exit handlers: well below the five seconds after which the component runtime gives up
     * on a lock. One that is longer under way finds its processor closed when it comes back.
     */
    private static final String NO_MOVES = "this version cannot move guests yet";

    private static final Duration HANDLERS = Duration.ofSeconds(3);

    private final VmRequest request;
    private final Backends backends;
    private final Executor later;
    private final Consumer<GuestVirtualMachine> onClosed;
    private final ReentrantLock lifecycle = new ReentrantLock(true);
    private final Condition changed = lifecycle.newCondition();
    private volatile @Nullable Engagement engagement;
    private volatile @Nullable GuestRun run;
    private volatile String waitingFor = "";
    private volatile boolean closed;

    /**
     * @param later runs what a commit's thread must not do itself
     * @param onClosed told when it has closed
     */
    GuestVirtualMachine(VmRequest request, Backends backends, Executor later, Consumer<GuestVirtualMachine> onClosed) {
        this.request = request;
        this.backends = backends;
        this.later = later;
        this.onClosed = onClosed;
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
        Engagement current = engagement;
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
        if (engagement == null) {
            return VmState.WAITING;
        }
        GuestRun current = run;
        return current != null && !current.finished() ? VmState.RUNNING : VmState.READY;
    }

    @Override
    public String status() {
        Engagement current = engagement;
        return switch (state()) {
            case PARKED -> "parked";
            case CLOSED -> "closed";
            case WAITING -> "waiting for a backend: " + waitingFor;
            case READY -> "ready" + on(current);
            case RUNNING -> "running" + on(current);
        };
    }

    private static String on(@Nullable Engagement current) {
        return current == null
                ? ""
                : " on " + current.backend().name() + " (" + current.backend().bundle() + ")";
    }

    @Override
    public Optional<String> backend() {
        return Optional.ofNullable(engagement).map(e -> e.backend().name());
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
            if (engagement == null && !closed) {
                engage();
            }
            while (engagement == null && !closed && left > 0) {
                left = changed.awaitNanos(left);
            }
            return engagement != null;
        } finally {
            lifecycle.unlock();
        }
    }

    @Override
    public ProcessorState processorState(int processor) throws BackendException {
        lifecycle.lock();
        try {
            return readyProcessor(processor).state();
        } finally {
            lifecycle.unlock();
        }
    }

    @Override
    public void setProcessorState(int processor, ProcessorState state) throws BackendException {
        lifecycle.lock();
        try {
            readyProcessor(processor).setState(state);
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
        Engagement current = engagement;
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
            Engagement current = requireReady();
            GuestRun next = new GuestRun(
                    name(), current.processors().subList(0, processors), current.gate(), handler, this::signalChanged);
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
            if (closed || state() == VmState.RUNNING) {
                throw new IllegalStateException("virtual machine '" + name() + "' cannot be reset: " + status());
            }
            // A hypervisor may not let a processor be made twice in one partition, and its controllers reset with it: a
            // new one.
            disengage();
            engage();
            if (engagement == null) {
                throw new BackendException(Failure.of(
                        "reset virtual machine '" + name() + "'",
                        null,
                        waitingFor,
                        "install or mend a hypervisor backend"));
            }
        } finally {
            lifecycle.unlock();
        }
    }

    @Override
    public MoveForecast forecast(String backendFilter) {
        return new MoveForecast(status(), backendFilter, List.of(), List.of(), List.of(NO_MOVES));
    }

    @Override
    public CompletionStage<MoveResult> move(String backendFilter) {
        return stayed();
    }

    @Override
    public CompletionStage<MoveResult> park(String reason) {
        return stayed();
    }

    private CompletionStage<MoveResult> stayed() {
        String here = backend().orElse("");
        return CompletableFuture.completedFuture(
                new MoveResult(MoveResult.Kind.STAYED, here, here, NO_MOVES, Duration.ZERO, MoveResult.Times.NONE));
    }

    @Override
    public Optional<MoveResult> lastMove() {
        return Optional.empty();
    }

    @Override
    public long moves() {
        return 0;
    }

    @Override
    public MovePolicy policy() {
        return request.policy();
    }

    @Override
    public void setPolicy(MovePolicy policy) {
        throw new UnsupportedOperationException(NO_MOVES);
    }

    @Override
    public void startTrace(Path file) throws BackendException {
        Engagement current = engagement;
        if (current == null) {
            throw new IllegalStateException("virtual machine '" + name() + "' cannot be traced: " + status());
        }
        current.partition().startTrace(file);
    }

    @Override
    public void stopTrace() {
        Engagement current = engagement;
        if (current != null) {
            current.partition().stopTrace();
        }
    }

    @Override
    public void setInterruptLine(int line, boolean raised) throws BackendException {
        Engagement current = engagement;
        if (current != null) {
            try {
                current.partition().setInterruptLine(line, raised);
            } catch (IllegalStateException e) {
                // Its backend departed meanwhile: there is no line to move.
                if (!current.partition().isClosed()) {
                    throw e;
                }
            }
        }
    }

    /** Takes up a backend if one will have it and it has none. */
    void backendArrived() {
        lifecycle.lock();
        try {
            if (engagement == null && !closed) {
                engage();
            }
        } finally {
            lifecycle.unlock();
        }
    }

    /** Lets go of a backend that is about to be gone, and takes up another if there is one. Returns when nothing of it is held. */
    void backendDeparting(long serviceId) {
        lifecycle.lock();
        try {
            Engagement current = engagement;
            if (current != null && current.backend().serviceId() == serviceId) {
                endRun(new RunResult(
                        Kind.BACKEND_DEPARTED, 0, "backend " + current.backend().name() + " departed", -1));
                disengage();
                engage();
            }
        } finally {
            lifecycle.unlock();
        }
    }

    private void detached(String reason) {
        GuestRun current = run;
        if (current != null) {
            current.end(new RunResult(Kind.DETACHED, 0, reason, -1));
        }
        // The caller is a commit: the partition can be closed only when it is over.
        later.execute(() -> afterDetached(reason));
    }

    private void afterDetached(String reason) {
        lifecycle.lock();
        try {
            Engagement current = engagement;
            if (current != null && !current.attachment().info().attached()) {
                endRun(new RunResult(Kind.DETACHED, 0, reason, -1));
                disengage();
                waitingFor = reason;
                changed.signalAll();
            }
        } finally {
            lifecycle.unlock();
        }
    }

    private void endRun(RunResult result) {
        GuestRun current = run;
        if (current != null && !current.finished()) {
            current.end(result);
            if (!current.awaitThreads(HANDLERS)) {
                LOG.log(System.Logger.Level.WARNING, "an exit handler of ''{0}'' is still under way", name());
                current.abandon();
            }
        }
    }

    private void engage() {
        List<String> reasons = new ArrayList<>();
        for (Backends.Installed candidate : backends.candidates(request, reasons)) {
            try {
                engagement = Engagement.open(candidate, request, this::detached);
                waitingFor = "";
                changed.signalAll();
                return;
            } catch (BackendException | AttachException | RuntimeException | LinkageError e) {
                reasons.add(candidate.name() + ": " + (e instanceof RuntimeException ? e.toString() : e.getMessage()));
            }
        }
        waitingFor = reasons.isEmpty() ? "none is installed" : String.join("; ", reasons);
        changed.signalAll();
    }

    private void disengage() {
        Engagement current = engagement;
        engagement = null;
        if (current != null) {
            current.close();
        }
    }

    @Override
    public void close() {
        lifecycle.lock();
        try {
            if (closed) {
                return;
            }
            endRun(new RunResult(Kind.CLOSED, 0, "virtual machine '" + name() + "' was closed", -1));
            closed = true;
            disengage();
            changed.signalAll();
        } finally {
            lifecycle.unlock();
        }
        onClosed.accept(this);
    }
}
