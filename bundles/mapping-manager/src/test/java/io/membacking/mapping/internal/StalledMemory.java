package io.membacking.mapping.internal;

import java.util.concurrent.CountDownLatch;

/** Guest memory whose reader stands still at the worst place, between check and touch, until it is let go. */
final class StalledMemory extends AnyThreadMemory {
    private final CountDownLatch arrived = new CountDownLatch(1);
    private final CountDownLatch released = new CountDownLatch(1);

    StalledMemory(GuestMappingManager manager) {
        super(manager.gate, manager.epochs, manager.base());
    }

    @Override
    void beforeTouch() {
        arrived.countDown();
        try {
            released.await();
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    void awaitArrival() throws InterruptedException {
        arrived.await();
    }

    void release() {
        released.countDown();
    }
}
