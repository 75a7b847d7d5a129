package io.membacking.machine.internal;

/**
 * One counter of an i8254 (Intel data sheet 231164): a pure function of its clock, which callers give as a number of cycles that
 * never goes backward. Nothing is done cycle by cycle, so that it costs the same whenever it is asked. Not thread-safe.
 *
 * <p>Exact but for two things: a count is loaded in the cycle in which it is written, where the chip takes one more; and a count
 * of 1 in modes 2 and 3, which the data sheet forbids, leaves the output high.
 */
final class PitCounter {
    /** What {@link #nextRise} gives if there is none. */
    static final long NEVER = Long.MAX_VALUE;

    private static final int EVENT = 0;
    private static final int ONE_SHOT = 1;
    private static final int RATE = 2;
    private static final int SQUARE = 3;
    private static final int HARDWARE_STROBE = 5;

    private static final int LOW_BYTE = 1;
    private static final int HIGH_BYTE = 2;

    // What was written.
    private int control;
    private int mode;
    private int firstByte = -1;
    private boolean gate;

    /** In cycles: 1 to 65,536, or 10,000 in BCD; 0 before one is loaded. */
    private long count;

    private boolean loaded;

    // The cycles that have passed since the count was loaded: elapsed, and while it counts those after since.
    private long elapsed;
    private long since;
    private boolean counting;

    /** A count that waits: in modes 1 and 5 for a trigger, in 2 and 3 until {@link #reloadAt} cycles have passed. 0 for none. */
    private long next;

    private long reloadAt;

    /** The moment up to which {@link #rises} are counted. */
    private long seen;

    private long rises;

    // What reads give: -1 if nothing is latched.
    private int latchedCount = -1;
    private int latchedStatus = -1;
    private boolean highByteNext;

    /** Nothing is counted before something is written, and the output is low. */
    PitCounter(boolean gate) {
        this.gate = gate;
    }

    /** @param value a control word's low six bits: access (not 0), mode, BCD */
    void control(long now, int value) {
        advance(now);
        control = value & 0x3f;
        int written = value >> 1 & 7;
        mode = written > HARDWARE_STROBE ? written - 4 : written;
        firstByte = -1;
        count = 0;
        loaded = false;
        elapsed = 0;
        counting = false;
        next = 0;
        latchedCount = -1;
        latchedStatus = -1;
        highByteNext = false;
    }

    /** A byte of the count. */
    void write(long now, int value) {
        advance(now);
        int access = control >> 4;
        if (access == LOW_BYTE) {
            load(now, value);
        } else if (access == HIGH_BYTE) {
            load(now, value << 8);
        } else if (firstByte < 0) {
            firstByte = value;
            if (mode == EVENT) {
                // It stops at once, and its output falls.
                pause(now);
                loaded = false;
            }
        } else {
            int written = value << 8 | firstByte;
            firstByte = -1;
            load(now, written);
        }
    }

    private void load(long now, int written) {
        long value = bcd() ? fromBcd(written) : written;
        if (value == 0) {
            value = modulus();
        }
        if (triggered()) {
            next = value;
        } else if (periodic() && loaded) {
            if (next == 0) {
                reloadAt = endOfPart(passed(now));
            }
            next = value;
        } else {
            start(now, value);
        }
    }

    private void start(long now, long newCount) {
        count = newCount;
        next = 0;
        loaded = true;
        elapsed = 0;
        since = now;
        counting = gate || triggered();
    }

    /** The gate's level: low stops modes 0, 2, 3 and 4; rising lets 0 and 4 go on, begins 2 and 3 anew, and triggers 1 and 5. */
    void gate(long now, boolean high) {
        advance(now);
        boolean rising = high && !gate;
        gate = high;
        if (rising && (triggered() || periodic())) {
            if (loaded || next != 0) {
                start(now, next != 0 ? next : count);
            }
        } else if (rising && loaded) {
            since = now;
            counting = true;
        } else if (!high && !triggered()) {
            pause(now);
        }
    }

    private void pause(long now) {
        elapsed = passed(now);
        counting = false;
    }

    boolean output(long now) {
        advance(now);
        long passed = passed(now);
        return switch (mode) {
            case EVENT -> loaded && passed >= count;
            case ONE_SHOT -> !loaded || passed >= count;
            case RATE -> !ticks() || passed % count != count - 1;
            case SQUARE -> !ticks() || passed % count < highPart();
            default -> !loaded || passed != count;
        };
    }

