package io.membacking.partition.reference;

import io.membacking.access.GuestMemory;

/** Values of any size in the guest's memory, atomic where they are aligned. */
final class HostMemory {
    private HostMemory() {}

    static long load(GuestMemory memory, long gpa, int size) {
        return switch (size) {
            case 8 -> memory.readLong(gpa);
            case 4 -> memory.readInt(gpa) & 0xffffffffL;
            case 2 -> memory.readShort(gpa) & 0xffffL;
            case 1 -> memory.readByte(gpa) & 0xffL;
            default -> {
                long value = 0;
                for (int i = 0; i < size; i++) {
                    value |= (memory.readByte(gpa + i) & 0xffL) << (8 * i);
                }
                yield value;
            }
        };
    }

    static void store(GuestMemory memory, long gpa, int size, long value) {
        switch (size) {
            case 8 -> memory.writeLong(gpa, value);
            case 4 -> memory.writeInt(gpa, (int) value);
            case 2 -> memory.writeShort(gpa, (short) value);
            case 1 -> memory.writeByte(gpa, (byte) value);
            default -> {
                for (int i = 0; i < size; i++) {
                    memory.writeByte(gpa + i, (byte) (value >>> (8 * i)));
                }
            }
        }
    }

    /** Whether {@link #compareAndSet} can do it: within eight aligned bytes. */
    static boolean canCompareAndSet(long gpa, int size) {
        return (gpa & 7) + size <= 8;
    }

    static boolean compareAndSet(GuestMemory memory, long gpa, int size, long expected, long value) {
        if ((gpa & (size - 1)) == 0) {
            return switch (size) {
                case 8 -> memory.compareAndSetLong(gpa, expected, value);
                case 4 -> memory.compareAndSetInt(gpa, (int) expected, (int) value);
                case 2 -> memory.compareAndSetShort(gpa, (short) expected, (short) value);
                default -> memory.compareAndSetByte(gpa, (byte) expected, (byte) value);
            };
        }
        // Unaligned: by way of the eight bytes around it.
        long around = gpa & ~7L;
        int shift = 8 * (int) (gpa & 7);
        long mask = Alu.mask(size) << shift;
        while (true) {
            long old = memory.readLong(around);
            if ((old & mask) != expected << shift) {
                return false;
            }
            if (memory.compareAndSetLong(around, old, (old & ~mask) | value << shift)) {
                return true;
            }
        }
    }
}
