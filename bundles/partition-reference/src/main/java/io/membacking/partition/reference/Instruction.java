package io.membacking.partition.reference;

/**
 * A decoded instruction. Filled by the decoder, and never changed after that.
 *
 * <p>Registers are numbers 0 to 15; a memory operand's base and index can also be {@link #RIP} and {@link #NONE}.
 */
final class Instruction {
    /** Stands for the address of the next instruction. */
    static final int RIP = 16;
    /** Stands for zero. */
    static final int NONE = 17;

    static final int MOST_BYTES = 15;

    static final int REPNE = 0xf2;
    static final int REPE = 0xf3;

    Opcode opcode = Opcode.INVALID;

    /** Its bytes, little endian: the first eight, and the rest. What lies behind it is zero. */
    long first;

    long rest;
    int length;

    /** 2, 4 or 8: for which code segments it was decoded. */
    int codeSize;
    /** Of its operands, bytes: 1, 2, 4 or 8. */
    int size;
    /** Of its addresses, bytes: 2, 4 or 8. */
    int addressSize;

    boolean lock;
    /** 0, {@link #REPNE} or {@link #REPE}. */
    int repeat;

    /** Whether the operand that ModRM names is in memory. */
    boolean memory;
    /** The other operand of ModRM, a register or a part of the opcode; for byte operands see {@link Registers#HIGH}. */
    int reg;
    /** The register that ModRM names, if it names one, or the opcode. */
    int rm;
    /** The same as byte registers: with 4 to 7 meaning AH to BH where there is no REX prefix, as 20 to 23. */
    int byteReg;

    int byteRm;

    /** A memory operand: segment 0 to 5, and {@code base + (index << scale) + displacement}. */
    int segment;
    /** Whether a prefix named the segment. */
    boolean segmentGiven;

    int base = NONE;
    int index = NONE;
    int scale;
    long displacement;

    /** Sign-extended, but for far pointers: their offset. */
    long immediate;
    /** The second: of ENTER its level, of a far pointer the selector. */
    int second;

    /** Its bytes. */
    byte[] bytes() {
        byte[] bytes = new byte[length];
        for (int i = 0; i < length; i++) {
            bytes[i] = (byte) (i < 8 ? first >>> (8 * i) : rest >>> (8 * (i - 8)));
        }
        return bytes;
    }

    /** How far to shift the first eight bytes at its address to have only its own left. */
    int firstShift() {
        return length >= 8 ? 0 : 64 - 8 * length;
    }

    /** The same for the next eight. */
    int restShift() {
        return 128 - 8 * length;
    }

    /** The register operand, in its size. */
    int register() {
        return size == 1 ? byteReg : reg;
    }

    /** The operand that ModRM names, in its size. Not for memory. */
    int rmRegister() {
        return size == 1 ? byteRm : rm;
    }
}
