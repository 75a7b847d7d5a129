package io.membacking.machine.internal;

import java.time.Clock;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.util.Arrays;
import java.util.function.IntUnaryOperator;

/**
 * The CMOS memory and real time clock at ports 0x70 and 0x71. The time is the clock's, in UTC, and cannot be set; no alarms, no
 * periodic interrupt. Memory sizes stand where PC firmware looks for them.
 */
final class Cmos implements PortDevice {
    static final int INDEX = 0x70;
    static final int DATA = 0x71;

    private static final int STATUS_A = 0x0a;
    private static final int STATUS_B = 0x0b;
    private static final int STATUS_C = 0x0c;
    private static final int STATUS_D = 0x0d;
    private static final int CENTURY = 0x32;
    private static final int BINARY = 0x04;
    private static final int HOURS_24 = 0x02;

    private final Clock clock;
    private final PcMemory memory;
    private final int processors;
    private final byte[] bytes = new byte[128];
    private int index;

    Cmos(Clock clock, PcMemory memory, int processors) {
        this.clock = clock;
        this.memory = memory;
        this.processors = processors;
        reset();
    }

    void attachTo(PortBus bus) {
        bus.attach(INDEX, DATA, 1, this);
    }

    synchronized void reset() {
        Arrays.fill(bytes, (byte) 0);
        index = 0;
        bytes[STATUS_A] = 0x26;
        bytes[STATUS_B] = HOURS_24;
        bytes[STATUS_D] = (byte) 0x80;
        // Equipment: a floating point unit, nothing else.
        bytes[0x14] = 0x02;
        set(0x15, 2, 640);
        long aboveOneMib = memory.low() - (1 << 20);
        set(0x17, 2, Math.min(aboveOneMib >> 10, 0xffff));
        set(0x30, 2, Math.min(aboveOneMib >> 10, 0xffff));
        set(0x34, 2, Math.min(Math.max(memory.low() - (16 << 20), 0) >> 16, 0xffff));
        set(0x5b, 3, Math.min(memory.high() >> 16, 0xffffff));
        bytes[0x5f] = (byte) (processors - 1);
    }

    @Override
    public synchronized int read(int port, int size) {
        if (port == INDEX) {
            return 0xff;
        }
        ZonedDateTime now = clock.instant().atZone(ZoneOffset.UTC);
        IntUnaryOperator form = (bytes[STATUS_B] & BINARY) != 0 ? v -> v : v -> ((v / 10) << 4) | (v % 10);
        return switch (index) {
            case 0x00 -> form.applyAsInt(now.getSecond());
            case 0x02 -> form.applyAsInt(now.getMinute());
            case 0x04 -> hour(now.getHour(), form);
            // Sunday is 1.
            case 0x06 -> form.applyAsInt(now.getDayOfWeek().getValue() % 7 + 1);
            case 0x07 -> form.applyAsInt(now.getDayOfMonth());
            case 0x08 -> form.applyAsInt(now.getMonthValue());
            case 0x09 -> form.applyAsInt(now.getYear() % 100);
            case CENTURY -> form.applyAsInt(now.getYear() / 100);
            case STATUS_C -> 0;
            default -> bytes[index] & 0xff;
        };
    }

    @Override
    public synchronized void write(int port, int size, int value) {
        if (port == INDEX) {
            // Bit 7 masks the NMI, of which there is none.
            index = value & 0x7f;
        } else if (index != STATUS_C && index != STATUS_D) {
            bytes[index] = (byte) (index == STATUS_A ? value & 0x7f : value);
        }
    }

    private int hour(int hour, IntUnaryOperator form) {
        if ((bytes[STATUS_B] & HOURS_24) != 0) {
            return form.applyAsInt(hour);
        }
        return form.applyAsInt((hour + 11) % 12 + 1) | (hour >= 12 ? 0x80 : 0);
    }

    private void set(int at, int size, long value) {
        for (int i = 0; i < size; i++) {
            bytes[at + i] = (byte) (value >>> (8 * i));
        }
    }
}
