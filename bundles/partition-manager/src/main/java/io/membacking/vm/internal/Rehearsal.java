package io.membacking.vm.internal;

import io.membacking.error.BackendException;
import io.membacking.partition.CpuModel;
import io.membacking.vm.Outcome;
import io.membacking.vm.VmRequest;
import io.membacking.vm.internal.Gate.Pass;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.FutureTask;

/**
 * Goes through what a guest stands still for when it moves, on a machine that is made for it and thrown away: processors come out,
 * their state is taken and set, and they go on. What the backend would refuse is found while the guest still runs, and no guest waits
 * for classes to be loaded and code to be compiled.
 *
 * <p>On the caller's thread alone, whose processors are cancelled before they enter: another thread would take host processors from the
 * guest. Not on the machine that is to be used: its processors would have to be fetched from this thread's host processor, which
 * costs more than it gains.
 */
final class Rehearsal {
    /**
     * For how long it is repeated at most: some hundred times. Once loads the classes; what has run some thousand times is compiled
     * best.
     */
    private static final Duration LONGEST = Duration.ofMillis(20);

    private final String name;
    private final BareMachine machine;
    private final Gate gate;
    private final Mover mover;
    private final GuestRun run;

    private Rehearsal(VmRequest request, BareMachine machine) {
        this.name = request.name();
        this.machine = machine;
        gate = new Gate(name);
        InterruptLines lines = new InterruptLines(name, request.interruptControllers());
        mover = new Mover(request, gate, lines);
        run = new GuestRun(name, request.processors(), gate, (processor, exit) -> Outcome.resume(), () -> {});
        gate.letGo(machine.processors());
        lines.reset(machine.partition());
    }

    /**
     * @param model the processor that the guest knows already
     * @param most how long it may be repeated; once it is held in any case
     * @throws BackendException why the backend would not
     */
    static void hold(Backends.Installed backend, VmRequest request, Optional<CpuModel> model, Duration most)
            throws BackendException {
        try (BareMachine machine = BareMachine.open(backend, request, model)) {
            Rehearsal rehearsal = new Rehearsal(request, machine);
            long end = System.nanoTime() + Math.min(LONGEST.toNanos(), most.toNanos());
            do {
                rehearsal.once();
            } while (System.nanoTime() - end < 0);
        }
    }

    private void once() throws BackendException {
        int processors = machine.processors().size();
        try {
            for (int i = 0; i < processors; i++) {
                run.pass(i);
            }
            FutureTask<GuestState> moved = summon();
            for (int i = 0; i < processors; i++) {
                run.step(i, Pass.ENTER); // comes out at once, and the last of them moves
            }
            settle(moved);
            settle(summon()); // as after an exit's handler
        } catch (BackendException | RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException("no processor throws that, and none waits", e);
        }
    }

    private FutureTask<GuestState> summon() {
        return mover.summon(machine, new MoveClock(name));
    }

    /** Those that may have something left of an exit finish it, and the last of them moves, unless it has. */
    private void settle(FutureTask<GuestState> moved) throws Throwable {
        for (int i = 0; !moved.isDone(); i = (i + 1) % machine.processors().size()) {
            if (!gate.isWhole(i)) {
                run.step(i, run.pass(i));
            }
        }
        Gate.result(moved);
    }
}
