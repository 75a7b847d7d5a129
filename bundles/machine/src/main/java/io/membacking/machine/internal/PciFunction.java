package io.membacking.machine.internal;

import io.membacking.error.MembackingException;
import java.util.Arrays;

/**
 * The configuration space of a PCI function: 256 bytes, of which only those said to be writable take writes. Base address
 * registers are absent and read as 0.
 */
class PciFunction {
    static final int VENDOR_ID = 0x00;
    static final int DEVICE_ID = 0x02;
    static final int COMMAND = 0x04;
    static final int STATUS = 0x06;
    static final int REVISION = 0x08;
    static final int CLASS = 0x09;
    static final int HEADER_TYPE = 0x0e;
    static final int SUBSYSTEM_VENDOR_ID = 0x2c;
    static final int SUBSYSTEM_ID = 0x2e;
    static final int INTERRUPT_LINE = 0x3c;
    static final int INTERRUPT_PIN = 0x3d;

    private final byte[] initial = new byte[256];
    private final byte[] writable = new byte[256];
    private final byte[] config = new byte[256];

    /** @param classCode base class, subclass and interface in three bytes, as the specification prints them */
    PciFunction(int vendor, int device, int classCode) {
        preset(VENDOR_ID, 2, vendor);
        preset(DEVICE_ID, 2, device);
        preset(CLASS, 3, classCode);
        // What firmware takes for the mark of a virtual machine's chip set; without it SeaBIOS looks for no fw_cfg.
        preset(SUBSYSTEM_VENDOR_ID, 2, 0x1af4);
        preset(SUBSYSTEM_ID, 2, 0x1100);
        allow(COMMAND, 2, 0x0107);
        allow(INTERRUPT_LINE, 1, 0xff);
    }

    /** Sets a register's value after reset. */
    final void preset(int offset, int size, int value) {
        for (int i = 0; i < size; i++) {
            initial[offset + i] = (byte) (value >>> (8 * i));
            config[offset + i] = initial[offset + i];
        }
    }

    /** Says which bits of a register take writes. */
    final void allow(int offset, int size, int mask) {
        for (int i = 0; i < size; i++) {
            writable[offset + i] = (byte) (mask >>> (8 * i));
        }
    }

    synchronized void reset() {
        System.arraycopy(initial, 0, config, 0, config.length);
    }

    final synchronized int readConfig(int offset, int size) {
        int value = 0;
        for (int i = size - 1; i >= 0; i--) {
            value = (value << 8) | (config[offset + i] & 0xff);
        }
        return value;
    }

    /** Writes {@code size} bytes at once; {@code offset + size} is at most 256. */
    final synchronized void writeConfig(int offset, int size, int value) throws MembackingException {
        byte[] after = Arrays.copyOfRange(config, offset, offset + size);
        for (int i = 0; i < size; i++) {
            int mask = writable[offset + i];
            after[i] = (byte) ((config[offset + i] & ~mask) | ((value >>> (8 * i)) & mask));
        }
        beforeWrite(offset, after);
        System.arraycopy(after, 0, config, offset, size);
    }

    /**
     * Told of a write before it takes effect, with the function's lock held.
     *
     * @param after what the registers from {@code offset} on will hold
     * @throws MembackingException leaves them as they are
     */
    void beforeWrite(int offset, byte[] after) throws MembackingException {}
}
