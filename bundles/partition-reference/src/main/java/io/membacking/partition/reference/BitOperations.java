package io.membacking.partition.reference;

/** Bit tests, searches, counts and byte swaps. */
final class BitOperations {
    private BitOperations() {}

    private static final Core.Change[] CHANGES = {
        (core, value, bit, size) -> value,
        (core, value, bit, size) -> value | 1L << bit,
        (core, value, bit, size) -> value & ~(1L << bit),
        (core, value, bit, size) -> value ^ 1L << bit
    };

    /** @param change 0 for none, 1 to set, 2 to reset, 3 to complement */
    static Operation withImmediate(int change) {
        return (core, in) -> {
            int bit = (int) in.immediate & (8 * in.size - 1);
            if (in.memory) {
                inMemory(core, in, change, core.linear(in, in.size, change != 0), bit);
            } else {
                inRegister(core, in, change, bit);
            }
        };
    }

    /** The register counts bits from the operand on, and for memory leads far from it. */
    static Operation withRegister(int change) {
        return (core, in) -> {
            int size = in.size;
            long number = Alu.signExtend(core.r.get(in.reg, size), size);
            int bit = (int) number & (8 * size - 1);
            if (!in.memory) {
                inRegister(core, in, change, bit);
                return;
            }
            long distance = (number >> (size == 8 ? 6 : size == 4 ? 5 : 4)) * size;
            long offset = core.address(in) + distance;
            if (in.addressSize != 8) {
                offset &= Alu.mask(in.addressSize);
            }
            inMemory(core, in, change, core.linear(in.segment, offset, size, change != 0), bit);
        };
    }

    private static void inRegister(Core core, Instruction in, int change, int bit) {
        long value = core.r.get(in.rm, in.size);
        core.r.setFlag(Flags.CF, (value >>> bit & 1) != 0);
        if (change != 0) {
            core.r.set(in.rm, in.size, CHANGES[change].apply(core, value, bit, in.size));
        }
    }

    private static void inMemory(Core core, Instruction in, int change, long linear, int bit) {
        if (change == 0) {
            core.r.setFlag(Flags.CF, (core.mmu.read(linear, in.size) >>> bit & 1) != 0);
            return;
        }
        Core.Change setting = CHANGES[change];
        core.modify(
                linear,
                in.size,
                in.lock,
                (c, value, b, size) -> {
                    c.r.setFlag(Flags.CF, (value >>> b & 1) != 0);
                    return setting.apply(c, value, b, size);
                },
                bit);
    }

    /** BSF. The destination stays when there is no bit. */
    static void scanForward(Core core, Instruction in) {
        long value = core.load(in);
        search(core, in, value, Long.numberOfTrailingZeros(value));
    }

    /** BSR. */
    static void scanReverse(Core core, Instruction in) {
        long value = core.load(in);
        search(core, in, value, 63 - Long.numberOfLeadingZeros(value));
    }

    private static void search(Core core, Instruction in, long value, int bit) {
        core.r.setFlag(Flags.ZF, value == 0);
        if (value != 0) {
            core.r.set(in.reg, in.size, bit);
        }
    }

    static void countTrailingZeros(Core core, Instruction in) {
        long value = core.load(in);
        count(core, in, value, value == 0 ? 8 * in.size : Long.numberOfTrailingZeros(value));
    }

    static void countLeadingZeros(Core core, Instruction in) {
        long value = core.load(in);
        count(core, in, value, Long.numberOfLeadingZeros(value) - (64 - 8 * in.size));
    }

    private static void count(Core core, Instruction in, long value, int zeros) {
        core.r.setFlag(Flags.CF, value == 0);
        core.r.setFlag(Flags.ZF, zeros == 0);
        core.r.set(in.reg, in.size, zeros);
    }

    static void countOnes(Core core, Instruction in) {
        long value = core.load(in);
        core.r.setStatus(value == 0 ? Flags.ZF : 0);
        core.r.set(in.reg, in.size, Long.bitCount(value));
    }

    /** BSWAP. Of 16 bits the result is undefined: most processors give zero. */
    static void swapBytes(Core core, Instruction in) {
        core.r.set(in.rm, in.size, swapped(core.r.get(in.rm, in.size), in.size == 2 ? 0 : in.size));
    }

    /** MOVBE. */
    static void loadSwapped(Core core, Instruction in) {
        core.r.set(in.reg, in.size, swapped(core.load(in), in.size));
    }

    static void storeSwapped(Core core, Instruction in) {
        core.store(in, swapped(core.r.get(in.reg, in.size), in.size));
    }

    private static long swapped(long value, int size) {
        return size == 0 ? 0 : Long.reverseBytes(value) >>> (64 - 8 * size);
    }
}
