package io.membacking.vm.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.guests.GuestProgram;
import io.membacking.host.Backing;
import io.membacking.memory.DeviceMemory;
import io.membacking.memory.GuestMemoryManager;
import io.membacking.memory.MemoryLayout;
import io.membacking.memory.RamRange;
import io.membacking.memory.RamVisibility;
import io.membacking.partition.Availability;
import io.membacking.partition.Exit;
import io.membacking.partition.PartitionBackend;
import io.membacking.partition.ProcessorState.GeneralRegisters;
import io.membacking.partition.kvm.KvmBackend;
import io.membacking.partition.reference.ReferenceBackend;
import io.membacking.partition.whp.WhpBackend;
import io.membacking.range.MemoryRange;
import io.membacking.vm.MoveResult;
import io.membacking.vm.Outcome;
import io.membacking.vm.Run;
import io.membacking.vm.RunResult;
import io.membacking.vm.VirtualMachine;
import io.membacking.vm.VmRequest;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * Real guests moved between two backends on the real KVM while they run, without one wrong value. {@code -Dmembacking.moves=1000}
 * sets how often; the default keeps a build short.
 */
@Timeout(600)
class MovingGuestsTest {
    /** What makes the WHP backend use another library than Windows'. */
    private static final String WHP_LIBRARY = "membacking.whp.shim";

    private static final int MOVES = Integer.getInteger("membacking.moves", 50);
    private static final long MIB = 1 << 20;
    private static final Duration LONG = Duration.ofSeconds(60);

    private final TestWorld world = new TestWorld();
    private final KvmBackend first = new KvmBackend();
    private final KvmBackend second = new KvmBackend();

    @BeforeEach
    void needsKvm() {
        Availability availability = first.availability();
        String remedy = "KVM is needed: " + availability.reason() + "; " + availability.remedy();
        if ("all".equals(System.getProperty("membacking.require"))) {
            assertTrue(availability.usable(), remedy);
        }
        Assumptions.assumeTrue(availability.usable(), remedy);
        arrive(first, 1);
        arrive(second, 2);
    }

    @AfterEach
    void close() {
        world.close();
        first.close();
        second.close();
    }

    private void arrive(KvmBackend backend, long serviceId) {
        world.machines.backendArrived(new Backends.Installed(
                backend, "kvm", "test " + serviceId, 0, serviceId, Map.of(PartitionBackend.NAME, "kvm")));
    }

    private static MoveResult move(VirtualMachine vm) throws Exception {
        MoveResult result = vm.move("").toCompletableFuture().get(60, TimeUnit.SECONDS);
        assertEquals(MoveResult.Kind.MOVED, result.kind(), result.reason());
        return result;
    }

    private static void until(java.util.function.BooleanSupplier condition, Run run) {
        while (!condition.getAsBoolean()) {
            assertTrue(run.result().isEmpty(), () -> run.result().toString());
            LockSupport.parkNanos(50_000);
        }
    }

    private static RunResult await(Run run) throws InterruptedException {
        return run.await(LONG).orElseThrow(() -> new AssertionError("the guest did not end"));
    }

    /** Ends the run at the write to the program's end address, and keeps what it wrote. */
    private static Outcome end(Exit exit, AtomicLong written) {
        if (exit instanceof Exit.Mmio mmio && !mmio.input() && mmio.gpa() == TestWorld.END) {
            written.set(mmio.value());
            return Outcome.stop(0, "ended");
        }
        return Outcome.unhandled();
    }

