package io.membacking.partition.whp.emulation;

/**
 * An instruction, taken apart.
 *
 * @param map 0 for one-byte opcodes, 1 for those after 0f, 2 after 0f 38
 * @param segment the one that a prefix names, or -1
 * @param repeat the prefix f2 or f3, or 0
 * @param operandPrefix whether there is a prefix 66
 * @param rex the prefix, or 0
 * @param operandSize bytes: 2, 4 or 8
 * @param addressSize bytes: 2, 4 or 8
 * @param mod 3 if the operand of {@code rm} is a register; -1 without ModRM
 * @param base a register, {@link #NONE}, or {@link #RIP}
 * @param immediate sign-extended
 * @param length bytes, at most 15
 */
record Instruction(
        int map,
        int opcode,
        int segment,
        int repeat,
        boolean operandPrefix,
        int rex,
        int operandSize,
        int addressSize,
        int mod,
        int reg,
        int rm,
        int base,
        int index,
        int scale,
        long displacement,
        long immediate,
        int length) {
    static final int NONE = -1;
    static final int RIP = -2;

    boolean hasMemoryOperand() {
        return mod >= 0 && mod < 3;
    }

    /** Bytes of an operand whose opcode's lowest bit tells bytes from words. */
    int size() {
        return (opcode & 1) == 0 ? 1 : operandSize;
    }

    /** The segment that data lies in, unless a prefix says otherwise. */
    int dataSegment() {
        if (segment >= 0) {
            return segment;
        }
        return hasMemoryOperand() && (base == Cpu.RSP || base == Cpu.RBP) ? Cpu.SS : Cpu.DS;
    }

    boolean isString() {
        return map == 0
                && ((opcode >= 0x6c && opcode <= 0x6f)
                        || (opcode >= 0xa4 && opcode <= 0xa7)
                        || (opcode >= 0xaa && opcode <= 0xaf));
    }
}
