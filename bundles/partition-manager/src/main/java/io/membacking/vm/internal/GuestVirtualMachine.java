package io.membacking.vm.internal;

import io.membacking.error.AttachException;
import io.membacking.error.BackendException;
import io.membacking.error.Failure;
import io.membacking.error.MembackingException;
import io.membacking.memory.GuestMemoryManager;
import io.membacking.partition.CpuModel;
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
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * A virtual machine: see {@link VirtualMachine}. What changes its engagement holds the lifecycle lock. It has an engagement, or a
 * parked state, or waits for its first backend.
 */
final class GuestVirtualMachine implements VirtualMachine {
    private static final System.Logger LOG = System.getLogger(GuestVirtualMachine.class.getName());

    /**
     * How long a departing backend waits for all there is to do: well below the five seconds after which the component runtime gives
     * up on a lock. An exit handler that is longer under way finds its processor closed when it comes back.
     */
    private static final Duration DEPARTURE = Duration.ofSeconds(3);

    /** How long a move on request waits for exit handlers; a departing backend may have to wait for that move. */
    private static final Duration REQUEST = Duration.ofSeconds(1);

    private final VmRequest request;
    private final Backends backends;
    private final Executor later;
    private final Consumer<GuestVirtualMachine> onClosed;
    private final ReentrantLock lifecycle = new ReentrantLock(true);
    private final Condition changed = lifecycle.newCondition();
    private final Gate gate;
    private final InterruptLines lines = new InterruptLines();
    private final Mover mover;
    private volatile @Nullable Engagement engagement;
    private volatile @Nullable Parked parked;
    private volatile @Nullable GuestRun run;
    private volatile String waitingFor = "";
    private volatile boolean closed;
    private volatile MovePolicy policy;
    private volatile @Nullable MoveResult lastMove;
    private final AtomicLong moves = new AtomicLong();

    /**
     * What is kept while there is no backend.
     *
     * @param backend the name of the one it was on
     * @param untilAsked whether it waits for a request, not for a backend
     */
    private record Parked(GuestState state, String backend, String reason, boolean untilAsked) {}

