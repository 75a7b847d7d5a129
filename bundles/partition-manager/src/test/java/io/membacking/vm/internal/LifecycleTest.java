package io.membacking.vm.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.error.AttachException;
import io.membacking.error.BackendException;
import io.membacking.memory.GuestMemoryManager;
import io.membacking.memory.RamVisibility;
import io.membacking.partition.Availability;
import io.membacking.range.MemoryRange;
import io.membacking.vm.Outcome;
import io.membacking.vm.Run;
import io.membacking.vm.RunResult.Kind;
import io.membacking.vm.VirtualMachine;
import io.membacking.vm.VmRequest;
import io.membacking.vm.VmState;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** How a machine takes up and lets go of backends: those that come, go, refuse and fail. */
@Timeout(60)
class LifecycleTest {
    private static final Duration LONG = Duration.ofSeconds(20);
    private static final MemoryRange SEGMENT = new MemoryRange(0xc0000, 0xc4000);

    private final TestWorld world = new TestWorld();
    private final ScriptedBackend low = new ScriptedBackend("low");
    private final ScriptedBackend high = new ScriptedBackend("high");
    private GuestMemoryManager memory;

    @BeforeEach
    void makeMemory() throws Exception {
        memory = world.memory("guest", 4 << 20);
    }

    @AfterEach
    void nothingIsLeftOpen() {
        world.close();
        assertEquals(0, low.open() + high.open());
    }

    private VirtualMachine vm() {
        return world.machines.create(VmRequest.of("vm", memory));
    }

    private Run run(VirtualMachine vm) {
        return vm.start((processor, exit) -> Outcome.unhandled());
    }

    @Test
    void machineMadeFirstWaitsForItsBackend() {
        VirtualMachine vm = vm();
        assertEquals(VmState.WAITING, vm.state());
        assertTrue(vm.status().contains("none is installed"), vm.status());
        world.machines.backendArrived(low.installed(0, 1));
        assertEquals(Optional.of("low"), vm.backend());
    }

    @Test
    void machineMadeLastTakesTheBestBackend() {
        world.machines.backendArrived(low.installed(0, 1));
        world.machines.backendArrived(high.installed(10, 2));
        assertEquals(Optional.of("high"), vm().backend());
    }

    @Test
    void machineStaysWhereItIsWhenABetterBackendArrives() {
        world.machines.backendArrived(low.installed(0, 1));
        VirtualMachine vm = vm();
        world.machines.backendArrived(high.installed(10, 2));
        assertEquals(Optional.of("low"), vm.backend());
    }

    @Test
    void filterAdmits() {
        world.machines.backendArrived(high.installed(10, 2));
        VirtualMachine vm = world.machines.create(
                new VmRequest("filtered", memory, 1, false, 0, Optional.of("(membacking.backend=low)")));
        assertEquals(VmState.WAITING, vm.state());
        assertTrue(vm.status().contains("not admitted by the filter"), vm.status());
        world.machines.backendArrived(low.installed(0, 1));
        assertEquals(Optional.of("low"), vm.backend());
        assertThrows(
                IllegalArgumentException.class,
                () -> world.machines.create(new VmRequest("bad", memory, 1, false, 0, Optional.of("(x"))));
    }

    @Test
    void unusableBackendIsNamedWithItsRemedy() throws Exception {
        low.availability = Availability.unusable("no device", "load the module");
        world.machines.backendArrived(low.installed(0, 1));
        VirtualMachine vm = vm();
        assertEquals("waiting for a backend: low: no device; load the module", vm.status());
        low.availability = Availability.USABLE;
        assertTrue(vm.awaitReady(Duration.ZERO));
    }

    @Test
    void backendThatFailsIsPassedOver() {
        high.failProcessor = 0;
        world.machines.backendArrived(high.installed(10, 2));
        world.machines.backendArrived(low.installed(0, 1));
        VirtualMachine vm = vm();
        assertEquals(Optional.of("low"), vm.backend());
        assertEquals(0, high.open());
    }

