package io.membacking.machine.internal;

import java.util.function.LongSupplier;

/**
 * The timer of a PC: an i8254 at ports 0x40 to 0x43, and the parts of port 0x61 that belong to it (the gate and the output of
 * counter 2, the refresh request of counter 1, which toggles every 18 cycles as if firmware had set it up).
 *
 * <p>All time comes from one clock: the n-th tick of counter 0 falls at the moment its count was loaded plus n periods, to the
 * nanosecond, whatever happened in between and whichever hypervisor the guest is on. A tick that the interrupt controllers do not
 * take is owed and given again, so guest time catches up and never drifts: ticks pile up while processors stand still, while the
 * guest is parked, and while an earlier tick waits for a guest that keeps interrupts off. That is what a PC's guests expect of
 * virtual time, and what the kernel's timer does; a real PC would lose them. Owed ticks are given one by one, as fast as they are
 * taken, and are forgiven when counter 0 is programmed anew.
 *
 * <p>An interrupt is an edge: the line is raised and lowered at each rising edge of counter 0 that comes of counting.
 */
final class Pit implements PortDevice {
    /** Of the counters, in Hz: the third part of the colour subcarrier, rounded as everybody does. */
    static final long FREQUENCY = 1_193_182;

    static final int INTERRUPT = 0;
    static final int COUNTERS = 0x40;
    static final int CONTROL = 0x43;
    static final int CONTROL_B = 0x61;

    private static final long NEVER = Long.MAX_VALUE;
    private static final long NANOS = 1_000_000_000;
    private static final int READ_BACK = 3;
    private static final int REFRESH_CYCLES = 18;

    /** The alarm is not set sooner than this, so that a guest's tiny period does not keep the host busy. */
    private static final long LEAST_NANOS = 50_000;

    /** How soon a tick that was not taken is given again at first, and at most. */
    private static final long RETRY_NANOS = 250_000;

    private static final long LONGEST_RETRY_NANOS = 10_000_000;

    private final LongSupplier nanoTime;
    private final Alarm alarm;
    private final Interrupt interrupt;
    private final PitCounter[] counters = new PitCounter[3];
    private long origin;
    private int controlB;
    private long ticks;
    private long owed;

    /** When the next owed tick is given, if there is one. */
    private long retryAt;

    private long retryNanos;
    private long alarmAt;

    /** Counts runs and their ends: an alarm of an earlier one rings in vain. */
    private long run;

    /** @param nanoTime as {@link System#nanoTime()} */
    Pit(LongSupplier nanoTime, Alarm alarm, Interrupt interrupt) {
        this.nanoTime = nanoTime;
        this.alarm = alarm;
        this.interrupt = interrupt;
        reset();
    }

    void attachTo(PortBus bus) {
        bus.attach(COUNTERS, CONTROL, 1, this);
        bus.attach(CONTROL_B, CONTROL_B, 1, this);
    }

    /**
     * Nothing counts until the guest has programmed it.
     *
     * @return the run that begins with it, for {@link #stop(long)}
     */
    synchronized long reset() {
        origin = nanoTime.getAsLong();
        for (int i = 0; i < counters.length; i++) {
            counters[i] = new PitCounter(i != 2);
        }
        controlB = 0;
        ticks = 0;
        forgive();
        stop();
        return run;
    }

    /** No more interrupts for this run; another that has begun meanwhile keeps its own. */
    synchronized void stop(long ended) {
        if (ended == run) {
            stop();
        }
    }

    /** No more interrupts, until the guest touches it again. */
    synchronized void stop() {
        run++;
        alarmAt = NEVER;
        alarm.cancel();
    }

    /** Ticks of counter 0 that have come due. */
    synchronized long ticks() {
        collect(nanoTime.getAsLong());
        return ticks;
    }

    /** Those of them that the interrupt controllers have not taken. */
    synchronized long owed() {
        return owed;
    }

