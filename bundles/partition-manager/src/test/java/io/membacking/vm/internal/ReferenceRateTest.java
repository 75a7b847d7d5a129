package io.membacking.vm.internal;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.guests.GuestProgram;
import io.membacking.memory.GuestMemoryManager;
import io.membacking.partition.PartitionBackend;
import io.membacking.partition.reference.ReferenceBackend;
import io.membacking.vm.Outcome;
import io.membacking.vm.Run;
import io.membacking.vm.VirtualMachine;
import io.membacking.vm.VmRequest;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;

/** How fast the reference backend is: {@code -Dtest=ReferenceRateTest -Dmembacking.rate=10} prints so many figures. */
@EnabledIfSystemProperty(named = "membacking.rate", matches = "\\d+")
class ReferenceRateTest {
    /** Add, store, compare with memory, branch. */
    private static final int INSTRUCTIONS_OF_A_LAP = 4;

    private static final long COUNTER = 0x200000;

    @Test
    void aLoopOfFourInstructions() throws Exception {
        try (ReferenceBackend reference = new ReferenceBackend();
                TestWorld world = new TestWorld()) {
            world.machines.backendArrived(new Backends.Installed(
                    reference, "reference", "test", 0, 1, Map.of(PartitionBackend.NAME, "reference")));
            GuestMemoryManager memory = world.memory("rate", 16 << 20);
            VirtualMachine vm = world.machines.create(VmRequest.of("rate", memory));
            TestWorld.load(memory, GuestProgram.USER_COUNTER);
            TestWorld.prepare(
                    vm,
                    0,
                    GuestProgram.USER_COUNTER,
                    TestWorld.registers(GuestProgram.USER_COUNTER, 0, TestWorld.END, 0, 0, 0, COUNTER));
            Run run = vm.start((processor, exit) -> Outcome.unhandled());
            for (int i = 0; i < Integer.getInteger("membacking.rate"); i++) {
                long laps = memory.memory().readLong(COUNTER);
                long start = System.nanoTime();
                while (System.nanoTime() - start < TimeUnit.SECONDS.toNanos(1)) {
                    LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(10));
                }
                laps = memory.memory().readLong(COUNTER) - laps;
                assertTrue(laps > 0);
                System.out.printf(
                        "%.1f million instructions a second%n",
                        laps * INSTRUCTIONS_OF_A_LAP * 1e3 / (System.nanoTime() - start));
            }
            run.stop(0, "enough");
        }
    }
}
