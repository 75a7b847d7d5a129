package io.membacking.vm.internal;

import io.membacking.error.AttachException;
import io.membacking.error.BackendException;
import io.membacking.error.MembackingException;
import io.membacking.partition.CpuModel;
import io.membacking.vm.MoveForecast;
import io.membacking.vm.MovePolicy;
import io.membacking.vm.MoveResult;
import io.membacking.vm.VmRequest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BiConsumer;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Where a virtual machine is: engaged on a backend, parked with its state, or nowhere yet; and the ways between. What changes it is for
 * one thread at a time, which holds the machine's lifecycle lock; what only looks is for any.
 */
final class Placement {
    private static final System.Logger LOG = System.getLogger(Placement.class.getName());

    /** How long a move back waits for exit handlers. */
    private static final Duration BACK = Duration.ofSeconds(1);

    /** Ten times what processors take that are in no long exit handler, on a busy machine. */
    private static final Duration LEAST_PATIENCE = Duration.ofMillis(50);

    private final VmRequest request;
    private final Backends backends;
    private final Destinations destinations;
    private final Gate gate;
    private final InterruptLines lines;
    private final Mover mover;
    private final BiConsumer<String, String> onDetached;
    private final Runnable onChanged;
    private final AtomicLong moves = new AtomicLong();
    private volatile @Nullable Engagement engagement;
    private volatile @Nullable Parked parked;
    private volatile String waitingFor = "";
    private volatile MovePolicy policy;
    private volatile @Nullable MoveResult lastMove;

    /**
     * What is kept while there is no backend.
     *
     * @param backend the name of the one it was on
     * @param untilAsked whether it waits for a request, not for a backend
     */
    private record Parked(GuestState state, String backend, String reason, boolean untilAsked) {}

    /**
     * @param onDetached told an attachment's name and why, once that has lost its memory in a commit
     * @param onChanged told, with the lifecycle lock held, that it is somewhere else
     */
    Placement(
            VmRequest request,
            Backends backends,
            Gate gate,
            InterruptLines lines,
            BiConsumer<String, String> onDetached,
            Runnable onChanged) {
        this.request = request;
        this.backends = backends;
        this.destinations = new Destinations(request, backends);
        this.gate = gate;
        this.lines = lines;
        this.mover = new Mover(request, gate, lines);
        this.onDetached = onDetached;
        this.onChanged = onChanged;
        this.policy = request.policy();
    }

    // ---- to be seen

    @Nullable
    Engagement engagement() {
        return engagement;
    }

    boolean isParked() {
        return parked != null;
    }

    /** What it runs on; empty if on nothing. */
    String here() {
        Engagement current = engagement;
        return current == null ? "" : current.backend().title();
    }

    /** Why it is parked, or waits. */
    String reason() {
        Parked kept = parked;
        return (kept == null ? "" : kept.reason() + (waitingFor.isEmpty() ? "" : "; ")) + waitingFor;
    }

    long moves() {
        return moves.get();
    }

    Optional<MoveResult> lastMove() {
        return Optional.ofNullable(lastMove);
    }

    MovePolicy policy() {
        return policy;
    }

    void setPolicy(MovePolicy next) {
        policy = next;
    }

    // ---- without moving

    /** Takes up the best backend that will have it, afresh; if none will it waits, and {@link #reason} says why. */
    void engage() {
        List<String> reasons = new ArrayList<>();
        engage(backends.candidates(request, reasons), reasons);
    }

    private void engage(List<Backends.Installed> candidates, List<String> reasons) {
        for (Backends.Installed candidate : candidates) {
            try {
                Engagement next = open(candidate, request.name());
                engagement = next;
                lines.reset(next.partition());
                gate.letGo(next.processors());
                waitingFor = "";
                onChanged.run();
                return;
            } catch (BackendException | AttachException | RuntimeException | LinkageError e) {
                reasons.add(candidate.name() + ": " + text(e));
            }
        }
        waitFor(reasons.isEmpty() ? "none is installed" : String.join("; ", reasons));
    }

    /** Lets go of everything, the parked state too. */
    void disengage() {
        parked = null;
        Engagement current = engagement;
        engagement = null;
        if (current != null) {
            lines.reset(null);
            gate.forget();
            current.close();
        }
    }

    void waitFor(String reason) {
        waitingFor = reason;
        onChanged.run();
    }

    /** A backend may have come: takes it up if there is none, or goes on there if parked for want of one. */
    void takeUp() {
        Parked kept = parked;
        if (kept != null && !kept.untilAsked()) {
            List<String> reasons = new ArrayList<>();
            MoveResult landed = land(
                    destinations.others(origin(), policy, one -> true, reasons),
                    reasons,
                    "a backend came",
                    new MoveClock(request.name()));
            if (landed != null) {
                ended(landed);
            }
        } else if (kept == null && engagement == null) {
            engage();
        }
    }