    @Test
    void guestThatChecksItsRegistersVectorsAndMemorySeesNoWrongValue() throws Exception {
        GuestMemoryManager memory = world.memory("checker", 16 * MIB);
        VirtualMachine vm = world.machines.create(VmRequest.of("checker", memory));
        long status = 0x200000;
        TestWorld.load(memory, GuestProgram.USER_CHECKER);
        TestWorld.prepare(
                vm,
                0,
                GuestProgram.USER_CHECKER,
                TestWorld.registers(GuestProgram.USER_CHECKER, 0, TestWorld.END, 0, MIB, 0x300000, status));
        AtomicLong wrong = new AtomicLong(-1);
        Run run = vm.start((processor, exit) -> end(exit, wrong));
        for (int i = 0; i < MOVES; i++) {
            long laps = memory.memory().readLong(status);
            until(() -> memory.memory().readLong(status) > laps, run);
            move(vm);
        }
        memory.memory().writeLong(status + 8, 1);
        assertEquals("ended", await(run).reason());
        assertEquals(
                0,
                wrong.get(),
                () -> "the first check that failed: " + memory.memory().readLong(status + 24));
        assertEquals(MOVES, vm.moves());
        assertTrue(memory.regions().checkDrift().clean());
    }

    @Test
    void guestInTheMiddleOfExitsMissesNoneAndRepeatsNone() throws Exception {
        GuestMemoryManager memory = world.memory("reader", 16 * MIB);
        VirtualMachine vm = world.machines.create(VmRequest.of("reader", memory));
        long device = 0x8000_0000L;
        TestWorld.load(memory, GuestProgram.USER_READER);
        TestWorld.prepare(
                vm,
                0,
                GuestProgram.USER_READER,
                TestWorld.registers(GuestProgram.USER_READER, 0, TestWorld.END, 7, 7, 0, device));
        AtomicLong exits = new AtomicLong();
        Run run = vm.start((processor, exit) -> {
            if (exit instanceof Exit.Mmio mmio && mmio.gpa() == device) {
                mmio.setValue(7);
                exits.incrementAndGet();
                return Outcome.resume();
            }
            return Outcome.unhandled();
        });
        for (int i = 0; i < MOVES; i++) {
            long before = exits.get();
            until(() -> exits.get() > before, run);
            move(vm);
        }
        run.stop(0, "enough");
        await(run);
        // Finishing the last exit counts it, and another move finishes it.
        move(vm);
        GeneralRegisters registers = vm.processorState(0).general();
        assertEquals(0, registers.r8(), "wrong values");
        assertTrue(exits.get() - registers.r12() <= 1, exits + " exits, " + registers.r12() + " reads");
        assertTrue(exits.get() >= registers.r12(), exits + " exits, " + registers.r12() + " reads");
    }

    @Test
    void severalProcessorsMoveTogether() throws Exception {
        GuestMemoryManager memory = world.memory("adders", 16 * MIB);
        VirtualMachine vm = world.machines.create(new VmRequest("adders", memory, 2, false, 0, Optional.empty()));
        TestWorld.load(memory, GuestProgram.USER_COUNTER);
        for (int i = 0; i < 2; i++) {
            TestWorld.prepare(
                    vm,
                    i,
                    GuestProgram.USER_COUNTER,
                    TestWorld.registers(GuestProgram.USER_COUNTER, 0, TestWorld.END + i * 4096L, 0, 0, 0, counter(i)));
        }
        // Who has ended writes again until both have.
        Set<Integer> ended = ConcurrentHashMap.newKeySet();
        Run run = vm.start((processor, exit) -> {
            if (exit instanceof Exit.Mmio mmio && !mmio.input()) {
                ended.add(processor);
                return ended.size() == 2 ? Outcome.stop(0, "ended") : Outcome.unhandled();
            }
            return Outcome.unhandled();
        });
        long[] last = new long[2];
        for (int i = 0; i < MOVES; i++) {
            for (int p = 0; p < 2; p++) {
                long address = counter(p);
                long before = last[p];
                until(() -> memory.memory().readLong(address) > before, run);
                last[p] = memory.memory().readLong(address);
            }
            move(vm);
        }
        assertTrue(run.result().isEmpty());
        memory.memory().writeLong(counter(0) + 8, 1);
        until(() -> ended.contains(0), run);
        memory.memory().writeLong(counter(1) + 8, 1);
        assertEquals("ended", await(run).reason());
    }

