package io.membacking.machine.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import org.junit.jupiter.api.Test;

/** Counters against one that goes cycle by cycle. */
final class PitCounterTest {
    @Test
    void everyModeDoesWhatAChipDoesCycleByCycle() {
        long seed = new Random().nextLong();
        for (int round = 0; round < 600; round++) {
            Random random = new Random(seed + round);
            boolean bcd = random.nextInt(4) == 0;
            int access = 1 + random.nextInt(3);
            int control = access << 4 | random.nextInt(8) << 1 | (bcd ? 1 : 0);
            compare("seed " + (seed + round) + " control 0x" + Integer.toHexString(control), random, control);
        }
    }

    private static void compare(String what, Random random, int control) {
        boolean gate = random.nextBoolean();
        PitCounter counter = new PitCounter(gate);
        SteppedCounter chip = new SteppedCounter(gate);
        long now = random.nextInt(100);
        counter.control(now, control);
        chip.control(control);
        counter.takeRises(now);
        long expected = 0;
        long taken = 0;
        for (int step = 0; step < 60; step++) {
            String at = what + " step " + step + " at " + now;
            switch (random.nextInt(8)) {
                case 0 -> {
                    int value = count(random, control);
                    counter.write(now, value);
                    chip.write(value);
                }
                case 1 -> {
                    boolean high = random.nextBoolean();
                    counter.gate(now, high);
                    chip.gate(high);
                }
                case 2 -> {
                    counter.latchCount(now);
                    chip.latchCount();
                }
                case 3 -> {
                    counter.latchStatus(now);
                    chip.latchStatus();
                }
                case 4 -> assertEquals(chip.read(), counter.read(now), at);
                case 5 -> {
                    taken += counter.takeRises(now);
                    assertEquals(expected, taken, at);
                }
                default -> {
                    long next = counter.nextRise(now);
                    long passing = random.nextInt(random.nextInt(20) == 0 ? 70_000 : 60);
                    for (long i = 0; i < passing; i++) {
                        boolean before = chip.output();
                        chip.cycle();
                        now++;
                        if (!before && chip.output()) {
                            expected++;
                            assertEquals(next, now, at);
                            next = counter.nextRise(now);
                        }
                    }
                    assertTrue(next > now, at);
                }
            }
            assertEquals(chip.output(), counter.output(now), at);
        }
        taken += counter.takeRises(now);
        assertEquals(expected, taken, what);
    }

    /** Mostly small, so that something happens; a first byte of two is small, and its second mostly 0. */
    private static int count(Random random, int control) {
        int access = control >> 4;
        if (access == 2) {
            return random.nextInt(2);
        }
        return switch (random.nextInt(6)) {
            case 0, 1 -> 0;
            case 2 -> 1;
            default -> random.nextInt(10) << ((control & 1) != 0 ? 0 : 1);
        };
    }

    @Test
    void theNthTickOfAPeriodFallsExactlyNPeriodsAfterTheStart() {
        PitCounter counter = new PitCounter(true);
        counter.control(1000, 0x34);
        counter.write(1000, 0);
        counter.write(1000, 0);
        long late = 1000 + 65536L * 1_000_000_007;
        assertEquals(1_000_000_006, counter.takeRises(late - 1));
        assertEquals(late, counter.nextRise(late - 1));
        assertEquals(1, counter.takeRises(late));
    }

    @Test
    void aCountOfOneInAPeriodicModeMakesNoTicks() {
        for (int control : new int[] {0x14, 0x16}) {
            PitCounter counter = new PitCounter(true);
            counter.control(0, control);
            counter.write(0, 1);
            assertTrue(counter.output(5));
            assertEquals(0, counter.takeRises(1_000_000));
            assertEquals(PitCounter.NEVER, counter.nextRise(1_000_000));
        }
    }

    @Test
    void aNewControlWordStopsIt() {
        PitCounter counter = new PitCounter(true);
        counter.control(0, 0x14);
        counter.write(0, 10);
        assertEquals(1, counter.takeRises(15));
        counter.control(15, 0x10);
        assertFalse(counter.output(15));
        assertEquals(PitCounter.NEVER, counter.nextRise(15));
        assertEquals(0, counter.takeRises(1000));
    }

    /**
     * The naive one: a counting element, as the data sheet describes it, that is decremented cycle by cycle. As the counter it
     * loads a count at once.
     */
    private static final class SteppedCounter {
        private int control;
        private int mode;
        private boolean gate;
        private int firstByte = -1;
        private int register;
        private boolean registerFull;
        private boolean reloadPending;
        private int element;
        private boolean running;
        private boolean armed;
        private boolean out;
        private boolean strobing;
        private int period;
        private int latched = -1;
        private int status = -1;
        private boolean second;