    @Override
    public synchronized int read(int port, int size) {
        long now = cycles(nanoTime.getAsLong());
        return switch (port) {
            case CONTROL -> PortBus.ones(size);
            case CONTROL_B ->
                controlB | (now / REFRESH_CYCLES % 2 == 0 ? 0 : 0x10) | (counters[2].output(now) ? 0x20 : 0);
            default -> counters[port - COUNTERS].read(now);
        };
    }

    @Override
    public synchronized void write(int port, int size, int value) {
        long nanos = nanoTime.getAsLong();
        long now = cycles(nanos);
        collect(nanos);
        switch (port) {
            case CONTROL -> control(now, value);
            case CONTROL_B -> {
                controlB = value & 0x0f;
                counters[2].gate(now, (value & 1) != 0);
            }
            default -> counters[port - COUNTERS].write(now, value);
        }
        setAlarm(nanos);
    }

    private void control(long now, int value) {
        int counter = value >> 6;
        if (counter == READ_BACK) {
            for (int i = 0; i < counters.length; i++) {
                if ((value & 2 << i) != 0) {
                    if ((value & 0x20) == 0) {
                        counters[i].latchCount(now);
                    }
                    if ((value & 0x10) == 0) {
                        counters[i].latchStatus(now);
                    }
                }
            }
        } else if ((value & 0x30) == 0) {
            counters[counter].latchCount(now);
        } else {
            counters[counter].control(now, value);
            if (counter == 0) {
                forgive();
            }
        }
    }

    /** Gives what is due. The interrupt goes out without the lock, which the guest's own accesses take. */
    private void alarm(long since) {
        boolean due;
        synchronized (this) {
            if (since != run) {
                return;
            }
            alarmAt = NEVER;
            collect(nanoTime.getAsLong());
            due = owed > 0;
        }
        boolean taken = due && interrupt.give();
        synchronized (this) {
            if (since != run) {
                return;
            }
            long nanos = nanoTime.getAsLong();
            collect(nanos);
            if (taken) {
                owed = Math.max(owed - 1, 0);
                retryNanos = RETRY_NANOS;
            } else if (due) {
                retryNanos = Math.min(2 * retryNanos, LONGEST_RETRY_NANOS);
            }
            retryAt = nanos + retryNanos;
            setAlarm(nanos);
        }
    }

    private void forgive() {
        owed = 0;
        retryNanos = RETRY_NANOS;
    }

    private void collect(long nanos) {
        long due = counters[0].takeRises(cycles(nanos));
        if (owed == 0) {
            retryAt = nanos;
        }
        ticks += due;
        owed += due;
    }

    private void setAlarm(long nanos) {
        long tick = counters[0].nextRise(cycles(nanos));
        long at = tick == PitCounter.NEVER ? NEVER : nanosAt(tick);
        if (owed > 0 && (at == NEVER || retryAt - at < 0)) {
            at = retryAt;
        }
        if (at == alarmAt) {
            return;
        }
        alarmAt = at;
        if (at == NEVER) {
            alarm.cancel();
        } else {
            long since = run;
            alarm.set(Math.max(at - nanos, LEAST_NANOS), () -> alarm(since));
        }
    }

    /** Whole cycles since the reset. In two parts, or the product overflows after two hours. */
    private long cycles(long nanos) {
        long passed = nanos - origin;
        return passed / NANOS * FREQUENCY + passed % NANOS * FREQUENCY / NANOS;
    }

    /** The first nanosecond of a cycle. */
    private long nanosAt(long cycle) {
        long part = cycle % FREQUENCY * NANOS;
        return origin + cycle / FREQUENCY * NANOS + (part + FREQUENCY - 1) / FREQUENCY;
    }

    /** Calls the timer later, on a thread of its own; it is called with the timer's lock held. */
    interface Alarm {
        /** For a timer without interrupts. */
        Alarm NONE = new Alarm() {
            @Override
            public void set(long nanos, Runnable ring) {}

            @Override
            public void cancel() {}
        };

        /** In a number of nanoseconds, more than 0, instead of what was set before. */
        void set(long nanos, Runnable ring);

        void cancel();
    }

    /** Where interrupts go. */
    @FunctionalInterface
    interface Interrupt {
        /** @return whether it was taken; false to be given it again later */
        boolean give();
    }
}
