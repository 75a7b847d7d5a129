package io.membacking.machine.internal;

import java.util.concurrent.atomic.AtomicInteger;

/**
 * The single ports of a PC's board: 0x60 and 0x64 (no keyboard controller, all ones, but its reset command works), 0x80 (the last
 * diagnostic code), 0x92 (A20 is always open; fast reset), 0xb2 and 0xb3 (no system management interrupts: status is always 0), 0xf4 (exit).
 */
final class SystemPorts implements PortDevice {
    static final int EXIT = 0xf4;

    private static final int KEYBOARD_DATA = 0x60;
    private static final int KEYBOARD_COMMAND = 0x64;
    private static final int DIAGNOSTIC = 0x80;
    private static final int CONTROL_A = 0x92;
    private static final int SMI_COMMAND = 0xb2;
    private static final int SMI_STATUS = 0xb3;

    private final RunEnd end;
    private final AtomicInteger diagnostic = new AtomicInteger();
    private final AtomicInteger smiCommand = new AtomicInteger();

    SystemPorts(RunEnd end) {
        this.end = end;
    }

    void attachTo(PortBus bus) {
        bus.attach(KEYBOARD_DATA, KEYBOARD_DATA, 1, this);
        bus.attach(KEYBOARD_COMMAND, KEYBOARD_COMMAND, 1, this);
        bus.attach(DIAGNOSTIC, DIAGNOSTIC, 1, this);
        bus.attach(CONTROL_A, CONTROL_A, 1, this);
        bus.attach(SMI_COMMAND, SMI_STATUS, 1, this);
        bus.attach(EXIT, EXIT, 4, this);
    }

    void reset() {
        diagnostic.set(0);
        smiCommand.set(0);
    }

    /** The last code written to port 0x80. */
    int diagnostic() {
        return diagnostic.get();
    }

    @Override
    public int read(int port, int size) {
        return switch (port) {
            case DIAGNOSTIC -> diagnostic.get();
            case CONTROL_A -> 0x02;
            case SMI_COMMAND -> smiCommand.get();
            case SMI_STATUS -> 0;
            default -> PortBus.ones(size);
        };
    }

    @Override
    public void write(int port, int size, int value) {
        switch (port) {
            case EXIT -> end.ask((value << 1) | 1, "the guest ended itself with value " + value + " at port 0xf4");
            case DIAGNOSTIC -> diagnostic.set(value);
            case SMI_COMMAND -> smiCommand.set(value);
            case CONTROL_A -> {
                if ((value & 1) != 0) {
                    end.ask(RunEnd.RESET, "the guest asked for a reset through port 0x92");
                }
            }
            case KEYBOARD_COMMAND -> {
                if (value == 0xfe) {
                    end.ask(RunEnd.RESET, "the guest asked for a reset through the keyboard controller");
                }
            }
            default -> {
                // Nothing behind it.
            }
        }
    }
}
