package io.membacking.vm.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.guests.GuestProgram;
import io.membacking.memory.GuestMemoryManager;
import io.membacking.partition.Availability;
import io.membacking.partition.Exit;
import io.membacking.partition.PartitionBackend;
import io.membacking.partition.kvm.KvmBackend;
import io.membacking.partition.reference.ReferenceBackend;
import io.membacking.vm.MoveResult;
import io.membacking.vm.Outcome;
import io.membacking.vm.Run;
import io.membacking.vm.VirtualMachine;
import io.membacking.vm.VmRequest;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A guest that began where the reference backend was all there was, and KVM comes later. */
@Timeout(120)
class ReferenceFirstTest {
    private static final long MIB = 1 << 20;
    private static final long STATUS = 0x200000;
    private static final int ROUNDS = 5;

    @Test
    void guestThatBeganOnTheReferenceBackendGoesToKvmWhenItArrivesAndBack() throws Exception {
        try (ReferenceBackend reference = new ReferenceBackend();
                KvmBackend kvm = new KvmBackend();
                TestWorld world = new TestWorld()) {
            Availability availability = kvm.availability();
            String remedy = "KVM is needed: " + availability.reason() + "; " + availability.remedy();
            if ("all".equals(System.getProperty("membacking.require"))) {
                assertTrue(availability.usable(), remedy);
            }
            Assumptions.assumeTrue(availability.usable(), remedy);
            arrive(world, reference, -1000, 1);
            GuestMemoryManager memory = world.memory("migrant", 16 * MIB);
            VirtualMachine vm = world.machines.create(VmRequest.of("migrant", memory));
            assertEquals(Optional.of("reference"), vm.backend());
            TestWorld.load(memory, GuestProgram.USER_MIGRANT);
            memory.memory().writeLong(STATUS + 32, 1); // integers alone from the beginning
            memory.memory().writeLong(STATUS + 40, 1);
            TestWorld.prepare(
                    vm,
                    0,
                    GuestProgram.USER_MIGRANT,
                    TestWorld.registers(GuestProgram.USER_MIGRANT, 0, TestWorld.END, 0, MIB, 0x300000, STATUS));
            AtomicLong wrong = new AtomicLong(-1);
            Run run = vm.start((processor, exit) -> {
                if (exit instanceof Exit.Mmio mmio && !mmio.input() && mmio.gpa() == TestWorld.END) {
                    wrong.set(mmio.value());
                    return Outcome.stop(0, "ended");
                }
                return Outcome.unhandled();
            });
            awaitLaps(memory, run);
            arrive(world, kvm, 0, 2);
            for (int i = 0; i < ROUNDS; i++) {
                moveTo(vm, "kvm");
                awaitLaps(memory, run);
                moveTo(vm, "reference");
                awaitLaps(memory, run);
            }
            moveTo(vm, "kvm");
            memory.memory().writeLong(STATUS + 8, 1);
            assertEquals(
                    "ended", run.await(Duration.ofSeconds(60)).orElseThrow().reason());
            assertEquals(
                    0,
                    wrong.get(),
                    () -> "the first check that failed: " + memory.memory().readLong(STATUS + 24));
            assertEquals(
                    GuestProgram.migrantDigest(memory.memory().readLong(STATUS)),
                    memory.memory().readLong(STATUS + 56),
                    "a lap is lost or repeated");
            assertEquals(2 * ROUNDS + 1, vm.moves());
        }
    }

    private static void arrive(TestWorld world, PartitionBackend backend, int ranking, long serviceId) {
        world.machines.backendArrived(new Backends.Installed(
                backend,
                backend.name(),
                "test " + serviceId,
                ranking,
                serviceId,
                Map.of(PartitionBackend.NAME, backend.name())));
    }

    private static void awaitLaps(GuestMemoryManager memory, Run run) {
        long laps = memory.memory().readLong(STATUS);
        while (memory.memory().readLong(STATUS) <= laps + 2) {
            assertTrue(run.result().isEmpty(), () -> run.result().toString());
            LockSupport.parkNanos(50_000);
        }
    }

    private static void moveTo(VirtualMachine vm, String backend) throws Exception {
        MoveResult result = vm.move("(membacking.backend=" + backend + ")")
                .toCompletableFuture()
                .get(60, TimeUnit.SECONDS);
        assertEquals(MoveResult.Kind.MOVED, result.kind(), result.reason());
        assertEquals(Optional.of(backend), vm.backend());
    }
}
