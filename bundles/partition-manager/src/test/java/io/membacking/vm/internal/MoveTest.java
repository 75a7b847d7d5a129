package io.membacking.vm.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.memory.GuestMemoryManager;
import io.membacking.memory.RamVisibility;
import io.membacking.partition.Exit;
import io.membacking.partition.PlatformState;
import io.membacking.range.MemoryRange;
import io.membacking.vm.ExitHandler;
import io.membacking.vm.MovePolicy;
import io.membacking.vm.MoveResult;
import io.membacking.vm.MoveResult.Kind;
import io.membacking.vm.Outcome;
import io.membacking.vm.Run;
import io.membacking.vm.RunResult;
import io.membacking.vm.VirtualMachine;
import io.membacking.vm.VmRequest;
import io.membacking.vm.VmState;
import io.membacking.vm.internal.ScriptedBackend.ScriptedPartition;
import io.membacking.vm.internal.ScriptedBackend.ScriptedProcessor;
import io.membacking.vm.internal.ScriptedBackend.Step;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What a move carries, in which order, and where the guest is when a step of it fails. */
@Timeout(60)
class MoveTest {
    private static final Duration LONG = Duration.ofSeconds(20);
    private static final MemoryRange SEGMENT = new MemoryRange(0xc0000, 0xc4000);

    private final TestWorld world = new TestWorld();
    private final ScriptedBackend old = new ScriptedBackend("old");
    private final ScriptedBackend next = new ScriptedBackend("next");
    private GuestMemoryManager memory;

    @BeforeEach
    void makeMemory() throws Exception {
        memory = world.memory("guest", 4 << 20);
        world.machines.backendArrived(old.installed(10, 1));
    }

    @AfterEach
    void nothingIsLeftOpen() {
        world.close();
        assertEquals(0, old.open() + next.open());
    }

    private VirtualMachine vm(int processors) {
        return world.machines.create(new VmRequest("vm", memory, processors, true, 0, Optional.empty()));
    }

    private void nextArrives() {
        world.machines.backendArrived(next.installed(0, 2));
    }

    private static Run run(VirtualMachine vm) {
        return vm.start((processor, exit) -> Outcome.unhandled());
    }

    private static MoveResult done(java.util.concurrent.CompletionStage<MoveResult> move) throws Exception {
        return move.toCompletableFuture().get(20, TimeUnit.SECONDS);
    }

    private static ScriptedPartition last(ScriptedBackend backend) {
        return backend.partitions.get(backend.partitions.size() - 1);
    }

    private static ScriptedProcessor processor(ScriptedBackend backend, int index) {
        return last(backend).processors.get(index);
    }

    private static void until(BooleanSupplier condition) {
        while (!condition.getAsBoolean()) {
            LockSupport.parkNanos(100_000);
        }
    }

    private static void untilInside(ScriptedBackend backend) {
        until(() -> last(backend).processors.stream().allMatch(p -> p.inside.get() == 1));
    }

    private static void mark(ScriptedBackend backend) {
        last(backend).processors.forEach(p -> p.state = ScriptedProcessor.stateAt(0x1000 + p.index()));
        TreeMap<String, byte[]> parts = new TreeMap<>();
        parts.put("pic", new byte[] {1, 2, 3});
        last(backend).platform = new PlatformState(backend.stateFormat, parts);
    }

    private static void assertMarked(ScriptedBackend backend) {
        last(backend)
                .processors
                .forEach(p -> assertEquals(0x1000 + p.index(), p.state.general().rip()));
        assertEquals(List.of("pic"), last(backend).platform.names());
    }

