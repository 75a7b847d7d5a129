package io.membacking.vm.internal;

import io.membacking.error.BackendException;
import io.membacking.error.Failure;
import io.membacking.region.DriftReport;
import io.membacking.vm.VmRequest;
import java.time.Duration;
import java.util.BitSet;
import java.util.List;
import java.util.concurrent.FutureTask;

/**
 * The steps of a move, each whole or not at all. The guest runs on through all but {@link #cutOver} and {@link #takeOff}, whose time
 * depends on the processors alone, not on memory or regions.
 */
final class Mover {
    private static final System.Logger LOG = System.getLogger(Mover.class.getName());

    private final VmRequest request;
    private final Gate gate;
    private final InterruptLines lines;

    Mover(VmRequest request, Gate gate, InterruptLines lines) {
        this.request = request;
        this.gate = gate;
        this.lines = lines;
    }

    /**
     * Carries the processors over between two engagements on one memory.
     *
     * @param hold how long to wait for exit handlers
     * @throws BackendException why not; the guest goes on where it was
     */
    void cutOver(Engagement from, Engagement to, Duration hold, MoveClock clock) throws BackendException {
        Gate.Errand<GuestState> errand = crossing(from.machine(), to.machine(), () -> requireAttached(to), clock);
        clock.hold();
        try {
            gate.gather(hold, errand);
        } finally {
            clock.gathered();
        }
    }

    /** {@link #cutOver} from a machine onto itself, for who runs its processors. */
    FutureTask<GuestState> summon(BareMachine machine, MoveClock clock) {
        Gate.Errand<GuestState> errand = crossing(machine, machine, () -> {}, clock);
        clock.hold();
        return gate.summon(errand);
    }

    private Gate.Errand<GuestState> crossing(BareMachine from, BareMachine to, Check check, MoveClock clock) {
        return () -> cross(from, to, check, clock);
    }

    /** Of gathered processors, and lets them go on. */
    private GuestState cross(BareMachine from, BareMachine to, Check check, MoveClock clock) throws BackendException {
        clock.gathered();
        BitSet raised = lines.save();
        try {
            check.run();
            GuestState state = clock.saving(() -> GuestState.take(from, gate, raised));
            clock.restoring(() -> {
                state.give(to);
                lines.restore(to.partition(), raised);
            });
            gate.letGo(to.processors());
            clock.released();
            return state;
        } catch (BackendException | RuntimeException | Error e) {
            goOn(from, raised);
            clock.released();
            throw e;
        }
    }

    /** What is looked at while processors are held, and what is wrong thrown. */
    private interface Check {
        void run() throws BackendException;
    }

    private void requireAttached(Engagement to) throws BackendException {
        if (!to.attached()) {
            throw new BackendException(Failure.of(
                    "move '" + request.name() + "'",
                    null,
                    "a change made meanwhile failed in the new partition: "
                            + to.attachment().info().detachedReason(),
                    "repeat the move"));
        }
    }

    private void goOn(BareMachine from, BitSet raised) {
        try {
            lines.restore(from.partition(), raised);
        } catch (BackendException | RuntimeException e) {
            LOG.log(
                    System.Logger.Level.WARNING,
                    "interrupt lines of '" + request.name() + "' moved meanwhile are lost",
                    e);
            lines.adopt(from.partition());
        }
        gate.letGo(from.processors());
    }

    /**
     * Takes the state with nowhere to go. The processors stay out until {@link #land}.
     *
     * @throws BackendException why not; the guest goes on where it was
     */
    GuestState takeOff(Engagement from, Duration hold, MoveClock clock) throws BackendException {
        clock.hold();
        try {
            return gate.gather(hold, () -> {
                clock.gathered();
                return leave(from.machine(), clock);
            });
        } finally {
            clock.gathered();
        }
    }

    private GuestState leave(BareMachine from, MoveClock clock) throws BackendException {
        BitSet raised = lines.save();
        try {
            GuestState state = clock.saving(() -> GuestState.take(from, gate, raised));
            gate.forget();
            return state;
        } catch (BackendException | RuntimeException | Error e) {
            goOn(from, raised);
            clock.released();
            throw e;
        }
    }

    /** Goes on from a state that was taken off. @throws BackendException why not; the state is as good as before */
    void land(GuestState state, Engagement to, MoveClock clock) throws BackendException {
        clock.restoring(() -> {
            requireAttached(to);
            state.give(to.machine());
            lines.restore(to.partition(), (BitSet) state.lines().clone());
        });
        gate.letGo(to.processors());
    }

    /** @throws BackendException naming where the new attachment is not what the regions say */
    void verify(Engagement to) throws BackendException {
        String where = "attachment " + to.attachmentName();
        List<DriftReport.Difference> wrong = request.memory().regions().checkDrift().differences().stream()
                .filter(difference -> difference.where().equals(where))
                .toList();
        if (!wrong.isEmpty()) {
            DriftReport.Difference first = wrong.get(0);
            throw new BackendException(Failure.of(
                    "check what '" + request.name() + "' was moved to",
                    first.range(),
                    "the partition holds " + first.found() + " instead of " + first.expected() + ", and "
                            + (wrong.size() - 1) + " more differences",
                    "look at the drift check of the guest"));
        }
    }
}
