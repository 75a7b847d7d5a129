package io.membacking.vm.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.error.BackendException;
import io.membacking.vm.internal.Gate.Pass;
import io.membacking.vm.internal.ScriptedBackend.ScriptedProcessor;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class GateTest {
    private static final Duration LONG = Duration.ofSeconds(30);
    private static final Duration SHORT = Duration.ofMillis(20);

    private final Gate gate = new Gate("g");
    private final Gate.Crew crew = gate.enlist(1, () -> false);
    private final Gate.Door door = gate.door(reason -> {});

    GateTest() {
        gate.letGo(List.of(new ScriptedProcessor(0)));
    }

    @Test
    void exitIsNotFinishedWhileACommitHolds() throws Exception {
        door.hold(LONG);
        FutureTask<Thread> gathered = inBackground(() -> gate.gather(LONG, Thread::currentThread));
        FutureTask<Pass> pass = inBackground(() -> crew.pass(0));
        untilWaiting(pass);
        door.release();
        assertEquals(Pass.SETTLE, pass.get());
        // It touches guest memory, perhaps: a commit waits for it as for one that runs.
        assertThrows(BackendException.class, () -> door.hold(SHORT));
        crew.leave(0, false);
        door.hold(LONG);
        door.release();
        assertFalse(gathered.isDone());
        assertEquals(Pass.SETTLE, crew.pass(0));
        crew.leave(0, true);
        assertEquals(Thread.currentThread(), gathered.get(), "the last of them does it");
    }

    @Test
    void whoIsNotThereInTimeGoesOnAndTheErrandIsForgotten() throws Exception {
        assertEquals(Pass.ENTER, crew.pass(0));
        AtomicBoolean done = new AtomicBoolean();
        BackendException late =
                assertThrows(BackendException.class, () -> gate.gather(SHORT, () -> done.getAndSet(true)));
        assertTrue(late.getMessage().contains("{0}"), late::getMessage);
        crew.leave(0, true);
        assertFalse(done.get());
        assertEquals(Pass.ENTER, crew.pass(0));
    }

    @Test
    void whoIsInterruptedWhileItGathersLetsThemGoOn() throws Exception {
        assertEquals(Pass.ENTER, crew.pass(0));
        AtomicBoolean done = new AtomicBoolean();
        Thread.currentThread().interrupt();
        BackendException failure =
                assertThrows(BackendException.class, () -> gate.gather(LONG, () -> done.getAndSet(true)));
        assertTrue(Thread.interrupted(), "it stays interrupted");
        assertTrue(failure.getMessage().contains("interrupted"), failure::getMessage);
        crew.leave(0, true);
        assertFalse(done.get());
        assertEquals(Pass.ENTER, crew.pass(0));
    }

    @Test
    void whatHasBegunIsWaitedForThoughTheDeadlineHasPassedAndWhoGathersIsInterrupted() throws Exception {
        CountDownLatch begun = new CountDownLatch(1);
        CountDownLatch mayEnd = new CountDownLatch(1);
        FutureTask<Boolean> gathered = inBackground(() -> {
            boolean result = gate.gather(SHORT, () -> {
                begun.countDown();
                uninterrupted(mayEnd);
                return true;
            });
            return result && Thread.interrupted();
        });
        Thread gathering = background;
        FutureTask<Void> processor = inBackground(() -> {
            while (crew.pass(0) == Pass.ENTER) {
                crew.leave(0, false);
            }
            crew.leave(0, true);
            return null;
        });
        begun.await();
        gathering.interrupt();
        TimeUnit.MILLISECONDS.sleep(2 * SHORT.toMillis());
        assertFalse(gathered.isDone());
        mayEnd.countDown();
        assertTrue(gathered.get(), "done, and still interrupted");
        processor.get();
    }

    private static void uninterrupted(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    @Test
    void whereNoneHasAThreadTheCallerDoesIt() throws Exception {
        crew.gone(0);
        assertEquals(Thread.currentThread(), gate.gather(LONG, Thread::currentThread));
        gate.letGo(List.of());
        BackendException failure = ScriptedBackend.failure("errand");
        assertSame(
                failure,
                assertThrows(
                        BackendException.class,
                        () -> gate.gather(LONG, () -> {
                            throw failure;
                        })));
    }

    @Test
    void commitAndWhoFinishesAnExitWithoutAThreadKeepEachOtherOut() throws Exception {
        gate.visit();
        assertThrows(BackendException.class, () -> door.hold(SHORT));
        gate.leave();
        door.hold(LONG);
        FutureTask<Boolean> visit = inBackground(() -> {
            gate.visit();
            return true;
        });
        untilWaiting(visit);
        door.release();
        assertTrue(visit.get());
        gate.leave();
    }

    @Test
    void partitionThatLostItsMemoryKeepsNobodyFromFinishing() throws Exception {
        door.hold(LONG);
        door.detached("lost");
        gate.visit();
        gate.leave();
    }

    private Thread background = new Thread();

    private <T> FutureTask<T> inBackground(Callable<T> call) {
        FutureTask<T> task = new FutureTask<>(call);
        background = new Thread(task);
        background.setDaemon(true);
        background.start();
        return task;
    }

    private void untilWaiting(FutureTask<?> task) throws InterruptedException {
        while (background.getState() != Thread.State.WAITING) {
            assertFalse(task.isDone());
            TimeUnit.MICROSECONDS.sleep(100);
        }
    }
}
