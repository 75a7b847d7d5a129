package io.membacking.partition.reference;

import static io.membacking.partition.reference.Flags.AF;
import static io.membacking.partition.reference.Flags.CF;
import static io.membacking.partition.reference.Flags.OF;
import static io.membacking.partition.reference.Flags.PF;
import static io.membacking.partition.reference.Flags.SF;
import static io.membacking.partition.reference.Flags.ZF;

/**
 * Integer arithmetic as the processor does it, for operands of 1, 2, 4 and 8 bytes. Operands come zero-extended, and results are.
 * Pure: flags come as a result of their own, always with all that the operation defines, and those it leaves undefined as most
 * processors have them.
 */
final class Alu {
    private Alu() {}

    /** All bits of an operand of that many bytes. */
    static long mask(int size) {
        return -1L >>> (64 - 8 * size);
    }

    static long signBit(int size) {
        return 1L << (8 * size - 1);
    }

    static long signExtend(long value, int size) {
        int shift = 64 - 8 * size;
        return value << shift >> shift;
    }

    /** ZF, SF and PF. */
    static int resultFlags(long result, int size) {
        int flags = result == 0 ? ZF : 0;
        if ((result & signBit(size)) != 0) {
            flags |= SF;
        }
        if ((Integer.bitCount((int) result & 0xff) & 1) == 0) {
            flags |= PF;
        }
        return flags;
    }

    /** Of {@code result = a + b} or, with carry, {@code a + b + 1}. */
    static int addFlags(long a, long b, long result, int size) {
        int top = 8 * size - 1;
        int flags = resultFlags(result, size) | ((int) (a ^ b ^ result) & AF);
        flags |= (int) (((a & b) | ((a | b) & ~result)) >>> top) & CF;
        return flags | ((int) (((a ^ result) & (b ^ result)) >>> top) & 1) * OF;
    }

    /** Of {@code result = a - b} or, with borrow, {@code a - b - 1}. */
    static int subFlags(long a, long b, long result, int size) {
        int top = 8 * size - 1;
        int flags = resultFlags(result, size) | ((int) (a ^ b ^ result) & AF);
        flags |= (int) (((~a & b) | ((~a | b) & result)) >>> top) & CF;
        return flags | ((int) (((a ^ b) & (a ^ result)) >>> top) & 1) * OF;
    }

    /** The bits of a count that count. */
    static int shiftCount(long count, int size) {
        return (int) count & (size == 8 ? 63 : 31);
    }

    /** @param count 1 to 63, masked */
    static long shl(long value, int count, int size) {
        return (value << count) & mask(size);
    }

    static int shlFlags(long value, int count, int size) {
        int bits = 8 * size;
        long result = shl(value, count, size);
        long carry = count > bits ? 0 : value >>> (bits - count) & 1;
        return resultFlags(result, size) | (int) carry | ((int) (result >>> (bits - 1) ^ carry) & 1) * OF;
    }

    static long shr(long value, int count) {
        return value >>> count;
    }

    static int shrFlags(long value, int count, int size) {
        long carry = value >>> (count - 1) & 1;
        return resultFlags(value >>> count, size) | (int) carry | ((value & signBit(size)) != 0 && count == 1 ? OF : 0);
    }

    static long sar(long value, int count, int size) {
        return signExtend(value, size) >> count & mask(size);
    }

    static int sarFlags(long value, int count, int size) {
        long carry = signExtend(value, size) >> (count - 1) & 1;
        return resultFlags(sar(value, count, size), size) | (int) carry;
    }

    static long rol(long value, int count, int size) {
        int bits = 8 * size;
        int by = count % bits;
        return by == 0 ? value : (value << by | value >>> (bits - by)) & mask(size);
    }

    /** CF and OF of a rotation to the left that gave {@code result}. */
    static int rolFlags(long result, int size) {
        long carry = result & 1;
        return (int) carry | ((int) (result >>> (8 * size - 1) ^ carry) & 1) * OF;
    }

    static long ror(long value, int count, int size) {
        int bits = 8 * size;
        return rol(value, bits - count % bits, size);
    }

    /** CF and OF of a rotation to the right that gave {@code result}. */
    static int rorFlags(long result, int size) {
        long top = result >>> (8 * size - 1) & 1;
        long next = result >>> (8 * size - 2) & 1;
        return (int) top | (int) (top ^ next) * OF;
    }

    /** How far a rotation through carry really goes. */
    static int carryRotation(int count, int size) {
        return size >= 4 ? count : count % (8 * size + 1);
    }

    /** @param carry 0 or 1 */
    static long rcl(long value, int count, int size, long carry) {
        int bits = 8 * size;
        long result = value;
        long c = carry;
        for (int i = 0; i < count; i++) {
            long out = result >>> (bits - 1) & 1;
            result = (result << 1 | c) & mask(size);
            c = out;
        }
        return result;
    }

    /** CF and OF. @param count at least 1 */
    static int rclFlags(long value, int count, int size, long carry) {
        long result = rcl(value, count, size, carry);
        long before = rcl(value, count - 1, size, carry);
        long out = before >>> (8 * size - 1) & 1;
        return (int) out | ((int) (result >>> (8 * size - 1) ^ out) & 1) * OF;
    }

    static long rcr(long value, int count, int size, long carry) {
        int bits = 8 * size;
        long result = value;
        long c = carry;
        for (int i = 0; i < count; i++) {
            long out = result & 1;
            result = result >>> 1 | c << (bits - 1);
            c = out;
        }
        return result;
    }

    /** CF and OF. @param count at least 1 */
    static int rcrFlags(long value, int count, int size, long carry) {
        long result = rcr(value, count, size, carry);
        long before = rcr(value, count - 1, size, carry);
        long top = result >>> (8 * size - 1) & 1;
        long next = result >>> (8 * size - 2) & 1;
        return (int) (before & 1) | (int) (top ^ next) * OF;
    }

    /** Shifts left and fills with the upper bits of {@code fill}. @param count 1 to the bits of the operand */
    static long shld(long value, long fill, int count, int size) {
        int bits = 8 * size;
        return ((value << count) | (fill >>> (bits - count))) & mask(size);
    }

    static int shldFlags(long value, long result, int count, int size) {
        int bits = 8 * size;
        long carry = value >>> (bits - count) & 1;
        return resultFlags(result, size) | (int) carry | (((value ^ result) & signBit(size)) != 0 ? OF : 0);
    }

    /** Shifts right and fills with the lower bits of {@code fill}. @param count 1 to the bits of the operand */
    static long shrd(long value, long fill, int count, int size) {
        int bits = 8 * size;
        return ((value >>> count) | (fill << (bits - count))) & mask(size);
    }

    static int shrdFlags(long value, long result, int count, int size) {
        long carry = value >>> (count - 1) & 1;
        return resultFlags(result, size) | (int) carry | (((value ^ result) & signBit(size)) != 0 ? OF : 0);
    }

    /** The upper 64 bits of the product of two unsigned numbers. */
    static long multiplyHighUnsigned(long a, long b) {
        return Math.multiplyHigh(a, b) + (a >> 63 & b) + (b >> 63 & a);
    }
}
