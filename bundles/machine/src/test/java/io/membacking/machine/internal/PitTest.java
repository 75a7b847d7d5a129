package io.membacking.machine.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** The timer of a PC on a clock that stands still between calls. */
final class PitTest {
    private static final long NANOS = 1_000_000_000;

    private final World world = new World();
    private final Pit pit = new Pit(() -> world.now, world, world::give);

    @Test
    void ticksFallAtTheStartPlusNPeriodsToTheNanosecond() {
        long start = world.now;
        program(0x34, 1193);
        world.run(60 * NANOS);
        // The nanosecond in which cycle 1193 * n begins.
        for (int n = 0; n < world.given.size(); n++) {
            long cycles = 1193L * (n + 1);
            long expected = start + ceilDiv(cycles * NANOS, Pit.FREQUENCY);
            assertEquals(expected, world.given.get(n), "tick " + n);
        }
        assertEquals(60 * Pit.FREQUENCY / 1193, world.given.size());
    }

    @Test
    void theModesThatFirmwareUsesTick() {
        for (int mode : new int[] {2, 3}) {
            program(0x30 | mode << 1, 0);
            world.given.clear();
            world.run(10 * NANOS);
            assertEquals(10 * Pit.FREQUENCY / 65536, world.given.size(), "mode " + mode);
        }
    }

    @Test
    void anEventComesOnce() {
        long start = world.now;
        program(0x30, 11932);
        world.run(NANOS);
        assertEquals(List.of(start + ceilDiv(11932 * NANOS, Pit.FREQUENCY)), world.given);
    }

    @Test
    void whateverIsNotTakenIsGivenAgainUntilTheGuestHasCaughtUp() {
        long seed = new Random().nextLong();
        Random random = new Random(seed);
        program(0x34, 1193 * 5);
        for (int stop = 0; stop < 300; stop++) {
            world.run(random.nextLong(20_000_000));
            world.taking = false;
            world.run(random.nextLong(50_000_000));
            world.taking = true;
        }
        world.run(5 * NANOS);
        assertEquals(pit.ticks(), world.given.size(), "seed " + seed);
        assertEquals(0, pit.owed());
    }

    @Test
    void whatHasComeDueIsNeverGivenTwiceNorEarly() {
        long seed = new Random().nextLong();
        Random random = new Random(seed);
        long start = world.now;
        program(0x34, 1193);
        for (int stop = 0; stop < 2000; stop++) {
            world.taking = random.nextInt(3) != 0;
            world.run(random.nextLong(3_000_000));
            long due = (world.now - start) / 1_000_000_000 * Pit.FREQUENCY
                    + (world.now - start) % 1_000_000_000 * Pit.FREQUENCY / 1_000_000_000;
            assertEquals(due / 1193, pit.ticks(), "seed " + seed);
            assertEquals(pit.ticks(), world.given.size() + pit.owed(), "seed " + seed);
        }
    }

    @Test
    void aClockThatLeapsWhileNobodyLooksLosesNothing() {
        program(0x34, 1193);
        world.now += 3 * NANOS;
        world.run(3 * NANOS);
        assertEquals(pit.ticks(), world.given.size());
        assertEquals(6 * Pit.FREQUENCY / 1193, pit.ticks());
    }

    @Test
    void programmingItAnewForgivesWhatItOwed() {
        program(0x34, 1193);
        world.taking = false;
        world.run(NANOS);
        assertTrue(pit.owed() == 1000, "owed " + pit.owed());
        program(0x34, 0);
        assertEquals(0, pit.owed());
        world.taking = true;
        world.run(NANOS / 100);
        assertEquals(List.of(), world.given);
    }

    @Test
    void anEndedRunHasNoMoreInterrupts() {
        program(0x34, 1193);
        pit.stop();
        world.run(NANOS);
        assertEquals(List.of(), world.given);
        pit.reset();
        world.run(NANOS);
        assertEquals(List.of(), world.given);
        assertEquals(0, pit.ticks());
    }

    @Test
    void aRunThatEndsWhileItsInterruptIsGivenLeavesNoAlarm() {
        program(0x34, 1193);
        world.onGive = pit::stop;
        world.run(NANOS / 100);
        assertEquals(1, world.given.size());
        assertFalse(world.armed());
    }

    @Test
    void anInterruptOfTheLastRunTakesNoTickFromTheNext() {
        program(0x34, 1193);
        world.onGive = () -> {
            pit.reset();
            program(0x34, 1193);
            world.now += NANOS / 100;
            assertEquals(10, pit.ticks());
        };
        world.run(NANOS / 1000);
        assertEquals(1, world.given.size());
        assertEquals(10, pit.owed());
    }

    @Test
    void theEndOfARunThatComesLateStopsNotTheNext() {
        long first = pit.reset();
        pit.reset();
        program(0x34, 1193);
        pit.stop(first);
        world.run(NANOS);
        assertEquals(1000, world.given.size());
    }

