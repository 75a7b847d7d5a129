package io.membacking.partition.reference;

import java.util.function.LongSupplier;

/** The time-stamp counter: it goes on with the host's clock at the frequency of the processor's model. Not thread-safe. */
final class TimeStampCounter {
    private final long frequency;
    private final LongSupplier clock;
    private long valueThen;
    private long then;

    /** @param frequency Hz */
    TimeStampCounter(long frequency) {
        this(frequency, System::nanoTime);
    }

    /** @param clock nanoseconds */
    TimeStampCounter(long frequency, LongSupplier clock) {
        this.frequency = frequency;
        this.clock = clock;
        this.then = clock.getAsLong();
    }

    long read() {
        long elapsed = clock.getAsLong() - then;
        long seconds = elapsed / 1_000_000_000L;
        long rest = elapsed % 1_000_000_000L;
        return valueThen + seconds * frequency + rest * (frequency / 1000) / 1_000_000L;
    }

    void set(long value) {
        then = clock.getAsLong();
        valueThen = value;
    }
}