    /** How often the output has risen by counting since this was asked last; a rise by programming is none. */
    long takeRises(long now) {
        advance(now);
        long taken = rises;
        rises = 0;
        return taken;
    }

    /** When the output will rise next if nothing is written: after {@code now}, or {@link #NEVER}. */
    long nextRise(long now) {
        advance(now);
        if (!counting) {
            return NEVER;
        }
        long passed = passed(now);
        long at;
        if (!periodic()) {
            long rise = firstRise();
            at = passed < rise ? rise : NEVER;
        } else if (next == 0) {
            at = count > 1 ? (passed / count + 1) * count : NEVER;
        } else if (count > 1 && reloadAt % count == 0) {
            at = reloadAt;
        } else if (next == 1) {
            at = NEVER;
        } else {
            // After the high half of mode 3 comes the low one of the new count; after a count of 1 a whole period.
            at = reloadAt + (count > 1 ? next / 2 : next);
        }
        return at == NEVER ? NEVER : since + at - elapsed;
    }

    void latchCount(long now) {
        if (latchedCount < 0) {
            latchedCount = value(now);
        }
    }

    void latchStatus(long now) {
        if (latchedStatus < 0) {
            latchedStatus = (output(now) ? 0x80 : 0) | (loaded && next == 0 ? 0 : 0x40) | control;
        }
    }

    /** A byte of what is latched, or else of the count. */
    int read(long now) {
        if (latchedStatus >= 0) {
            int status = latchedStatus;
            latchedStatus = -1;
            return status;
        }
        int value = latchedCount >= 0 ? latchedCount : value(now);
        int access = control >> 4;
        boolean high = access == HIGH_BYTE || (access != LOW_BYTE && highByteNext);
        highByteNext = access != HIGH_BYTE && access != LOW_BYTE && !highByteNext;
        if (!highByteNext) {
            latchedCount = -1;
        }
        return high ? value >> 8 : value & 0xff;
    }

    private int value(long now) {
        advance(now);
        long passed = passed(now);
        long value;
        if (!periodic()) {
            value = Math.floorMod(count - passed, modulus());
        } else if (count == 0) {
            value = 0;
        } else if (mode == RATE) {
            value = (count - passed % count) % modulus();
        } else {
            // By two, from the even number below, in each half.
            long within = passed % count;
            value = ((count & ~1) - 2 * (within < highPart() ? within : within - highPart())) % modulus();
        }
        return bcd() ? toBcd((int) value) : (int) value;
    }

    /** Counts rises up to now, and takes up a count that waited for its moment. */
    private void advance(long now) {
        if (counting) {
            if (periodic() && next != 0 && passed(now) >= reloadAt) {
                rises += rises(passed(seen), reloadAt);
                seen = since + reloadAt - elapsed;
                boolean lowHalf = reloadAt % count != 0;
                count = next;
                next = 0;
                since = seen;
                elapsed = lowHalf ? highPart() : 0;
            }
            rises += rises(passed(seen), passed(now));
        }
        seen = now;
    }

    /** Rises after {@code from} cycles, up to and with {@code to}. */
    private long rises(long from, long to) {
        if (periodic()) {
            return count > 1 ? to / count - from / count : 0;
        }
        long rise = firstRise();
        return from < rise && rise <= to ? 1 : 0;
    }

    /** Of the modes that are not periodic: the strobe is low for one cycle. */
    private long firstRise() {
        return mode == EVENT || mode == ONE_SHOT ? count : count + 1;
    }

    /** Cycles at the end of the period or, in mode 3, of the half of it. */
    private long endOfPart(long passed) {
        long within = passed % count;
        return passed - within + (mode == SQUARE && within < highPart() ? highPart() : count);
    }

    private long passed(long now) {
        return counting ? elapsed + now - since : elapsed;
    }

    private boolean ticks() {
        return counting && count > 1;
    }

    private boolean periodic() {
        return mode == RATE || mode == SQUARE;
    }

    private boolean triggered() {
        return mode == ONE_SHOT || mode == HARDWARE_STROBE;
    }

    private long highPart() {
        return (count + 1) / 2;
    }

    private boolean bcd() {
        return (control & 1) != 0;
    }

    private int modulus() {
        return bcd() ? 10_000 : 0x10000;
    }

    private static int fromBcd(int digits) {
        return (digits >> 12) * 1000 + (digits >> 8 & 15) * 100 + (digits >> 4 & 15) * 10 + (digits & 15);
    }

    private static int toBcd(int value) {
        return Integer.parseInt(Integer.toString(value), 16);
    }
}