    // ---- moving

    /** The service of a backend that ranks higher than the present one, where the policy is to follow it. */
    Optional<Long> better() {
        return destinations.better(origin(), policy);
    }

    /**
     * Moves to the best backend that is wanted, or goes on there.
     *
     * @param filter what is wanted, for people
     * @param hold how long to wait for exit handlers
     */
    MoveResult move(String filter, Predicate<Backends.Installed> wanted, String reason, Duration hold) {
        List<String> reasons = new ArrayList<>();
        List<Backends.Installed> targets = destinations.others(origin(), policy, wanted, reasons);
        if (targets.isEmpty()) {
            reasons = Destinations.none(filter, reasons);
        }
        MoveClock clock = new MoveClock(request.name());
        String from = here();
        MoveResult result = parked != null
                ? land(targets, reasons, reason, clock)
                : engagement != null
                        ? fly(targets, reasons, reason, () -> hold, clock)
                        : begin(targets, reasons, reason);
        return ended(result != null ? result : stayed(from, String.join("; ", reasons), clock));
    }

    /** It has waited for its first backend: it is engaged, which is no move. */
    private @Nullable MoveResult begin(List<Backends.Installed> targets, List<String> reasons, String reason) {
        if (!targets.isEmpty()) {
            engage(targets, reasons);
        }
        return engagement == null
                ? null
                : new MoveResult(MoveResult.Kind.MOVED, "", here(), reason, Duration.ZERO, MoveResult.Times.NONE);
    }

    /** Parks until {@link #move} is called. */
    MoveResult park(String reason, Duration hold) {
        Engagement current = engagement;
        Parked kept = parked;
        MoveClock clock = new MoveClock(request.name());
        if (kept != null) {
            // It waited for a backend; from now on it waits for a request.
            parked = new Parked(kept.state(), kept.backend(), reason, true);
            waitFor("");
            return ended(stayed(here(), reason, clock));
        }
        if (current == null) {
            return ended(stayed(here(), "it has no backend to leave", clock));
        }
        try {
            return ended(takeOff(current, reason, true, hold, clock));
        } catch (BackendException | RuntimeException | LinkageError e) {
            return ended(stayed(here(), text(e), clock));
        }
    }

    /**
     * Leaves a backend that is about to be gone: for the best other, or parks.
     *
     * @param latest when exit handlers must have returned, as {@link System#nanoTime()} tells it
     * @throws BackendException why neither can be; it is on that backend still
     */
    void leave(Engagement from, String reason, long latest) throws BackendException {
        MoveClock clock = new MoveClock(request.name());
        List<String> reasons = new ArrayList<>();
        long half = System.nanoTime() + until(latest).dividedBy(2).toNanos();
        try {
            MoveResult moved =
                    fly(destinations.onDeparture(origin(), policy, reasons), reasons, reason, () -> until(half), clock);
            if (moved != null) {
                ended(moved);
                return;
            }
            MoveResult result = takeOff(from, reason, false, until(latest), clock);
            waitFor(reasons.isEmpty() ? "no other backend is installed" : String.join("; ", reasons));
            ended(result);
        } finally {
            clock.finish();
        }
    }

