package io.membacking.itests.felix;

import io.membacking.guests.GuestProgram;
import io.membacking.itests.support.Conditions;
import io.membacking.itests.support.Container;
import io.membacking.machine.BootSource;
import io.membacking.machine.Machine;
import io.membacking.machine.MachineConfig;
import io.membacking.machine.Machines;
import io.membacking.vm.Run;
import io.membacking.vm.RunResult;
import java.util.concurrent.atomic.AtomicInteger;

/** A machine whose guest counts for ever in the first word of its memory. */
final class RunningGuest {
    private static final AtomicInteger NUMBER = new AtomicInteger();
    /** Where it counts. */
    static final long COUNT = 0;

    final Machine machine;
    private Run run;

    private RunningGuest(Machine machine) throws Exception {
        this.machine = machine;
        this.run = machine.start();
        awaitCounting();
    }

    static RunningGuest start(Container container) throws Exception {
        BootSource counter = new BootSource.Flat(
                "counter", GuestProgram.PROTECTED_COUNTER.bytes(), 0x8000, BootSource.Mode.PROTECTED);
        return new RunningGuest(container
                .await(Machines.class)
                .create(MachineConfig.of("counter-" + NUMBER.incrementAndGet(), counter)));
    }

    int count() {
        return machine.memory().memory().readInt(COUNT);
    }

    void awaitCounting() {
        int before = count();
        Conditions.await(
                () -> count() != before,
                Container.DEADLINE,
                () -> machine.name() + " does not count: " + machine.vm().status() + ", " + run.result());
    }

    RunResult awaitEnd() throws InterruptedException {
        return run.await(Container.DEADLINE)
                .orElseThrow(() -> new AssertionError(
                        machine.name() + " runs on: " + machine.vm().status()));
    }
}
