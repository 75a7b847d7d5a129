package io.membacking.partition;

import java.util.HexFormat;

/** Why a processor left the guest, with what is needed to complete it. Good until the processor runs again. */
public sealed interface Exit {
    /**
     * Port input or output, one or, for string instructions, several items.
     *
     * @param size bytes of an item: 1, 2 or 4
     * @param count items, at least 1
     * @param input whether the guest reads; the handler then fills {@code data}, which arrives zeroed
     * @param data {@code size * count} bytes, little endian items in order
     */
    record PortIo(int port, int size, int count, boolean input, byte[] data) implements Exit {
        /** Item {@code index}, zero-extended. */
        public long value(int index) {
            return get(data, index * size, size);
        }

        public void setValue(int index, long value) {
            put(data, index * size, size, value);
        }

        @Override
        public String toString() {
            return (input ? "in" : "out") + size * 8 + " port 0x" + Integer.toHexString(port) + " x" + count;
        }
    }

    /**
     * An access to a guest-physical address where nothing is mapped, or a write to read-only memory.
     *
     * @param size bytes, 1 to 8
     * @param input whether the guest reads; the handler then fills {@code data}, which arrives zeroed
     * @param data {@code size} bytes, little endian
     */
    record Mmio(long gpa, int size, boolean input, byte[] data) implements Exit {
        public long value() {
            return get(data, 0, size);
        }

        public void setValue(long value) {
            put(data, 0, size, value);
        }

        @Override
        public String toString() {
            return (input ? "read" : "write") + " of " + size + " bytes at 0x" + Long.toHexString(gpa);
        }
    }

    /** HLT, where the partition has no interrupt controllers to wake it. */
    record Halt() implements Exit {}

    /**
     * {@link Processor#cancel()} was called.
     *
     * @param whole whether nothing is left of the exit before, so that the state can be taken without {@link Processor#completeExit()}
     */
    record Cancelled(boolean whole) implements Exit {}

    /** The processor shut down (triple fault) or the guest asked for it. */
    record Shutdown(String detail) implements Exit {}

    /**
     * The guest reached memory that is mapped in the partition but could not be had from the host.
     *
     * @param gpa the address, or -1 where the platform does not tell
     */
    record MemoryFault(long gpa, String detail) implements Exit {}

    /**
     * The hypervisor could not carry out an instruction.
     *
     * @param rip its address
     * @param instruction its bytes as far as known
     */
    record EmulationFailure(long rip, byte[] instruction, String detail) implements Exit {
        @Override
        public String toString() {
            return "emulation failure at rip 0x" + Long.toHexString(rip) + " ["
                    + HexFormat.ofDelimiter(" ").formatHex(instruction) + "] " + detail;
        }
    }

    private static long get(byte[] data, int offset, int size) {
        long value = 0;
        for (int i = size - 1; i >= 0; i--) {
            value = value << 8 | (data[offset + i] & 0xff);
        }
        return value;
    }

    private static void put(byte[] data, int offset, int size, long value) {
        for (int i = 0; i < size; i++) {
            data[offset + i] = (byte) (value >>> (8 * i));
        }
    }
}