    /**
     * @param later runs what a commit's or a processor's thread must not do itself, one after the other
     * @param onClosed told when it has closed
     */
    GuestVirtualMachine(VmRequest request, Backends backends, Executor later, Consumer<GuestVirtualMachine> onClosed) {
        this.request = request;
        this.backends = backends;
        this.later = later;
        this.onClosed = onClosed;
        this.policy = request.policy();
        this.gate = new Gate(request.name());
        this.mover = new Mover(request, gate, lines);
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
        if (parked != null) {
            return VmState.PARKED;
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
        Parked kept = parked;
        return switch (state()) {
            case PARKED ->
                "parked: " + (kept == null ? "" : kept.reason() + "; ") + (waitingFor.isEmpty() ? "" : waitingFor);
            case CLOSED -> "closed";
            case WAITING -> "waiting for a backend: " + waitingFor;
            case READY -> "ready" + on(current);
            case RUNNING -> "running" + on(current);
        };
    }

    private static String on(@Nullable Engagement current) {
        return current == null ? "" : " on " + current.backend().title();
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
            if (!closed) {
                takeUp();
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
            disengage();
            parked = null;
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
        Backends.checkFilter(backendFilter);
        lifecycle.lock();
        try {
            List<String> obstacles = new ArrayList<>();
            List<Backends.Installed> targets = targets(matching(backendFilter), obstacles);
            for (Backends.Installed target : targets) {
                Compatibility compatibility = compatibility(target);
                if (!compatibility.obstacles().isEmpty()) {
                    continue;
                }
                try {
                    Engagement.rehearse(target, request, model());
                    return new MoveForecast(
                            status(), target.title(), compatibility.carried(), compatibility.lost(), List.of());
                } catch (BackendException | RuntimeException | LinkageError e) {
                    obstacles.add(target.title() + ": " + text(e));
                }
            }
            if (targets.isEmpty()) {
                return new MoveForecast(status(), "", List.of(), List.of(), noTarget(backendFilter, obstacles));
            }
            Compatibility best = compatibility(targets.get(0));
            targets.forEach(t -> compatibility(t).obstacles().forEach(o -> obstacles.add(t.title() + ": " + o)));
            return new MoveForecast(status(), targets.get(0).title(), best.carried(), best.lost(), obstacles);
        } finally {
            lifecycle.unlock();
        }
    }

    private static List<String> noTarget(String filter, List<String> refused) {
        List<String> all = new ArrayList<>(refused);
        all.add(filter.isEmpty() ? "no other backend is installed" : "no other backend matches " + filter);
        return all;
    }

    @Override
    public CompletionStage<MoveResult> move(String backendFilter) {
        Backends.checkFilter(backendFilter);
        return whenFree(() -> moveNow(backendFilter, matching(backendFilter), "asked for"));
    }

    @Override
    public CompletionStage<MoveResult> park(String reason) {
        return whenFree(() -> parkNow(reason));
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
            return closed ? stayed("it was closed", new MoveClock(name())) : moving.now();
        } catch (RuntimeException | Error e) {
            LOG.log(System.Logger.Level.ERROR, "a move of '" + name() + "' failed", e);
            return ended(stayed(e.toString(), new MoveClock(name())));
        } finally {
            lifecycle.unlock();
        }
    }

    private static Predicate<Backends.Installed> matching(String filter) {
        return one -> filter.isEmpty() || one.matches(filter);
    }

    private MoveResult moveNow(String filter, Predicate<Backends.Installed> wanted, String reason) {
        List<String> reasons = new ArrayList<>();
        List<Backends.Installed> targets = targets(wanted, reasons);
        if (targets.isEmpty()) {
            reasons = noTarget(filter, reasons);
        }
        MoveClock clock = new MoveClock(name());
        String from = here();
        MoveResult result = parked != null
                ? land(targets, reasons, reason, clock)
                : engagement != null ? fly(targets, reasons, reason, () -> REQUEST, clock) : begin(targets, reason);
        return ended(result != null ? result : stayed(from, String.join("; ", reasons), clock));
    }

    /** Takes up a backend for the first time. */
    private @Nullable MoveResult begin(List<Backends.Installed> targets, String reason) {
        engage(targets, new ArrayList<>());
        return engagement == null ? null : moved("", reason, new MoveClock(name()));
    }

    private MoveResult parkNow(String reason) {
        Engagement current = engagement;
        MoveClock clock = new MoveClock(name());
        if (current == null) {
            return ended(stayed("it has no backend to leave", clock));
        }
        try {
            return ended(takeOff(current, reason, true, REQUEST, clock));
        } catch (BackendException | RuntimeException | LinkageError e) {
            return ended(stayed(text(e), clock));
        }
    }

    /**
     * Tries the targets in turn.
     *
     * @param reasons takes why one would not have it
     * @param hold how long to wait for exit handlers, asked once the other partition is prepared
     * @return null if none has it: it goes on where it was
     */
    private @Nullable MoveResult fly(
            List<Backends.Installed> targets,
            List<String> reasons,
            String reason,
            Supplier<Duration> hold,
            MoveClock clock) {
        for (Backends.Installed target : targets) {
            Engagement from = engagement;
            if (from == null) {
                return null;
            }
            List<String> obstacles = compatibility(target).obstacles();
            if (!obstacles.isEmpty()) {
                reasons.add(target.title() + ": " + String.join(", ", obstacles));
                continue;
            }
            try {
                String left = from.backend().title();
                fly(from, target, hold, clock);
                return moved(left, reason, clock);
            } catch (MembackingException | RuntimeException | LinkageError e) {
                reasons.add(target.title() + ": " + text(e));
            }
        }
        return null;
    }

    /** @throws MembackingException with the guest going on where it was, and nothing left in the target */
    private void fly(Engagement from, Backends.Installed target, Supplier<Duration> hold, MoveClock clock)
            throws MembackingException {
        Engagement to = clock.preparing(() -> open(target, otherThan(from)));
        try {
            mover.cutOver(from, to, hold.get(), clock);
        } catch (BackendException | RuntimeException | Error e) {
            to.close();
            throw e;
        }
        engagement = to;
        try {
            clock.verifying(() -> mover.verify(to));
        } catch (BackendException drift) {
            goBack(from, to, drift, clock);
            throw drift;
        }
        clock.closing(from);
    }

    /** The old partition is still whole: better there than on one that is not what it should be. */
    private void goBack(Engagement from, Engagement to, BackendException drift, MoveClock clock) {
        try {
            mover.cutOver(to, from, REQUEST, clock);
            engagement = from;
            to.close();
        } catch (BackendException | RuntimeException e) {
            drift.addSuppressed(e);
            LOG.log(System.Logger.Level.WARNING, "cannot move '" + name() + "' back", drift);
            clock.closing(from);
        }
    }

    private String otherThan(Engagement current) {
        return current.attachmentName().equals(name()) ? name() + " (moved)" : name();
    }

    private Engagement open(Backends.Installed target, String attachment) throws BackendException, AttachException {
        return Engagement.open(target, request, attachment, model(), gate, this::detached);
    }

    /** @throws BackendException with the guest going on where it was */
    private MoveResult takeOff(Engagement from, String reason, boolean untilAsked, Duration time, MoveClock clock)
            throws BackendException {
        GuestState state = mover.takeOff(from, time, clock);
        parked = new Parked(state, from.backend().name(), reason, untilAsked);
        engagement = null;
        waitingFor = "";
        String left = from.backend().title();
        clock.closing(from);
        changed.signalAll();
        return new MoveResult(MoveResult.Kind.PARKED, left, "", reason, Duration.ZERO, clock.times());
    }

    /** @return null if none has it: it stays parked */
    private @Nullable MoveResult land(
            List<Backends.Installed> targets, List<String> reasons, String reason, MoveClock clock) {
        Parked kept = parked;
        if (kept == null) {
            return null;
        }
        for (Backends.Installed target : targets) {
            List<String> obstacles = compatibility(target).obstacles();
            if (!obstacles.isEmpty()) {
                reasons.add(target.title() + ": " + String.join(", ", obstacles));
                continue;
            }
            Engagement to = null;
            try {
                to = clock.preparing(() -> open(target, name()));
                engagement = to;
                mover.land(kept.state(), to, clock);
                parked = null;
                waitingFor = "";
                changed.signalAll();
                return moved("", reason, clock);
            } catch (MembackingException | RuntimeException | LinkageError e) {
                engagement = null;
                if (to != null) {
                    to.close();
                }
                reasons.add(target.title() + ": " + text(e));
            }
        }
        waitingFor = reasons.isEmpty() ? "no backend is installed" : String.join("; ", reasons);
        return null;
    }

    private MoveResult moved(String from, String reason, MoveClock clock) {
        moves.incrementAndGet();
        changed.signalAll();
        return new MoveResult(MoveResult.Kind.MOVED, from, here(), reason, clock.standStill(), clock.times());
    }

    private MoveResult stayed(String why, MoveClock clock) {
        return stayed(here(), why, clock);
    }

    private MoveResult stayed(String from, String why, MoveClock clock) {
        return parked != null
                ? new MoveResult(MoveResult.Kind.PARKED, from, "", why, clock.standStill(), clock.times())
                : new MoveResult(MoveResult.Kind.STAYED, from, here(), why, clock.standStill(), clock.times());
    }

    private MoveResult ended(MoveResult result) {
        lastMove = result;
        LOG.log(
                result.moved() ? System.Logger.Level.INFO : System.Logger.Level.WARNING,
                "''{0}'' {1} {2} -> {3}: {4}",
                name(),
                result.kind(),
                result.from(),
                result.to(),
                result.reason());
        return result;
    }

    private String here() {
        Engagement current = engagement;
        return current == null ? "" : current.backend().title();
    }

    /** The backends that are wanted and that the policy admits, other than the present one, best first. */
    private List<Backends.Installed> targets(Predicate<Backends.Installed> wanted, List<String> refused) {
        Engagement current = engagement;
        Parked kept = parked;
        List<Backends.Installed> targets = new ArrayList<>();
        for (Backends.Installed one : backends.candidates(request, refused)) {
            if ((current != null && one.serviceId() == current.backend().serviceId()) || !wanted.test(one)) {
                continue;
            }
            if (policy == MovePolicy.PINNED && current != null) {
                refused.add("'" + name() + "' is pinned to " + current.backend().title());
            } else if (policy == MovePolicy.PINNED
                    && kept != null
                    && !one.name().equals(kept.backend())) {
                refused.add("'" + name() + "' is pinned to " + kept.backend() + ", not " + one.title());
            } else {
                targets.add(one);
            }
        }
        return targets;
    }

    private Compatibility compatibility(Backends.Installed target) {
        Engagement current = engagement;
        Parked kept = parked;
        String format = current != null
                ? current.capabilities().stateFormat()
                : kept != null
                        ? kept.state().format()
                        : target.backend().capabilities().stateFormat();
        return Compatibility.of(
                request,
                format,
                target.backend().capabilities(),
                memory().regions().size(),
                current == null ? 0 : current.attachment().mappings().size());
    }

    /** What the guest has taken its processors for, once it has some. */
    private Optional<CpuModel> model() {
        Engagement current = engagement;
        Parked kept = parked;
        return current != null
                ? Optional.of(current.partition().cpuModel())
                : Optional.ofNullable(kept).map(k -> k.state().model());
    }

    private static String text(Throwable e) {
        return e instanceof RuntimeException ? e.toString() : String.valueOf(e.getMessage());
    }

    @Override
    public Optional<MoveResult> lastMove() {
        return Optional.ofNullable(lastMove);
    }

    @Override
    public long moves() {
        return moves.get();
    }

    @Override
    public MovePolicy policy() {
        return policy;
    }

    @Override
    public void setPolicy(MovePolicy policy) {
        this.policy = policy;
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
                takeUp();
                followBest();
            }
        } finally {
            lifecycle.unlock();
        }
    }

    private void takeUp() {
        Parked kept = parked;
        if (kept != null && !kept.untilAsked()) {
            List<String> reasons = new ArrayList<>();
            MoveResult landed = land(targets(one -> true, reasons), reasons, "a backend came", new MoveClock(name()));
            if (landed != null) {
                ended(landed);
            }
        } else if (kept == null && engagement == null) {
            engage();
        }
    }

    private void followBest() {
        Engagement current = engagement;
        if (policy != MovePolicy.TO_BETTER_BACKEND || current == null) {
            return;
        }
        List<Backends.Installed> all = backends.candidates(request, new ArrayList<>());
        int ranking = all.stream()
                .filter(one -> one.serviceId() == current.backend().serviceId())
                .mapToInt(Backends.Installed::ranking)
                .findAny()
                .orElse(Integer.MIN_VALUE);
        if (!all.isEmpty() && all.get(0).ranking() > ranking) {
            long better = all.get(0).serviceId();
            // Whoever brings a backend, or changes its rank, does not wait for the guests.
            laterUnlessClosed(() -> locked(() ->
                    moveNow("(service.id=" + better + ")", one -> one.serviceId() == better, "a better backend came")));
        }
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
     */
    void backendDeparting(long serviceId) {
        lifecycle.lock();
        try {
            Engagement current = engagement;
            if (current != null && current.backend().serviceId() == serviceId) {
                leave(current);
            }
        } finally {
            lifecycle.unlock();
        }
    }

    private void leave(Engagement from) {
        long end = System.nanoTime() + DEPARTURE.toNanos();
        String reason = from.backend().title() + " departs";
        MoveClock clock = new MoveClock(name());
        List<String> reasons = new ArrayList<>();
        GuestRun current = run;
        if (current != null && !current.finished() && current.isOnOwnThread()) {
            // Its own exit would never be finished: this call is in the middle of handling it.
            reasons.add("an exit handler of its own took it away");
        } else {
            List<Backends.Installed> targets = targetsOnDeparture(from, reasons);
            long half = end - DEPARTURE.toNanos() / 2;
            MoveResult moved = fly(targets, reasons, reason, () -> left(half), clock);
            if (moved != null) {
                ended(moved);
                return;
            }
            try {
                MoveResult result = takeOff(from, reason, false, left(end), clock);
                waitingFor = reasons.isEmpty() ? "no other backend is installed" : String.join("; ", reasons);
                ended(result);
                return;
            } catch (BackendException | RuntimeException | LinkageError e) {
                reasons.add(text(e));
            }
        }
        endRun(new RunResult(Kind.BACKEND_DEPARTED, 0, reason + ": " + String.join("; ", reasons), -1), left(end));
        disengage();
        engage();
    }

    private static Duration left(long end) {
        return Duration.ofNanos(Math.max(0, end - System.nanoTime()));
    }

    private List<Backends.Installed> targetsOnDeparture(Engagement from, List<String> refused) {
        List<Backends.Installed> targets = new ArrayList<>();
        for (Backends.Installed one : backends.candidates(request, refused)) {
            if (policy == MovePolicy.PINNED && !one.name().equals(from.backend().name())) {
                refused.add("'" + name() + "' is pinned to " + from.backend().name() + ", not " + one.title());
            } else {
                targets.add(one);
            }
        }
        return targets;
    }

    private void detached(String attachment, String reason) {
        Engagement affected = engagement;
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
            Engagement current = engagement;
            if (current != null && !current.attached()) {
                endRun(new RunResult(Kind.DETACHED, 0, reason, -1), DEPARTURE);
                disengage();
                waitingFor = reason;
                changed.signalAll();
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

    private void engage() {
        List<String> reasons = new ArrayList<>();
        engage(backends.candidates(request, reasons), reasons);
    }

    private void engage(List<Backends.Installed> candidates, List<String> reasons) {
        for (Backends.Installed candidate : candidates) {
            try {
                Engagement next = open(candidate, name());
                engagement = next;
                lines.reset(next.partition());
                gate.letGo(next.processors());
                waitingFor = "";
                changed.signalAll();
                return;
            } catch (BackendException | AttachException | RuntimeException | LinkageError e) {
                reasons.add(candidate.name() + ": " + text(e));
            }
        }
        waitingFor = reasons.isEmpty() ? "none is installed" : String.join("; ", reasons);
        changed.signalAll();
    }

    private void disengage() {
        Engagement current = engagement;
        engagement = null;
        if (current != null) {
            lines.reset(null);
            gate.forget();
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
            endRun(new RunResult(Kind.CLOSED, 0, "virtual machine '" + name() + "' was closed", -1), DEPARTURE);
            closed = true;
            disengage();
            parked = null;
            changed.signalAll();
        } finally {
            lifecycle.unlock();
        }
        onClosed.accept(this);
    }
}