    @Test
    void runningGuestGoesOnInTheOtherBackend() throws Exception {
        VirtualMachine vm = vm(2);
        Run run = run(vm);
        nextArrives();
        untilInside(old);
        mark(old);
        MoveResult result = done(vm.move(""));
        assertEquals(Kind.MOVED, result.kind(), result.reason());
        untilInside(next);
        assertMarked(next);
        assertEquals(last(old).cpuModel(), last(next).request.model().orElseThrow());
        assertEquals(0, old.open());
        assertEquals(Optional.of("next"), vm.backend());
        assertEquals(VmState.RUNNING, vm.state());
        assertTrue(result.standStill().toNanos() > 0);
        assertEquals(result, vm.lastMove().orElseThrow());
        assertEquals(1, vm.moves());
        assertTrue(run.result().isEmpty());
        assertTrue(memory.regions().checkDrift().clean());
    }

    @Test
    void machineThatDoesNotRunMovesWithItsState() throws Exception {
        VirtualMachine vm = vm(1);
        mark(old);
        nextArrives();
        assertEquals(Kind.MOVED, done(vm.move("(membacking.backend=next)")).kind());
        assertMarked(next);
        assertEquals(VmState.READY, vm.state());
        run(vm);
        untilInside(next);
    }

    @Test
    void departureMovesARunningGuest() throws Exception {
        VirtualMachine vm = vm(2);
        Run run = run(vm);
        nextArrives();
        untilInside(old);
        mark(old);
        world.machines.backendDeparting(1);
        assertEquals(0, old.open());
        untilInside(next);
        assertMarked(next);
        assertTrue(run.result().isEmpty());
    }

    @Test
    void withoutAnotherBackendItIsParkedUntilOneComes() throws Exception {
        VirtualMachine vm = vm(2);
        Run run = run(vm);
        untilInside(old);
        mark(old);
        world.machines.backendDeparting(1);
        assertEquals(VmState.PARKED, vm.state());
        assertEquals(0, old.open());
        assertTrue(vm.status().contains("old 1.0"), vm.status());
        assertTrue(vm.status().contains("departs"), vm.status());
        assertThrows(IllegalStateException.class, () -> run(vm));
        assertThrows(IllegalStateException.class, vm::reset);
        memory.memory().writeLong(0x100, 7);
        nextArrives();
        untilInside(next);
        assertMarked(next);
        assertEquals(VmState.RUNNING, vm.state());
        assertTrue(run.result().isEmpty());
    }

    @Test
    void parkedRunCanBeStopped() throws Exception {
        VirtualMachine vm = vm(1);
        Run run = run(vm);
        untilInside(old);
        world.machines.backendDeparting(1);
        run.stop(3, "enough");
        assertEquals(3, run.await(LONG).orElseThrow().code());
        assertEquals(VmState.PARKED, vm.state());
        nextArrives();
        assertEquals(VmState.READY, vm.state());
    }

    @Test
    void parkedOnRequestItWaitsForARequest() throws Exception {
        VirtualMachine vm = vm(1);
        run(vm);
        untilInside(old);
        mark(old);
        assertEquals(Kind.PARKED, done(vm.park("maintenance")).kind());
        nextArrives();
        world.machines.backendArrived(old.installed(10, 1));
        assertEquals(VmState.PARKED, vm.state());
        assertTrue(vm.status().contains("maintenance"), vm.status());
        assertEquals(Kind.MOVED, done(vm.move("(membacking.backend=old)")).kind());
        untilInside(old);
        assertMarked(old);
    }

    @Test
    void parkedForWantOfABackendItWaitsForARequestOnceToldTo() throws Exception {
        VirtualMachine vm = vm(1);
        Run run = run(vm);
        untilInside(old);
        mark(old);
        world.machines.backendDeparting(1);
        assertEquals(Kind.PARKED, done(vm.park("maintenance")).kind());
        nextArrives();
        assertEquals(VmState.PARKED, vm.state());
        assertTrue(vm.status().contains("maintenance"), vm.status());
        assertEquals(Kind.MOVED, done(vm.move("")).kind());
        untilInside(next);
        assertMarked(next);
        assertTrue(run.result().isEmpty());
    }

