package io.membacking.vm.internal;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.error.BackendException;
import io.membacking.partition.Exit;
import io.membacking.vm.ExitHandler;
import io.membacking.vm.Outcome;
import io.membacking.vm.RunResult;
import io.membacking.vm.RunResult.Kind;
import io.membacking.vm.internal.ScriptedBackend.ScriptedProcessor;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class GuestRunTest {
    private static final Duration LONG = Duration.ofSeconds(20);

    private final ScriptedProcessor first = new ScriptedProcessor(0);
    private final ScriptedProcessor second = new ScriptedProcessor(1);
    private final AtomicInteger finished = new AtomicInteger();
    private final CompletableFuture<String> detached = new CompletableFuture<>();
    private final Gate gate = new Gate("test");
    private final Gate.Door door = gate.door(detached::complete);
    private GuestRun run = newRun((processor, exit) -> Outcome.resume());

    @BeforeEach
    void wireGate() {
        gate.letGo(List.of(first, second));
    }

    @AfterEach
    void noThreadIsLeft() {
        door.release();
        run.stop(0, "over");
        assertTrue(run.awaitThreads(LONG));
    }

    private GuestRun newRun(ExitHandler handler) {
        return new GuestRun("test", 2, gate, handler, finished::incrementAndGet);
    }

    private void start(ExitHandler handler) {
        run = newRun(handler);
        run.start();
    }

    private static void until(BooleanSupplier condition) {
        while (!condition.getAsBoolean()) {
            LockSupport.parkNanos(100_000);
        }
    }

    private boolean bothInside() {
        return first.inside.get() == 1 && second.inside.get() == 1;
    }

    private RunResult result() throws InterruptedException {
        return run.await(LONG).orElseThrow();
    }

    @Test
    void stopEndsAllProcessorsAndItsResultStands() throws Exception {
        start((processor, exit) -> Outcome.resume());
        until(this::bothInside);
        assertTrue(run.result().isEmpty());
        run.stop(7, "enough");
        run.stop(8, "too late");
        assertEquals(new RunResult(Kind.STOPPED, 7, "enough", -1), result());
        assertEquals(1, finished.get());
    }

    @Test
    void handlersStopNamesTheProcessor() throws Exception {
        start((processor, exit) -> Outcome.stop(3, "asked"));
        second.exit(new Exit.Halt());
        assertEquals(new RunResult(Kind.STOPPED, 3, "asked", 1), result());
    }

    @Test
    void unhandledInputSeesAllOnes() throws Exception {
        start((processor, exit) -> Outcome.unhandled());
        Exit.PortIo port = new Exit.PortIo(0x80, 2, 2, true, new byte[4]);
        Exit.Mmio mmio = new Exit.Mmio(0xf000, 8, true, new byte[8]);
        first.exit(port);
        first.exit(mmio);
        until(() -> first.entries.get() == 3);
        assertArrayEquals(new byte[] {-1, -1, -1, -1}, port.data());
        assertEquals(-1, mmio.value());
    }

    @Test
    void onlyTheLastHaltEndsTheRun() throws Exception {
        start((processor, exit) -> Outcome.unhandled());
        first.exit(new Exit.Halt());
        until(() -> first.inside.get() == 0 && second.inside.get() == 1);
        assertTrue(run.await(Duration.ofMillis(20)).isEmpty());
        second.exit(new Exit.Halt());
        assertEquals(Kind.HALTED, result().kind());
    }

    @Test
    void unhandledEndsAreNamed() throws Exception {
        for (var expected : List.of(
                new EndCase(new Exit.Shutdown("triple fault"), Kind.SHUTDOWN),
                new EndCase(new Exit.MemoryFault(0x1000, "gone"), Kind.MEMORY_FAULT),
                new EndCase(new Exit.EmulationFailure(0x10, new byte[] {(byte) 0xcc}, ""), Kind.EMULATION_FAILED))) {
            first.events.clear();
            second.events.clear();
            start((processor, exit) -> Outcome.unhandled());
            first.exit(expected.exit());
            assertEquals(expected.kind(), result().kind());
        }
    }

    private record EndCase(Exit exit, Kind kind) {}

    @Test
    void whatHandlerOrBackendThrowsEndsTheRunAlone() throws Exception {
        for (Throwable failure :
                List.of(ScriptedBackend.failure("run"), new NoClassDefFoundError("io/membacking/partition/Gone"))) {
            first.events.clear();
            second.events.clear();
            start((processor, exit) -> Outcome.resume());
            first.fail(failure);
            assertEquals(Kind.FAILED, result().kind());
        }
        start((processor, exit) -> {
            throw new java.io.IOException("device broke");
        });
        first.exit(new Exit.Halt());
        RunResult result = result();
        assertEquals(Kind.FAILED, result.kind());
        assertTrue(result.reason().contains("device broke"), result.reason());
    }

    @Test
    void holdReturnsWithEveryProcessorOutsideAndReleaseLetsThemIn() throws Exception {
        start((processor, exit) -> Outcome.resume());
        for (int i = 0; i < 200; i++) {
            door.hold(LONG);
            assertEquals(0, first.inside.get() + second.inside.get());
            door.release();
            until(this::bothInside);
        }
    }

    @Test
    void handlerMayHoldFromItsOwnProcessor() throws Exception {
        start((processor, exit) -> {
            door.hold(LONG);
            try {
                assertEquals(0, first.inside.get() + second.inside.get());
            } finally {
                door.release();
            }
            return Outcome.stop(0, "held");
        });
        first.exit(new Exit.Halt());
        assertEquals("held", result().reason());
    }

    @Test
    void holdDoesNotWaitForHandlers() throws Exception {
        CountDownLatch inHandler = new CountDownLatch(1);
        CountDownLatch leaveHandler = new CountDownLatch(1);
        start((processor, exit) -> {
            inHandler.countDown();
            leaveHandler.await();
            return Outcome.resume();
        });
        first.exit(new Exit.Halt());
        assertTrue(inHandler.await(20, TimeUnit.SECONDS));
        door.hold(LONG);
        leaveHandler.countDown();
        // The handler comes back, and its processor stays out.
        until(() -> Thread.getAllStackTraces().keySet().stream()
                .noneMatch(t -> t.getName().equals("test processor 0") && t.getState() == Thread.State.RUNNABLE));
        assertEquals(0, first.inside.get());
        door.release();
        until(this::bothInside);
    }

    @Test
    void holdThatTimesOutLetsProcessorsIn() throws Exception {
        // A processor that is inside by the gate's book and never leaves.
        Gate.Crew crew = gate.enlist(2, () -> false);
        assertEquals(Gate.Pass.ENTER, crew.pass(0));
        assertThrows(BackendException.class, () -> door.hold(Duration.ofMillis(5)));
        crew.leave(0, false);
        first.events.clear();
        start((processor, exit) -> Outcome.resume());
        until(this::bothInside);
    }

    @Test
    void stopWhileHeldEndsTheRun() throws Exception {
        start((processor, exit) -> Outcome.resume());
        until(this::bothInside);
        door.hold(LONG);
        run.stop(1, "while held");
        assertEquals("while held", result().reason());
    }

    @Test
    void exitThatComesWithTheEndIsHandled() throws Exception {
        CountDownLatch handled = new CountDownLatch(1);
        start((processor, exit) -> {
            handled.countDown();
            return Outcome.resume();
        });
        until(this::bothInside);
        first.onCancel = new Exit.PortIo(0x3f8, 1, 1, false, new byte[] {'x'});
        run.stop(0, "at once");
        result();
        assertTrue(handled.await(0, TimeUnit.SECONDS));
    }

    @Test
    void detachedGateStaysClosed() throws Exception {
        start((processor, exit) -> Outcome.resume());
        until(this::bothInside);
        door.hold(LONG);
        door.detached("memory lost");
        assertEquals("memory lost", detached.join());
        run.end(new RunResult(Kind.DETACHED, 0, "memory lost", -1));
        assertEquals(Kind.DETACHED, result().kind());
        assertEquals(Gate.Pass.END, gate.enlist(2, () -> true).pass(0));
    }
}
