package io.membacking.mapping.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.mapping.AccessPiece.Access;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledForJreRange;
import org.junit.jupiter.api.condition.JRE;

@Timeout(60)
class EpochsTest {
    private static final long SHORT = TimeUnit.MILLISECONDS.toNanos(20);
    private static final long LONG = TimeUnit.SECONDS.toNanos(20);

    private final TestGuest guest = new TestGuest(1 << 20);
    private final Epochs epochs = guest.manager.epochs;

    @AfterEach
    void close() {
        guest.close();
    }

    @Test
    void aDrainWaitsForWhoeverIsInsideAndForNobodyElse() {
        long[] slot = epochs.register();
        assertTrue(epochs.drain(0));
        long epoch = epochs.enter(slot);
        assertFalse(epochs.drain(SHORT));
        Epochs.leave(slot, epoch);
        assertTrue(epochs.drain(0));
    }

    @Test
    void aReaderThatLeftAndCameAgainHoldsNoDrainUp() throws Exception {
        // The drain waits for the section it met, not for a moment without readers.
        AtomicBoolean stop = new AtomicBoolean();
        CountDownLatch running = new CountDownLatch(1);
        Thread busy = new Thread(() -> {
            long[] slot = epochs.register();
            long epoch = epochs.enter(slot);
            while (!stop.get()) {
                running.countDown();
                Epochs.leave(slot, epoch);
                epoch = epochs.enter(slot);
            }
            Epochs.leave(slot, epoch);
        });
        busy.start();
        running.await();
        for (int i = 0; i < 1000; i++) {
            assertTrue(epochs.drain(LONG));
        }
        stop.set(true);
        busy.join();
    }

    @Test
    void sharedSlotsAreDrainedOnBothSides() {
        SharedSlots shared = new SharedSlots();
        long[] stripe = shared.stripe();
        long first = shared.enter(stripe);
        assertFalse(shared.drain(System.nanoTime(), SHORT));
        long second = shared.enter(stripe); // on the other side
        SharedSlots.leave(stripe, first);
        assertFalse(shared.drain(System.nanoTime(), SHORT));
        SharedSlots.leave(stripe, second);
        assertTrue(shared.drain(System.nanoTime(), 0));
    }

    @Test
    @EnabledForJreRange(min = JRE.JAVA_21)
    void aVirtualThreadInsideHoldsAChangeUpAndWritesToTheOldMemory() throws Exception {
        guest.show(TestGuest.range(0, 0x1000), guest.backing("old", 0x1000), 0, Access.READ_WRITE);
        StalledMemory stalled = new StalledMemory(guest.manager);
        CompletableFuture<Void> writer = CompletableFuture.runAsync(() -> stalled.writeLong(8, 1), EpochsTest::virtual);
        stalled.awaitArrival();
        assertFalse(epochs.drain(SHORT));
        stalled.release();
        writer.get(20, TimeUnit.SECONDS);
        assertTrue(epochs.drain(LONG));
        assertEquals(1, guest.memory.readLong(8));
    }

    @Test
    @EnabledForJreRange(min = JRE.JAVA_21)
    void manyVirtualThreadsDoNotHoldChangesUp() throws Exception {
        guest.show(TestGuest.range(0, 0x1000), guest.backing("ram", 0x1000), 0, Access.READ_WRITE);
        AtomicBoolean stop = new AtomicBoolean();
        CountDownLatch ended = new CountDownLatch(100);
        for (int i = 0; i < 100; i++) {
            virtual(() -> {
                while (!stop.get()) {
                    guest.memory.readLong(8);
                    LockSupport.parkNanos(1000);
                }
                ended.countDown();
            });
        }
        for (int i = 0; i < 200; i++) {
            guest.allow(TestGuest.range(0, 0x1000), i % 2 == 0 ? Access.READ : Access.READ_WRITE);
        }
        stop.set(true);
        assertTrue(ended.await(20, TimeUnit.SECONDS));
    }

    private static void virtual(Runnable task) {
        try {
            Thread.class.getMethod("startVirtualThread", Runnable.class).invoke(null, task);
        } catch (ReflectiveOperationException e) {
            throw new LinkageError("no virtual threads", e);
        }
    }
}
