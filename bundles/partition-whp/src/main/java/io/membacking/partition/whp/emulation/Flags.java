package io.membacking.partition.whp.emulation;

/** The arithmetic flags, worked out as results are. Operands are zero-extended from their size. */
final class Flags {
    static final long CARRY = 1;
    static final long PARITY = 1 << 2;
    static final long ADJUST = 1 << 4;
    static final long ZERO = 1 << 6;
    static final long SIGN = 1 << 7;
    static final long DIRECTION = 1 << 10;
    static final long OVERFLOW = 1 << 11;
    static final long ALL = CARRY | PARITY | ADJUST | ZERO | SIGN | OVERFLOW;

    private Flags() {}

    static long mask(int size) {
        return size == 8 ? -1 : (1L << (8 * size)) - 1;
    }

    static long signExtend(long value, int size) {
        int unused = 64 - 8 * size;
        return value << unused >> unused;
    }

    static boolean top(long value, int size) {
        return (value >>> (8 * size - 1) & 1) != 0;
    }

    /** Sign, zero and parity. */
    static long ofResult(long result, int size) {
        return (top(result, size) ? SIGN : 0)
                | ((result & mask(size)) == 0 ? ZERO : 0)
                | ((Long.bitCount(result & 0xff) & 1) == 0 ? PARITY : 0);
    }

    static long add(long a, long b, long result, int size) {
        return ofResult(result, size)
                | (top((a & b) | ((a | b) & ~result), size) ? CARRY : 0)
                | ((a ^ b ^ result) & ADJUST)
                | (top((a ^ result) & (b ^ result), size) ? OVERFLOW : 0);
    }

    static long subtract(long a, long b, long result, int size) {
        return ofResult(result, size)
                | (top((~a & b) | ((~a | b) & result), size) ? CARRY : 0)
                | ((a ^ b ^ result) & ADJUST)
                | (top((a ^ b) & (a ^ result), size) ? OVERFLOW : 0);
    }

    /** A condition by its number in the instruction format. */
    static boolean holds(int condition, long flags) {
        boolean carry = (flags & CARRY) != 0;
        boolean zero = (flags & ZERO) != 0;
        boolean less = (flags & SIGN) != 0 ^ (flags & OVERFLOW) != 0;
        boolean met =
                switch (condition >> 1 & 7) {
                    case 0 -> (flags & OVERFLOW) != 0;
                    case 1 -> carry;
                    case 2 -> zero;
                    case 3 -> carry || zero;
                    case 4 -> (flags & SIGN) != 0;
                    case 5 -> (flags & PARITY) != 0;
                    case 6 -> less;
                    default -> less || zero;
                };
        return met ^ (condition & 1) != 0;
    }
}