        SteppedCounter(boolean gate) {
            this.gate = gate;
        }

        void control(int value) {
            control = value;
            mode = (value >> 1 & 7) > 5 ? (value >> 1 & 7) - 4 : value >> 1 & 7;
            firstByte = -1;
            registerFull = false;
            reloadPending = false;
            running = false;
            armed = false;
            strobing = false;
            element = 0;
            register = 0;
            out = mode != 0;
            latched = -1;
            status = -1;
            second = false;
        }

        void write(int value) {
            switch (control >> 4) {
                case 1 -> counted(value);
                case 2 -> counted(value << 8);
                default -> {
                    if (firstByte < 0) {
                        firstByte = value;
                        if (mode == 0) {
                            running = false;
                            armed = false;
                            out = false;
                        }
                    } else {
                        int both = firstByte | value << 8;
                        firstByte = -1;
                        counted(both);
                    }
                }
            }
        }

        private void counted(int written) {
            register = (control & 1) == 0 ? written : digits(written);
            if (register == 0) {
                register = modulus();
            }
            registerFull = true;
            if (mode == 1 || mode == 5) {
                reloadPending = true;
            } else if ((mode == 2 || mode == 3) && armed) {
                reloadPending = true;
            } else {
                begin();
            }
        }

        /** The register's content goes into the counting element. */
        private void begin() {
            reloadPending = false;
            armed = true;
            strobing = false;
            period = register;
            element = mode == 3 ? period & ~1 : period;
            running = gate || mode == 1 || mode == 5;
            if (mode == 0 || mode == 1) {
                out = false;
            } else {
                out = true;
            }
            extra = mode == 3 && period % 2 == 1;
        }

        // Mode 3 with an odd count: the high half has one cycle more.
        private boolean extra;

        void gate(boolean high) {
            boolean rising = high && !gate;
            gate = high;
            switch (mode) {
                case 1, 5 -> {
                    if (rising && registerFull) {
                        begin();
                    }
                }
                case 2, 3 -> {
                    if (rising && armed) {
                        begin();
                    } else if (!high) {
                        running = false;
                        out = true;
                    }
                }
                default -> running = high && armed;
            }
        }

        void cycle() {
            if (!running) {
                return;
            }
            switch (mode) {
                case 0, 1 -> {
                    decrement();
                    if (element == 0 && !out) {
                        out = true;
                    }
                }
                case 2 -> {
                    element--;
                    if (element == 0) {
                        period = reloadPending ? register : period;
                        reloadPending = false;
                        element = period;
                        out = true;
                    } else if (element == 1) {
                        out = false;
                    }
                    if (period == 1) {
                        out = true;
                    }
                }
                case 3 -> {
                    boolean high = out;
                    if (element == 0 || (element == 2 && !(high && extra))) {
                        half(!high || period == 1);
                    } else {
                        element -= 2;
                    }
                }
                default -> {
                    decrement();
                    if (element == 0 && armed && !strobing && out) {
                        out = false;
                        strobing = true;
                    } else if (strobing) {
                        out = true;
                    }
                }
            }
        }

        private void half(boolean high) {
            period = reloadPending ? register : period;
            reloadPending = false;
            extra = period % 2 == 1;
            element = period & ~1;
            out = high;
            if (period == 1) {
                out = true;
            }
        }

        private void decrement() {
            element = (element == 0 || element == modulus() ? modulus() : element) - 1;
        }

        boolean output() {
            return out;
        }

        void latchCount() {
            if (latched < 0) {
                latched = shown();
            }
        }

        void latchStatus() {
            if (status < 0) {
                status = (out ? 0x80 : 0) | (!armed || reloadPending ? 0x40 : 0) | control;
            }
        }

        int read() {
            if (status >= 0) {
                int value = status;
                status = -1;
                return value;
            }
            int value = latched >= 0 ? latched : shown();
            switch (control >> 4) {
                case 1 -> {
                    latched = -1;
                    return value & 0xff;
                }
                case 2 -> {
                    latched = -1;
                    return value >> 8;
                }
                default -> {
                    second = !second;
                    if (second) {
                        return value & 0xff;
                    }
                    latched = -1;
                    return value >> 8;
                }
            }
        }

        private int shown() {
            int value = element % modulus();
            return (control & 1) == 0 ? value : Integer.parseInt(Integer.toString(value), 16);
        }

        private int modulus() {
            return (control & 1) == 0 ? 0x10000 : 10_000;
        }

        private static int digits(int written) {
            return Integer.parseInt(Integer.toHexString(written));
        }
    }
}