    @Test
    void attachmentThatFailsLeavesNothing() {
        low.failMap = true;
        world.machines.backendArrived(low.installed(0, 1));
        VirtualMachine vm = vm();
        assertEquals(VmState.WAITING, vm.state());
        assertTrue(vm.status().contains("failed as scripted"), vm.status());
        assertEquals(0, low.open());
        assertThrows(BackendException.class, vm::reset);
        low.failMap = false;
        assertEquals(VmState.WAITING, vm.state());
        world.machines.backendArrived(low.installed(0, 1));
        assertEquals(VmState.READY, vm.state());
    }

    @Test
    void startWithoutBackendSaysWhy() {
        VirtualMachine vm = vm();
        String message =
                assertThrows(IllegalStateException.class, () -> run(vm)).getMessage();
        assertTrue(message.contains("waiting for a backend"), message);
    }

    @Test
    void resetTakesANewPartition() throws Exception {
        world.machines.backendArrived(low.installed(0, 1));
        VirtualMachine vm = vm();
        var before = low.partitions.get(0);
        vm.reset();
        assertTrue(before.isClosed());
        assertEquals(1, low.open());
        Run run = run(vm);
        assertThrows(IllegalStateException.class, vm::reset);
        run.stop(0, "");
        run.await(LONG);
        vm.reset();
    }

    @Test
    void namesAreTakenOnce() {
        VirtualMachine vm = vm();
        assertThrows(IllegalArgumentException.class, this::vm);
        vm.close();
        vm().close();
    }

    @Test
    void commitThatCannotBeUndoneEndsTheRunByName() throws Exception {
        world.machines.backendArrived(low.installed(0, 1));
        VirtualMachine vm = vm();
        Run run = run(vm);
        // Mapping the new access fails, and so does mapping the old one back.
        low.failMap = true;
        assertThrows(AttachException.class, () -> memory.setVisibility(SEGMENT, RamVisibility.READ_ONLY));
        assertEquals(Kind.DETACHED, run.await(LONG).orElseThrow().kind());
        low.failMap = false;
        assertEquals(RamVisibility.READ_WRITE, memory.visibility(SEGMENT));
        memory.memory().writeLong(SEGMENT.start(), 5);
        // Afterwards it can be started afresh.
        assertTrue(vm.awaitReady(LONG));
        assertTrue(
                memory.regions().checkDrift().clean(),
                () -> memory.regions().checkDrift().toString());
    }

    @Test
    void departureDoesNotWaitForeverForAHandler() throws Exception {
        world.machines.backendArrived(low.installed(0, 1));
        VirtualMachine vm = vm();
        CountDownLatch in = new CountDownLatch(1);
        CountDownLatch out = new CountDownLatch(1);
        Run run = vm.start((processor, exit) -> {
            in.countDown();
            out.await();
            return Outcome.resume();
        });
        low.partitions.get(0).processors.get(0).exit(new io.membacking.partition.Exit.Halt());
        in.await();
        world.machines.backendDeparting(1);
        assertEquals(
                Kind.BACKEND_DEPARTED, run.await(Duration.ZERO).orElseThrow().kind());
        assertEquals(0, low.open());
        out.countDown();
    }

    @Test
    void handlerMayEndItsOwnBackend() throws Exception {
        world.machines.backendArrived(low.installed(0, 1));
        VirtualMachine vm = vm();
        Run run = vm.start((processor, exit) -> {
            world.machines.backendDeparting(1);
            return Outcome.resume();
        });
        low.partitions.get(0).processors.get(0).exit(new io.membacking.partition.Exit.Halt());
        assertEquals(Kind.BACKEND_DEPARTED, run.await(LONG).orElseThrow().kind());
        assertEquals(VmState.WAITING, vm.state());
    }

    @Test
    void machineStartedFromTheEndOfTheLastRunRuns() throws Exception {
        world.machines.backendArrived(low.installed(0, 1));
        VirtualMachine vm = vm();
        CompletableFuture<Run> second = new CompletableFuture<>();
        Run first = run(vm);
        first.completion().thenAccept(result -> second.complete(run(vm)));
        first.stop(0, "");
        Run next = second.get(20, java.util.concurrent.TimeUnit.SECONDS);
        next.stop(4, "");
        assertEquals(4, next.await(LONG).orElseThrow().code());
        assertSame(next.result().orElseThrow(), vm.lastResult().orElseThrow());
    }
}
