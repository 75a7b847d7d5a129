package io.membacking.itests.support;

import java.time.Duration;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;

/** Waiting for something to become true. */
public final class Conditions {
    private static final Duration INTERVAL = Duration.ofMillis(20);

    private Conditions() {}

    /**
     * Returns as soon as the condition holds.
     *
     * @throws AssertionError with the explanation, made at the end, if it does not hold within the deadline
     */
    public static void await(BooleanSupplier condition, Duration deadline, Supplier<String> explanation) {
        long end = System.nanoTime() + deadline.toNanos();
        while (!condition.getAsBoolean()) {
            if (System.nanoTime() - end > 0) {
                throw new AssertionError("after " + deadline.toSeconds() + " s: " + explanation.get());
            }
            LockSupport.parkNanos(INTERVAL.toNanos());
        }
    }
}