    @Test
    void aTinyPeriodCostsTheHostNoMoreThanItsLeastAlarm() {
        program(0x14, 2);
        world.run(NANOS / 10);
        assertTrue(world.alarms <= 2001, "alarms " + world.alarms);
        assertTrue(world.alarms > 100, "alarms " + world.alarms);
    }

    @Test
    void latchingIsNoReasonToSetTheAlarmAgain() {
        program(0x34, 0);
        int before = world.settings;
        for (int i = 0; i < 100; i++) {
            pit.write(Pit.CONTROL, 1, 0);
            world.now += 100;
        }
        assertEquals(before, world.settings);
    }

    @Test
    void countsAndStatusAreReadAsTheDataSheetSays() {
        program(0x34, 0x1234);
        world.now += ceilDiv(0x34 * NANOS, Pit.FREQUENCY);
        // Latch, twice: the first stands.
        pit.write(Pit.CONTROL, 1, 0);
        world.now += 1_000_000;
        pit.write(Pit.CONTROL, 1, 0);
        assertEquals(0x00, pit.read(Pit.COUNTERS, 1));
        assertEquals(0x12, pit.read(Pit.COUNTERS, 1));
        // Read back status and count of counters 0 and 2: the status comes first.
        pit.write(Pit.CONTROL, 1, 0xb0);
        pit.write(Pit.COUNTERS + 2, 1, 7);
        pit.write(Pit.COUNTERS + 2, 1, 0);
        pit.write(Pit.CONTROL, 1, 0xca);
        assertEquals(0xb4, pit.read(Pit.COUNTERS, 1));
        // Its gate is low: it has its count, and its output is low.
        assertEquals(0x30, pit.read(Pit.COUNTERS + 2, 1));
        assertEquals(7, pit.read(Pit.COUNTERS + 2, 1));
        assertEquals(0, pit.read(Pit.COUNTERS + 2, 1));
    }

    @Test
    void firmwareTimesItselfByCounter2() {
        // As SeaBIOS does: gate low, mode 0, count, gate high, until bit 5 of port 0x61 is set.
        pit.write(Pit.CONTROL_B, 1, 0);
        pit.write(Pit.CONTROL, 1, 0xb0);
        pit.write(Pit.COUNTERS + 2, 1, 0xff);
        pit.write(Pit.COUNTERS + 2, 1, 0xff);
        world.now += NANOS;
        assertEquals(0, pit.read(Pit.CONTROL_B, 1) & 0x20);
        pit.write(Pit.CONTROL_B, 1, 1);
        long cycles = 0xffff;
        world.now += cycles * NANOS / Pit.FREQUENCY - 1000;
        assertEquals(1, pit.read(Pit.CONTROL_B, 1) & 0x2f);
        world.now += 2000;
        assertEquals(0x21, pit.read(Pit.CONTROL_B, 1) & 0x2f);
    }

    @Test
    void theRefreshRequestTogglesEvery15Microseconds() {
        boolean first = (pit.read(Pit.CONTROL_B, 1) & 0x10) != 0;
        world.now += 15_200;
        assertEquals(!first, (pit.read(Pit.CONTROL_B, 1) & 0x10) != 0);
        world.now += 15_200;
        assertEquals(first, (pit.read(Pit.CONTROL_B, 1) & 0x10) != 0);
    }

    @Test
    void theControlRegisterCannotBeRead() {
        assertEquals(0xff, pit.read(Pit.CONTROL, 1));
        assertFalse(world.armed());
    }

    private void program(int control, int count) {
        pit.write(Pit.CONTROL, 1, control);
        pit.write(Pit.COUNTERS, 1, count & 0xff);
        if ((control & 0x30) == 0x30) {
            pit.write(Pit.COUNTERS, 1, count >> 8);
        }
    }

    private static long ceilDiv(long a, long b) {
        return (a + b - 1) / b;
    }

    /** A clock, an alarm on it, and an interrupt controller that takes interrupts or not. */
    private static final class World implements Pit.Alarm {
        private final List<Long> given = new ArrayList<>();
        private long now = -77_777_777_777L;
        private boolean taking = true;
        private Runnable onGive = () -> {};
        private long at;
        private @Nullable Runnable ring;
        private int alarms;
        private int settings;

        void run(long nanos) {
            long end = now + nanos;
            while (ring != null && at <= end) {
                Runnable due = ring;
                now = Math.max(now, at);
                ring = null;
                alarms++;
                due.run();
            }
            now = end;
        }

        boolean give() {
            if (taking) {
                given.add(now);
            }
            onGive.run();
            return taking;
        }

        boolean armed() {
            return ring != null;
        }

        @Override
        public void set(long nanos, Runnable newRing) {
            assertTrue(nanos > 0, "an alarm in " + nanos);
            at = now + nanos;
            ring = newRing;
            settings++;
        }

        @Override
        public void cancel() {
            ring = null;
        }
    }
}