    /** What is left until then. Never nothing: processors need a moment, though another guest has used up the time. */
    static Duration until(long nanoTime) {
        return Duration.ofNanos(Math.max(LEAST_PATIENCE.toNanos(), nanoTime - System.nanoTime()));
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
            if (from == null || !destinations.admits(origin(), target, reasons)) {
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
        Engagement to = clock.preparing(() -> prepare(from, target, hold.get().dividedBy(50)));
        try {
            mover.cutOver(from, to, hold.get(), clock);
        } catch (BackendException | RuntimeException | Error e) {
            to.close();
            throw e;
        }
        engagement = to;
        try {
            clock.verifying(() -> mover.verify(to));
        } catch (BackendException | RuntimeException | LinkageError drift) {
            // The old partition is still whole: better there than on one that is not what it should be, or cannot be
            // asked.
            if (goBack(from, to, drift, clock)) {
                throw drift;
            }
        }
        clock.closing(from);
    }

    /** @param rehearsing how long to rehearse: of a time that many guests share, each is to take a little */
    private Engagement prepare(Engagement from, Backends.Installed target, Duration rehearsing)
            throws MembackingException {
        Engagement to = open(target, otherThan(from));
        try {
            // Last of all, for what was compiled and fetched to be still there when it counts.
            Rehearsal.hold(target, request, model(), rehearsing);
            return to;
        } catch (BackendException | RuntimeException | Error e) {
            to.close();
            throw e;
        }
    }

    private boolean goBack(Engagement from, Engagement to, Throwable drift, MoveClock clock) {
        try {
            mover.cutOver(to, from, BACK, clock);
        } catch (BackendException | RuntimeException | LinkageError e) {
            drift.addSuppressed(e);
            LOG.log(System.Logger.Level.ERROR, "'" + request.name() + "' drifts and cannot be moved back", drift);
            return false;
        }
        engagement = from;
        to.close();
        return true;
    }

    private String otherThan(Engagement current) {
        String name = request.name();
        return current.attachmentName().equals(name) ? name + " (moved)" : name;
    }

    private Engagement open(Backends.Installed target, String attachment) throws BackendException, AttachException {
        return Engagement.open(target, request, attachment, model(), gate, onDetached);
    }

    /** @throws BackendException with the guest going on where it was */
    private MoveResult takeOff(Engagement from, String reason, boolean untilAsked, Duration hold, MoveClock clock)
            throws BackendException {
        GuestState state = mover.takeOff(from, hold, clock);
        parked = new Parked(state, from.backend().name(), reason, untilAsked);
        engagement = null;
        String left = from.backend().title();
        clock.closing(from);
        waitFor("");
        return new MoveResult(MoveResult.Kind.PARKED, left, "", reason, Duration.ZERO, clock.finish());
    }

    /** @return null if none has it: it stays parked */
    private @Nullable MoveResult land(
            List<Backends.Installed> targets, List<String> reasons, String reason, MoveClock clock) {
        Parked kept = parked;
        for (Backends.Installed target : targets) {
            if (kept == null || !destinations.admits(origin(), target, reasons)) {
                continue;
            }
            Engagement to = null;
            try {
                to = clock.preparing(() -> open(target, request.name()));
                engagement = to;
                mover.land(kept.state(), to, clock);
                parked = null;
                waitingFor = "";
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
        onChanged.run();
        return new MoveResult(MoveResult.Kind.MOVED, from, here(), reason, clock.standStill(), clock.finish());
    }

    private MoveResult stayed(String from, String why, MoveClock clock) {
        return parked != null
                ? new MoveResult(MoveResult.Kind.PARKED, from, "", why, clock.standStill(), clock.finish())
                : new MoveResult(MoveResult.Kind.STAYED, from, here(), why, clock.standStill(), clock.finish());
    }

    /** A move that did not even begin. */
    MoveResult stayed(String why) {
        return ended(stayed(here(), why, new MoveClock(request.name())));
    }

    private MoveResult ended(MoveResult result) {
        lastMove = result;
        LOG.log(
                result.moved() ? System.Logger.Level.INFO : System.Logger.Level.WARNING,
                "''{0}'' {1} {2} -> {3}: {4}",
                request.name(),
                result.kind(),
                result.from(),
                result.to(),
                result.reason());
        return result;
    }

    // ---- where it may go

    /** What {@link #move} would do: makes a partition to see, and leaves nothing. */
    MoveForecast forecast(String now, String filter, Predicate<Backends.Installed> wanted) {
        List<String> obstacles = new ArrayList<>();
        List<Backends.Installed> targets = destinations.others(origin(), policy, wanted, obstacles);
        if (targets.isEmpty()) {
            return new MoveForecast(now, "", List.of(), List.of(), Destinations.none(filter, obstacles));
        }
        for (Backends.Installed target : targets) {
            if (destinations.admits(origin(), target, obstacles)) {
                try {
                    Rehearsal.hold(target, request, model(), Duration.ZERO);
                    Compatibility found = destinations.compatibility(origin(), target);
                    return new MoveForecast(now, target.title(), found.carried(), found.lost(), List.of());
                } catch (BackendException | RuntimeException | LinkageError e) {
                    obstacles.add(target.title() + ": " + text(e));
                }
            }
        }
        Compatibility best = destinations.compatibility(origin(), targets.get(0));
        return new MoveForecast(now, targets.get(0).title(), best.carried(), best.lost(), obstacles);
    }

    private Destinations.Origin origin() {
        Engagement current = engagement;
        Parked kept = parked;
        if (current != null) {
            return new Destinations.Origin(
                    current.backend(),
                    current.backend().name(),
                    current.capabilities().stateFormat(),
                    current.attachment().mappings().size());
        }
        return kept == null
                ? Destinations.Origin.NOWHERE
                : new Destinations.Origin(null, kept.backend(), kept.state().format(), 0);
    }

    /** What the guest has taken its processors for, once it has some. */
    private Optional<CpuModel> model() {
        Engagement current = engagement;
        Parked kept = parked;
        return current != null
                ? Optional.of(current.model())
                : Optional.ofNullable(kept).map(k -> k.state().model());
    }

    private static String text(Throwable e) {
        return e instanceof RuntimeException ? e.toString() : String.valueOf(e.getMessage());
    }
}