    /**
     * The guest executes vectors on KVM, holds them while the emulator runs its integer part, and finds them as they were when it is
     * back.
     */
    @Test
    void guestGoesToTheReferenceBackendForItsIntegerPartAndBack() throws Exception {
        ReferenceBackend reference = new ReferenceBackend();
        world.machines.backendArrived(new Backends.Installed(
                reference, "reference", "test 3", -1000, 3, Map.of(PartitionBackend.NAME, "reference")));
        GuestMemoryManager memory = world.memory("migrant", 16 * MIB);
        VirtualMachine vm = world.machines.create(VmRequest.of("migrant", memory));
        long status = 0x200000;
        TestWorld.load(memory, GuestProgram.USER_MIGRANT);
        TestWorld.prepare(
                vm,
                0,
                GuestProgram.USER_MIGRANT,
                TestWorld.registers(GuestProgram.USER_MIGRANT, 0, TestWorld.END, 0, MIB, 0x300000, status));
        AtomicLong wrong = new AtomicLong(-1);
        Run run = vm.start((processor, exit) -> end(exit, wrong));
        for (int i = 0; i < (MOVES + 2) / 3; i++) {
            awaitLaps(memory, status, run);
            phase(memory, status, 1, run);
            moveTo(vm, "reference");
            awaitLaps(memory, status, run);
            moveTo(vm, "kvm");
            phase(memory, status, 0, run);
            moveTo(vm, "kvm");
        }
        memory.memory().writeLong(status + 8, 1);
        assertEquals("ended", await(run).reason());
        assertEquals(
                0,
                wrong.get(),
                () -> "the first check that failed: " + memory.memory().readLong(status + 24));
        long laps = memory.memory().readLong(status);
        assertEquals(
                GuestProgram.migrantDigest(laps), memory.memory().readLong(status + 56), "a lap is lost or repeated");
        world.machines.backendDeparting(3);
        reference.close();
    }

    /** Between hypervisors of two kinds, on the library for tests: the WHP API over KVM. */
    @Test
    void guestGoesToTheWindowsHypervisorPlatformAndBack() throws Exception {
        Path shim = Path.of("../../native/target/whp-shim/libWinHvPlatform.so");
        String remedy = "the WHP shim for tests is needed: install gcc and make, then make -C native/whp-shim";
        if ("all".equals(System.getProperty("membacking.require"))) {
            assertTrue(Files.exists(shim), remedy);
        }
        Assumptions.assumeTrue(Files.exists(shim), remedy);
        System.setProperty(WHP_LIBRARY, shim.toAbsolutePath().normalize().toString());
        WhpBackend whp = new WhpBackend();
        world.machines.backendArrived(
                new Backends.Installed(whp, "whp", "test 4", -10, 4, Map.of(PartitionBackend.NAME, "whp")));
        GuestMemoryManager memory = world.memory("checker", 16 * MIB);
        VirtualMachine vm = world.machines.create(VmRequest.of("checker", memory));
        long status = 0x200000;
        TestWorld.load(memory, GuestProgram.USER_CHECKER);
        TestWorld.prepare(
                vm,
                0,
                GuestProgram.USER_CHECKER,
                TestWorld.registers(GuestProgram.USER_CHECKER, 0, TestWorld.END, 0, MIB, 0x300000, status));
        AtomicLong wrong = new AtomicLong(-1);
        Run run = vm.start((processor, exit) -> end(exit, wrong));
        for (int i = 0; i < Math.max(1, MOVES / 2); i++) {
            awaitLaps(memory, status, run);
            moveTo(vm, "whp");
            awaitLaps(memory, status, run);
            moveTo(vm, "kvm");
        }
        memory.memory().writeLong(status + 8, 1);
        assertEquals("ended", await(run).reason());
        assertEquals(
                0,
                wrong.get(),
                () -> "the first check that failed: " + memory.memory().readLong(status + 24));
        world.machines.backendDeparting(4);
        whp.close();
    }

