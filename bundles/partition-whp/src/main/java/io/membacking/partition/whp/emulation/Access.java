package io.membacking.partition.whp.emulation;

/**
 * An access that a device is to answer, or memory has answered.
 *
 * @param port whether it is to a port, and not to memory
 * @param address the port, or the guest-physical address
 * @param input whether the guest reads
 * @param data little endian; filled by who answers, if the guest reads
 */
public record Access(boolean port, long address, boolean input, byte[] data) {
    int size() {
        return data.length;
    }

    boolean isSamePlace(boolean otherPort, long otherAddress, boolean otherInput, int size) {
        return port == otherPort && address == otherAddress && input == otherInput && data.length == size;
    }

    long value() {
        long value = 0;
        for (int i = Math.min(data.length, Long.BYTES) - 1; i >= 0; i--) {
            value = value << 8 | (data[i] & 0xff);
        }
        return value;
    }
}
