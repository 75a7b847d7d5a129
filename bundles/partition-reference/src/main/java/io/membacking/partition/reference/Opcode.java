package io.membacking.partition.reference;

import org.jspecify.annotations.Nullable;

/**
 * What the decoder must know of an opcode, and what it does.
 *
 * @param name in lower case, for traces
 * @param flags the constants of this class
 * @param group if ModRM's reg field tells eight of them apart; {@code operation} is not used then
 */
record Opcode(String name, int flags, Operation operation, Opcode @Nullable [] group) {
    static final int MODRM = 1;
    /** A byte, sign-extended. */
    static final int IMM8 = 1 << 1;
    /** Of the operand's size, but four bytes at most; sign-extended. */
    static final int IMMZ = 1 << 2;
    /** Of the operand's size. */
    static final int IMMV = 1 << 3;
    /** Two bytes, zero-extended. With {@link #IMM8} it comes first. */
    static final int IMM16 = 1 << 4;
    /** A memory operand by its address alone, without ModRM. */
    static final int OFFSET = 1 << 5;
    /** An offset and a selector. */
    static final int FAR = 1 << 6;
    /** A register in the opcode's lowest three bits. */
    static final int REGISTER = 1 << 7;
    /** Operands are bytes. */
    static final int BYTE = 1 << 8;
    /** In 64-bit code operands have 8 bytes unless a prefix says 2. */
    static final int WIDE = 1 << 9;
    /** In 64-bit code operands have 8 bytes whatever prefixes say. */
    static final int WIDEST = 1 << 10;
    /** May be locked, if its operand is in memory. */
    static final int LOCKABLE = 1 << 11;
    /** Not in 64-bit code. */
    static final int NOT_64 = 1 << 12;
    /** Its ModRM must name memory. */
    static final int MEMORY = 1 << 13;
    /** Its ModRM names registers whatever its mod field says. */
    static final int REGISTERS = 1 << 14;
    /** Operands have four bytes at most. */
    static final int NARROW = 1 << 15;
    /** Operands have four bytes at least. */
    static final int NOT_SHORT = 1 << 16;

    /** Raises the exception for what is no instruction. */
    static final Opcode INVALID = new Opcode(
            "(bad)",
            0,
            (core, in) -> {
                throw core.undefined();
            },
            null);

    /** An instruction beyond the subset. */
    static final Opcode UNSUPPORTED = new Opcode(
            "(unsupported)",
            0,
            (core, in) -> {
                throw core.unsupported("the instruction is beyond the subset of the reference processor");
            },
            null);

    boolean has(int flag) {
        return (flags & flag) != 0;
    }
}