    @Test
    void takingUpAFirstBackendIsNoMove() throws Exception {
        old.fail = Step.CREATE;
        VirtualMachine vm = vm(1);
        assertEquals(VmState.WAITING, vm.state());
        MoveResult refused = done(vm.move(""));
        assertEquals(Kind.STAYED, refused.kind());
        assertTrue(refused.reason().contains("CREATE"), refused.reason());
        old.fail = null;
        assertEquals(Kind.MOVED, done(vm.move("")).kind());
        assertEquals(Optional.of("old"), vm.backend());
        assertEquals(0, vm.moves());
    }

    @Test
    void forecastByAnExitHandlerIsRefused() throws Exception {
        VirtualMachine vm = vm(1);
        Run run = vm.start((processor, exit) -> {
            vm.forecast("");
            return Outcome.resume();
        });
        processor(old, 0).exit(new Exit.Mmio(0x1000, 4, false, new byte[4]));
        RunResult result = run.await(LONG).orElseThrow();
        assertEquals(RunResult.Kind.FAILED, result.kind());
        assertTrue(result.reason().contains("forecast"), result.reason());
    }

    @Test
    void guestsThatHangShareTheTimeOfADeparture() throws Exception {
        CountDownLatch over = new CountDownLatch(1);
        List<Run> runs = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            VirtualMachine vm = world.machines.create(
                    new VmRequest("vm" + i, world.memory("guest" + i, 4 << 20), 1, true, 0, Optional.empty()));
            CountDownLatch inside = new CountDownLatch(1);
            runs.add(vm.start((processor, exit) -> {
                inside.countDown();
                over.await();
                return Outcome.resume();
            }));
            processor(old, 0).exit(new Exit.Mmio(0x1000, 4, false, new byte[4]));
            inside.await();
        }
        long begun = System.nanoTime();
        world.machines.backendDeparting(1);
        Duration taken = Duration.ofNanos(System.nanoTime() - begun);
        over.countDown();
        for (Run run : runs) {
            assertEquals(
                    RunResult.Kind.BACKEND_DEPARTED,
                    run.await(LONG).orElseThrow().kind());
        }
        // The component runtime gives up on a lock after five.
        assertTrue(taken.toMillis() < 4500, () -> "took " + taken);
        assertEquals(0, old.open());
    }

    @Test
    void exitInFlightIsHandledAndFinishedFirst() throws Exception {
        VirtualMachine vm = vm(1);
        List<String> seen = new ArrayList<>();
        vm.start((processor, exit) -> {
            seen.add(exit.toString());
            return Outcome.resume();
        });
        nextArrives();
        untilInside(old);
        // The instruction needs three exits: one of run and two of finishing it.
        ScriptedProcessor processor = processor(old, 0);
        processor.more.add(new Exit.Mmio(0x1008, 8, true, new byte[8]));
        processor.more.add(new Exit.Mmio(0x1010, 8, true, new byte[8]));
        processor.onCancel = new Exit.Mmio(0x1000, 8, true, new byte[8]);
        assertEquals(Kind.MOVED, done(vm.move("")).kind());
        assertEquals(
                List.of("read of 8 bytes at 0x1000", "read of 8 bytes at 0x1008", "read of 8 bytes at 0x1010"), seen);
        assertTrue(processor.more.isEmpty());
    }

    @Test
    void moveAskedForByAnExitHandlerBeginsWhenItHasReturned() throws Exception {
        VirtualMachine vm = vm(1);
        CompletableFuture<MoveResult> moved = new CompletableFuture<>();
        CountDownLatch asked = new CountDownLatch(1);
        vm.start((processor, exit) -> {
            vm.move("").thenAccept(moved::complete);
            assertFalse(moved.isDone());
            asked.countDown();
            return Outcome.resume();
        });
        nextArrives();
        processor(old, 0).exit(new Exit.Mmio(0x1000, 4, false, new byte[4]));
        asked.await();
        assertEquals(Kind.MOVED, moved.get(20, TimeUnit.SECONDS).kind());
        untilInside(next);
    }

    @Test
    void haltedProcessorsMoveAsTheyAre() throws Exception {
        VirtualMachine vm = vm(2);
        Run run = run(vm);
        nextArrives();
        processor(old, 0).exit(new Exit.Halt());
        until(() -> processor(old, 0).inside.get() == 0);
        assertEquals(Kind.MOVED, done(vm.move("")).kind());
        until(() -> processor(next, 1).inside.get() == 1);
        assertEquals(0, processor(next, 0).entries.get());
        processor(next, 1).exit(new Exit.Halt());
        assertEquals(RunResult.Kind.HALTED, run.await(LONG).orElseThrow().kind());
    }

    @Test
    void handlerThatDoesNotReturnKeepsAGuestWhereItIs() throws Exception {
        VirtualMachine vm = vm(2);
        CountDownLatch in = new CountDownLatch(1);
        CountDownLatch out = new CountDownLatch(1);
        vm.start((processor, exit) -> {
            in.countDown();
            out.await();
            return Outcome.resume();
        });
        nextArrives();
        processor(old, 1).exit(new Exit.Mmio(0x1000, 4, false, new byte[4]));
        in.await();
        MoveResult result = done(vm.move(""));
        assertEquals(Kind.STAYED, result.kind());
        assertTrue(result.reason().contains("processor {1} did not finish its exit"), result.reason());
        assertEquals(0, next.open());
        out.countDown();
        untilInside(old);
        assertEquals(Kind.MOVED, done(vm.move("")).kind());
        untilInside(next);
    }

    @Test
    void processorThatComesOutWholeHasNoExitToFinish() throws Exception {
        VirtualMachine vm = vm(1);
        run(vm);
        nextArrives();
        untilInside(old);
        processor(old, 0).onCancel = new Exit.Cancelled(true);
        old.fail = Step.COMPLETE_EXIT;
        assertEquals(Kind.MOVED, done(vm.move("")).kind());
        untilInside(next);
    }

    @ParameterizedTest
    @EnumSource(Step.class)
    void stepThatFailsLeavesTheGuestWhereItWas(Step step) throws Exception {
        VirtualMachine vm = vm(2);
        vm.setInterruptLine(4, true);
        Run run = run(vm);
        nextArrives();
        untilInside(old);
        mark(old);
        boolean ofTheOld = step == Step.COMPLETE_EXIT || step == Step.STATE || step == Step.PLATFORM_STATE;
        ScriptedBackend failing = ofTheOld ? old : next;
        failing.fail = step;
        MoveResult result = done(vm.move(""));
        if (step == Step.COMPLETE_EXIT) {
            // The guest's own instruction cannot be finished: its run ends as it would have without a move.
            assertEquals(RunResult.Kind.FAILED, run.await(LONG).orElseThrow().kind());
            failing.fail = null;
            return;
        }
        assertEquals(Kind.STAYED, result.kind());
        assertTrue(result.reason().contains(step.name()), result.reason());
        assertEquals(0, next.open());
        assertEquals(1, old.open());
        untilInside(old);
        failing.fail = null;
        assertEquals(Kind.MOVED, done(vm.move("")).kind());
        untilInside(next);
        assertMarked(next);
        assertEquals(List.of("+4"), last(next).lines);
        assertTrue(run.result().isEmpty());
    }

    @Test
    void memoryThatCannotBeMappedLeavesTheGuestWhereItWas() throws Exception {
        VirtualMachine vm = vm(1);
        run(vm);
        nextArrives();
        next.failMap = true;
        MoveResult result = done(vm.move(""));
        assertEquals(Kind.STAYED, result.kind());
        assertEquals(Duration.ZERO, result.standStill());
        untilInside(old);
        assertEquals(0, next.open());
    }

    @Test
    void partitionThatDriftsIsLeftAgain() throws Exception {
        VirtualMachine vm = vm(1);
        run(vm);
        nextArrives();
        untilInside(old);
        mark(old);
        next.forgetMappings = true;
        MoveResult result = done(vm.move(""));
        assertEquals(Kind.STAYED, result.kind());
        assertTrue(result.reason().contains("the partition holds nothing instead of"), result.reason());
        untilInside(old);
        assertMarked(old);
        assertEquals(0, next.open());
        assertEquals(Optional.of("old"), vm.backend());
    }

    @Test
    void partitionThatCannotBeAskedIsLeftAgain() throws Exception {
        VirtualMachine vm = vm(1);
        run(vm);
        nextArrives();
        untilInside(old);
        mark(old);
        next.whenAskedForMappings = new IllegalStateException("no answer");
        MoveResult result = done(vm.move(""));
        assertEquals(Kind.STAYED, result.kind());
        assertTrue(result.reason().contains("no answer"), result.reason());
        untilInside(old);
        assertMarked(old);
        assertEquals(1, old.open());
        assertEquals(0, next.open());
        next.whenAskedForMappings = null;
    }

    @Test
    void departureParksWhenNoOtherBackendSucceeds() throws Exception {
        VirtualMachine vm = vm(1);
        Run run = run(vm);
        nextArrives();
        untilInside(old);
        mark(old);
        next.fail = Step.SET_STATE;
        world.machines.backendDeparting(1);
        assertEquals(VmState.PARKED, vm.state());
        assertTrue(vm.status().contains("SET_STATE"), vm.status());
        assertEquals(0, old.open() + next.open());
        next.fail = null;
        nextArrives();
        untilInside(next);
        assertMarked(next);
        assertTrue(run.result().isEmpty());
    }

    @Test
    void stateThatCannotBeHadEndsTheRunAndKeepsTheMemory() throws Exception {
        VirtualMachine vm = vm(1);
        Run run = run(vm);
        memory.memory().writeLong(0x100, 7);
        untilInside(old);
        old.fail = Step.STATE;
        world.machines.backendDeparting(1);
        RunResult result = run.await(LONG).orElseThrow();
        assertEquals(RunResult.Kind.BACKEND_DEPARTED, result.kind());
        assertTrue(result.reason().contains("STATE"), result.reason());
        assertEquals(VmState.WAITING, vm.state());
        assertEquals(7, memory.memory().readLong(0x100));
        nextArrives();
        assertEquals(VmState.READY, vm.state());
    }

    @Test
    void changesMadeWhileAMoveIsPreparedReachBoth() throws Exception {
        VirtualMachine vm = vm(1);
        run(vm);
        untilInside(old);
        nextArrives();
        List<Throwable> failures = new ArrayList<>();
        next.onCreate = () -> {
            try {
                memory.setVisibility(SEGMENT, RamVisibility.READ_ONLY);
            } catch (Exception e) {
                failures.add(e);
            }
        };
        assertEquals(Kind.MOVED, done(vm.move("")).kind());
        assertEquals(List.of(), failures);
        assertTrue(last(next).mappings().stream().anyMatch(m -> m.range().contains(SEGMENT) && !m.writable()));
        assertTrue(memory.regions().checkDrift().clean());
    }

    @Test
    void interruptLinesAreCarriedAndNoneIsLost() throws Exception {
        VirtualMachine vm = vm(1);
        run(vm);
        untilInside(old);
        vm.setInterruptLine(4, true);
        vm.setInterruptLine(5, true);
        vm.setInterruptLine(5, false);
        world.machines.backendDeparting(1);
        vm.setInterruptLine(6, true);
        vm.setInterruptLine(7, true);
        vm.setInterruptLine(7, false);
        vm.setInterruptLine(4, false);
        nextArrives();
        untilInside(next);
        assertEquals("+4", last(next).lines.get(0));
        List<String> later =
                new ArrayList<>(last(next).lines.subList(1, last(next).lines.size()));
        later.sort(null);
        assertEquals(List.of("+6", "+7", "-4", "-7"), later);
    }

    @Test
    void betterBackendIsFollowedWhereThatIsThePolicy() throws Exception {
        VirtualMachine vm = vm(1);
        run(vm);
        untilInside(old);
        nextArrives();
        assertEquals(Optional.of("old"), vm.backend());
        vm.setPolicy(MovePolicy.TO_BETTER_BACKEND);
        world.machines.backendArrived(next.installed(20, 2));
        untilInside2(vm, "next");
        // Ranks change; nothing arrives.
        world.machines.backendArrived(old.installed(30, 1));
        untilInside2(vm, "old");
    }

    private static void untilInside2(VirtualMachine vm, String backend) {
        until(() -> vm.backend().equals(Optional.of(backend)));
    }

    @Test
    void pinnedGuestRefusesByNameAndWaitsForItsBackend() throws Exception {
        VirtualMachine vm = vm(1);
        run(vm);
        vm.setPolicy(MovePolicy.PINNED);
        nextArrives();
        untilInside(old);
        MoveResult refused = done(vm.move("(membacking.backend=next)"));
        assertEquals(Kind.STAYED, refused.kind());
        assertTrue(refused.reason().contains("'vm' is pinned to old"), refused.reason());
        assertFalse(vm.forecast("").possible());
        world.machines.backendDeparting(1);
        assertEquals(VmState.PARKED, vm.state());
        assertTrue(vm.status().contains("is pinned to old"), vm.status());
        world.machines.backendArrived(old.installed(0, 3));
        untilInside(old);
    }

    @Test
    void guestWithControllersDoesNotGoToAnotherKindAndSaysSo() throws Exception {
        VirtualMachine vm = vm(1);
        run(vm);
        next.stateFormat = "other";
        nextArrives();
        untilInside(old);
        MoveResult refused = done(vm.move(""));
        assertEquals(Kind.STAYED, refused.kind());
        assertTrue(refused.reason().contains("interrupt controllers of scripted"), refused.reason());
        assertEquals(refused.reason(), String.join("; ", vm.forecast("").obstacles()));
        assertEquals(0, next.partitions.size());
        world.machines.backendDeparting(1);
        assertEquals(VmState.PARKED, vm.state());
    }

    @Test
    void guestWithoutControllersGoesToAnotherKindWithoutThePlatformsState() throws Exception {
        VirtualMachine vm = world.machines.create(VmRequest.of("plain", memory));
        run(vm);
        next.stateFormat = "other";
        nextArrives();
        untilInside(old);
        mark(old);
        assertTrue(vm.forecast("").possible(), () -> vm.forecast("").toString());
        assertEquals(Kind.MOVED, done(vm.move("")).kind());
        assertEquals(0x1000, processor(next, 0).state.general().rip());
        assertEquals("other", last(next).platform.format());
    }

    @Test
    void forecastTriesAndLeavesNothing() throws Exception {
        VirtualMachine vm = vm(2);
        nextArrives();
        var forecast = vm.forecast("(membacking.backend=next)");
        assertTrue(forecast.possible(), forecast.toString());
        assertEquals("next (next 1.0, service 2)", forecast.to());
        assertEquals(0, next.open());
        next.failProcessor = 1;
        assertTrue(vm.forecast("").obstacles().toString().contains("create processor 1"));
        next.width = 20;
        assertTrue(vm.forecast("").obstacles().toString().contains("20 bits"));
        assertFalse(vm.forecast("(membacking.backend=none)").possible());
        assertThrows(IllegalArgumentException.class, () -> vm.forecast("(x"));
        assertThrows(IllegalArgumentException.class, () -> vm.move("(x"));
    }

    /** On a partition without memory, while the guest runs: it does not even stand still. */
    @Test
    void whatCannotBeSetIsFoundBeforeTheProcessorsAreHeld() throws Exception {
        VirtualMachine vm = vm(2);
        Run run = run(vm);
        nextArrives();
        next.failBare = true;
        for (Step step : List.of(Step.STATE, Step.PLATFORM_STATE, Step.SET_STATE, Step.SET_PLATFORM_STATE)) {
            next.fail = step;
            MoveResult result = done(vm.move(""));
            assertEquals(Kind.STAYED, result.kind());
            assertTrue(result.reason().contains(step.name()), result.reason());
            assertEquals(Duration.ZERO, result.standStill());
            assertEquals(0, next.open());
            assertTrue(vm.forecast("").obstacles().toString().contains(step.name()));
        }
        next.fail = null;
        assertEquals(Kind.MOVED, done(vm.move("")).kind());
        run.stop(0, "seen");
    }

    @Test
    void movesAskedForAtOnceFollowOneAnother() throws Exception {
        VirtualMachine vm = vm(2);
        run(vm);
        nextArrives();
        untilInside(old);
        List<CompletableFuture<MoveResult>> moves = new ArrayList<>();
        for (int i = 0; i < 10; i++) {
            moves.add(CompletableFuture.supplyAsync(() -> vm.move(""))
                    .thenCompose(stage -> stage)
                    .toCompletableFuture());
        }
        for (CompletableFuture<MoveResult> move : moves) {
            assertEquals(Kind.MOVED, move.get(20, TimeUnit.SECONDS).kind());
        }
        assertEquals(Optional.of("old"), vm.backend());
        assertEquals(10, vm.moves());
        assertEquals(1, old.open() + next.open());
        untilInside(old);
    }

    @Test
    void flightRecorderShowsThePartsOfAMove(@TempDir Path folder) throws Exception {
        VirtualMachine vm = vm(1);
        run(vm);
        nextArrives();
        untilInside(old);
        Path file = folder.resolve("moves.jfr");
        try (Recording recording = new Recording()) {
            recording.enable("io.membacking.MovePart");
            recording.start();
            assertEquals(Kind.MOVED, done(vm.move("")).kind());
            recording.stop();
            recording.dump(file);
        }
        List<String> parts = RecordingFile.readAllEvents(file).stream()
                .filter(event -> event.getEventType().getName().equals("io.membacking.MovePart"))
                .filter(event -> event.getString("machine").equals("vm"))
                .sorted(Comparator.comparing(RecordedEvent::getStartTime))
                .map(event -> event.getString("part"))
                .toList();
        assertEquals(List.of("prepare", "hold", "save", "restore", "verify", "close"), parts);
    }

    @Test
    void movesOfAClosedMachineSayClosed() throws Exception {
        VirtualMachine vm = vm(1);
        vm.close();
        assertThrows(IllegalStateException.class, () -> vm.move(""));
        assertThrows(IllegalStateException.class, () -> vm.park(""));
    }

    @Test
    void resetForgetsWhatWasParked() throws Exception {
        VirtualMachine vm = vm(1);
        mark(old);
        assertEquals(Kind.PARKED, done(vm.park("no need")).kind());
        vm.reset();
        assertEquals(VmState.READY, vm.state());
        assertEquals(0xfff0, processor(old, 0).state.general().rip());
        assertNotSame(old.partitions.get(0), last(old));
    }

    @Test
    void changesAndMovesAtOnceLoseNothing() throws Exception {
        VirtualMachine vm = vm(2);
        nextArrives();
        ExitHandler commits = (processor, exit) -> {
            memory.setVisibility(
                    SEGMENT,
                    exit instanceof Exit.Mmio mmio && mmio.gpa() % 2 == 0
                            ? RamVisibility.READ_ONLY
                            : RamVisibility.READ_WRITE);
            return Outcome.resume();
        };
        Run run = vm.start(commits);
        CompletableFuture<Void> exits = CompletableFuture.runAsync(() -> {
            for (int i = 0; vm.moves() < 20; i++) {
                ScriptedBackend here = vm.backend().equals(Optional.of("old")) ? old : next;
                if (!here.partitions.isEmpty() && last(here).processors.size() == 2) {
                    processor(here, i % 2).exit(new Exit.Mmio(i, 4, false, new byte[4]));
                }
                LockSupport.parkNanos(200_000);
            }
        });
        while (vm.moves() < 20) {
            MoveResult result = done(vm.move(""));
            assertEquals(Kind.MOVED, result.kind(), result.reason());
        }
        exits.get(20, TimeUnit.SECONDS);
        assertTrue(run.result().isEmpty(), () -> run.result().toString());
        assertTrue(memory.regions().checkDrift().clean());
    }
}
