package io.membacking.machine.internal;

import java.util.ArrayDeque;
import java.util.Queue;

/**
 * A 16550 at 8 ports from 0x3f8 on whose transmitter is always ready: output goes to a {@link ConsoleOutput} at once. Nothing is
 * received but in loop-back. Its interrupt line is raised for received data and for the empty transmitter, as enabled.
 */
final class Serial16550 implements PortDevice {
    static final int BASE = 0x3f8;
    static final int INTERRUPT = 4;

    private static final int DATA = 0;
    private static final int INTERRUPT_ENABLE = 1;
    private static final int INTERRUPT_ID = 2;
    private static final int LINE_CONTROL = 3;
    private static final int MODEM_CONTROL = 4;
    private static final int LINE_STATUS = 5;
    private static final int MODEM_STATUS = 6;
    private static final int SCRATCH = 7;

    private static final int DIVISOR_ACCESS = 0x80;
    private static final int LOOP_BACK = 0x10;
    private static final int ENABLE_RECEIVED = 1;
    private static final int ENABLE_TRANSMITTER_EMPTY = 2;
    private static final int FIFO_ENABLED = 0xc0;
    private static final int FIFO_SIZE = 16;

    private final ConsoleOutput output;
    private final InterruptLine line;
    private final Queue<Byte> received = new ArrayDeque<>();
    private int divisor;
    private int interruptEnable;
    private int lineControl;
    private int modemControl;
    private int scratch;
    private boolean fifo;
    private boolean transmitterEmptyPending;
    private boolean raised;

    Serial16550(ConsoleOutput output, InterruptLine line) {
        this.output = output;
        this.line = line;
        clear();
    }

    void attachTo(PortBus bus) {
        bus.attach(BASE, BASE + SCRATCH, 1, this);
    }

    synchronized void reset() {
        clear();
        updateLine();
    }

    @Override
    public synchronized int read(int port, int size) {
        int register = port - BASE;
        if ((lineControl & DIVISOR_ACCESS) != 0 && register <= INTERRUPT_ENABLE) {
            return register == DATA ? divisor & 0xff : divisor >> 8;
        }
        int value =
                switch (register) {
                    case DATA -> received.isEmpty() ? 0 : received.remove() & 0xff;
                    case INTERRUPT_ENABLE -> interruptEnable;
                    case INTERRUPT_ID -> identifyInterrupt();
                    case LINE_CONTROL -> lineControl;
                    case MODEM_CONTROL -> modemControl;
                    // The transmitter is empty, always.
                    case LINE_STATUS -> 0x60 | (received.isEmpty() ? 0 : 1);
                    case MODEM_STATUS -> modemStatus();
                    default -> scratch;
                };
        updateLine();
        return value;
    }

    @Override
    public synchronized void write(int port, int size, int value) {
        int register = port - BASE;
        if ((lineControl & DIVISOR_ACCESS) != 0 && register <= INTERRUPT_ENABLE) {
            divisor = register == DATA ? (divisor & 0xff00) | value : (divisor & 0xff) | (value << 8);
            return;
        }
        switch (register) {
            case DATA -> transmit((byte) value);
            case INTERRUPT_ENABLE -> {
                // Enabling the interrupt of an empty transmitter raises it.
                if ((value & ENABLE_TRANSMITTER_EMPTY) != 0 && (interruptEnable & ENABLE_TRANSMITTER_EMPTY) == 0) {
                    transmitterEmptyPending = true;
                }
                interruptEnable = value & 0x0f;
            }
            case INTERRUPT_ID -> {
                fifo = (value & 1) != 0;
                if ((value & 2) != 0) {
                    received.clear();
                }
            }
            case LINE_CONTROL -> lineControl = value;
            case MODEM_CONTROL -> modemControl = value & 0x1f;
            case SCRATCH -> scratch = value;
            default -> {
                // The status registers are read-only.
            }
        }
        updateLine();
    }

    private void transmit(byte value) {
        transmitterEmptyPending = true;
        if ((modemControl & LOOP_BACK) == 0) {
            output.write(value);
        } else if (received.size() < (fifo ? FIFO_SIZE : 1)) {
            received.add(value);
        }
    }

    /** Reading it is what takes the transmitter's interrupt back, if it is the one that shows. */
    private int identifyInterrupt() {
        int base = fifo ? FIFO_ENABLED : 0;
        if ((interruptEnable & ENABLE_RECEIVED) != 0 && !received.isEmpty()) {
            return base | 0x04;
        }
        if ((interruptEnable & ENABLE_TRANSMITTER_EMPTY) != 0 && transmitterEmptyPending) {
            transmitterEmptyPending = false;
            return base | 0x02;
        }
        return base | 0x01;
    }

    /** In loop-back the modem's outputs are its inputs; else carrier, data set ready and clear to send are up. */
    private int modemStatus() {
        if ((modemControl & LOOP_BACK) == 0) {
            return 0xb0;
        }
        return ((modemControl & 0x0c) << 4) | ((modemControl & 0x02) << 3) | ((modemControl & 0x01) << 5);
    }

    private void updateLine() {
        boolean wanted = ((interruptEnable & ENABLE_RECEIVED) != 0 && !received.isEmpty())
                || ((interruptEnable & ENABLE_TRANSMITTER_EMPTY) != 0 && transmitterEmptyPending);
        if (wanted != raised) {
            raised = wanted;
            line.set(wanted);
        }
    }

    private void clear() {
        received.clear();
        // 9600 baud, as firmware leaves it.
        divisor = 12;
        interruptEnable = 0;
        lineControl = 0;
        modemControl = 0x08;
        scratch = 0;
        fifo = false;
        transmitterEmptyPending = false;
    }

    /** A line of the interrupt controllers. Must not call back. */
    interface InterruptLine {
        void set(boolean raised);
    }
}