    private static void awaitLaps(GuestMemoryManager memory, long status, Run run) {
        long laps = memory.memory().readLong(status);
        until(() -> memory.memory().readLong(status) > laps + 2, run);
    }

    private static void phase(GuestMemoryManager memory, long status, long phase, Run run) {
        memory.memory().writeLong(status + 32, phase);
        until(() -> memory.memory().readLong(status + 40) == phase, run);
    }

    private static void moveTo(VirtualMachine vm, String backend) throws Exception {
        MoveResult result = vm.move("(membacking.backend=" + backend + ")")
                .toCompletableFuture()
                .get(60, TimeUnit.SECONDS);
        assertEquals(MoveResult.Kind.MOVED, result.kind(), result.reason());
        assertEquals(Optional.of(backend), vm.backend());
    }

    private static long counter(int processor) {
        return 0x200000 + processor * 0x1000L;
    }

    @Test
    void movesWhileDeviceMemoryMovesAndVisibilityChangesLoseNothing() throws Exception {
        GuestMemoryManager memory = world.memories
                .builder("busy")
                .layout(MemoryLayout.of(
                        List.of(RamRange.of(new MemoryRange(0, 16 * MIB))),
                        List.of(new MemoryRange(0xe000_0000L, 0xf000_0000L)),
                        Optional.empty()))
                .x86LegacySupport(true)
                .build();
        VirtualMachine vm = world.machines.create(VmRequest.of("busy", memory));
        long status = 0x200000;
        TestWorld.load(memory, GuestProgram.USER_CHECKER);
        TestWorld.prepare(
                vm,
                0,
                GuestProgram.USER_CHECKER,
                TestWorld.registers(GuestProgram.USER_CHECKER, 0, TestWorld.END, 0, MIB, 0x300000, status));
        AtomicLong wrong = new AtomicLong(-1);
        Run run = vm.start((processor, exit) -> end(exit, wrong));
        DeviceMemory device = memory.createDeviceMemory("vram", MIB);
        Backing bytes = memory.allocate("vram", MIB);
        device.mappings().map(new MemoryRange(0, MIB), bytes, 0, true);
        MemoryRange segment = new MemoryRange(0xc0000, 0xc4000);
        List<RamVisibility> visibilities = List.of(RamVisibility.values());
        AtomicBoolean over = new AtomicBoolean();
        CompletableFuture<Long> changes = CompletableFuture.supplyAsync(
                () -> {
                    long done = 0;
                    try {
                        while (!over.get()) {
                            device.control().place(0xe000_0000L + (done % 16) * MIB, done % 2 == 0);
                            memory.setVisibility(segment, visibilities.get((int) (done % 3)));
                            done++;
                        }
                    } catch (Exception e) {
                        throw new IllegalStateException(e);
                    }
                    return done;
                },
                MovingGuestsTest::ownThread);
        CompletableFuture<Void> other = CompletableFuture.runAsync(
                () -> {
                    for (int i = 0; i < MOVES / 2; i++) {
                        vm.move("").toCompletableFuture().join();
                    }
                },
                MovingGuestsTest::ownThread);
        for (int i = 0; i < MOVES / 2; i++) {
            move(vm);
        }
        other.get(300, TimeUnit.SECONDS);
        over.set(true);
        assertTrue(changes.get(60, TimeUnit.SECONDS) > 0);
        memory.memory().writeLong(status + 8, 1);
        assertEquals("ended", await(run).reason());
        assertEquals(0, wrong.get());
        assertTrue(
                memory.regions().checkDrift().clean(),
                () -> memory.regions().checkDrift().toString());
        device.close();
    }

    /** The common pool may have a single thread, and tasks that go on until another is done need one each. */
    private static void ownThread(Runnable task) {
        new Thread(task).start();
    }
}
