package io.membacking.machine.internal;

import java.util.function.LongSupplier;

/**
 * The power management function of PIIX4, PCI 00:01.3: the PM timer, and switching off by PM1 control (82371AB data sheet, 7.1
 * and 7.2). Firmware chooses its ports. Bit 25 of DEVACTB (the power management command port raises an SMI) is set from the
 * start: firmware takes it to mean that system management mode is set up already, and does not wait for an SMI.
 */
final class PowerManagement extends PciFunction implements PortDevice {
    /** Of the PM timer, in Hz. */
    static final long FREQUENCY = 3_579_545;

    private static final long NANOS = 1_000_000_000;
    private static final int PMBASE = 0x40;
    private static final int DEVACTB = 0x58;
    private static final int PMREGMISC = 0x80;
    private static final int SMBUS_BASE = 0x90;
    private static final int PM1_STATUS = 0;
    private static final int PM1_ENABLE = 2;
    private static final int PM1_CONTROL = 4;
    private static final int TIMER = 8;
    private static final int PORTS = 64;
    private static final int SLEEP_ENABLE = 1 << 13;
    private static final int SLEEP_TYPE = 7 << 10;

    private final LongSupplier nanoTime;
    private final RunEnd end;
    private long started;
    private int pm1Enable;
    private int pm1Control;

    /** @param nanoTime as {@link System#nanoTime()} */
    PowerManagement(LongSupplier nanoTime, RunEnd end) {
        super(0x8086, 0x7113, 0x068000);
        this.nanoTime = nanoTime;
        this.end = end;
        this.started = nanoTime.getAsLong();
        preset(STATUS, 2, 0x0280);
        preset(REVISION, 1, 0x03);
        preset(INTERRUPT_PIN, 1, 1);
        preset(INTERRUPT_LINE, 1, 9);
        preset(PMBASE, 4, 1);
        allow(PMBASE, 4, 0x0000ffc0);
        preset(DEVACTB, 4, 0x02000000);
        allow(PMREGMISC, 1, 0x01);
        preset(SMBUS_BASE, 4, 1);
        allow(SMBUS_BASE, 4, 0x0000fff0);
        allow(0xd2, 1, 0x0f);
    }

    void attachTo(PortBus bus) {
        bus.attachMovable(this::claims, 4, this);
    }

    @Override
    synchronized void reset() {
        super.reset();
        started = nanoTime.getAsLong();
        pm1Enable = 0;
        pm1Control = 0;
    }

    private boolean claims(int port) {
        int base = readConfig(PMBASE, 4) & 0xffc0;
        return (readConfig(PMREGMISC, 1) & 1) != 0 && base != 0 && port >= base && port < base + PORTS;
    }

    @Override
    public synchronized int read(int port, int size) {
        int offset = port & (PORTS - 1);
        long registers =
                switch (offset & ~7) {
                    case 0 -> ((long) pm1Control << 32) | ((long) pm1Enable << 16);
                    case TIMER -> ticks();
                    default -> 0;
                };
        return (int) (registers >>> (8 * (offset & 7)));
    }

    @Override
    public synchronized void write(int port, int size, int value) {
        int offset = port & (PORTS - 1);
        for (int i = 0; i < size; i++) {
            int register = offset + i;
            int bits = value >>> (8 * i) & 0xff;
            int shift = 8 * (register & 1);
            switch (register & ~1) {
                case PM1_ENABLE -> pm1Enable = (pm1Enable & ~(0xff << shift)) | (bits << shift);
                case PM1_CONTROL -> pm1Control = (pm1Control & ~(0xff << shift)) | (bits << shift);
                case PM1_STATUS -> {
                    // Writing ones clears events, and there are none.
                }
                default -> {
                    // General purpose events and the like: nothing behind them.
                }
            }
        }
        if ((pm1Control & SLEEP_ENABLE) != 0) {
            pm1Control &= ~SLEEP_ENABLE;
            if ((pm1Control & SLEEP_TYPE) == 0) {
                end.ask(RunEnd.POWER_OFF, "the guest switched itself off");
            }
        }
    }

    /** 24 bits, as the FADT's default says. */
    private long ticks() {
        long nanos = nanoTime.getAsLong() - started;
        // In two parts, or the product overflows after 43 minutes.
        long ticks = nanos / NANOS * FREQUENCY + nanos % NANOS * FREQUENCY / NANOS;
        return ticks & 0xffffff;
    }
}
