package io.membacking.partition.whp.emulation;

import org.jspecify.annotations.Nullable;

/** Takes apart the instructions that the emulation covers. One per instruction. */
final class Decoder {
    static final int MOST_BYTES = 15;

    // What follows an opcode: 0 nothing, m ModRM, b ModRM and a byte, z ModRM and a word or doubleword, 1 a byte, 2 two
    // bytes,
    // Z a word or doubleword, o an address, 3 ModRM and, for TEST alone, an immediate. A dot is not covered.
    private static final String ONE_BYTE = "mmmm....mmmm...." // 00 arithmetic
            + "mmmm....mmmm...."
            + "mmmm....mmmm...."
            + "mmmm....mmmm...."
            + "................" // 40
            + "0000000000000000" // 50 PUSH, POP
            + "...m....Zz1b0000" // 60 MOVSXD, PUSH, IMUL, INS, OUTS
            + "................" // 70
            + "bzbbmmmmmmmmm..m" // 80 arithmetic, TEST, XCHG, MOV, POP
            + "................" // 90
            + "oooo0000..000000" // a0 MOV, strings
            + "................" // b0
            + "bb20..bz........" // c0 shifts, RET, MOV
            + "mmmm............" // d0 shifts
            + "....1111Z...0000" // e0 IN, OUT, CALL
            + "......33......mm"; // f0 TEST to IDIV, INC to PUSH
    private static final String TWO_BYTES = "................" // 00
            + "mmmm..mm........" // 10 MOVUPS, MOVLPS, MOVHPS
            + "........mm.m...." // 20 MOVAPS, MOVNTPS
            + "................" // 30
            + "mmmmmmmmmmmmmmmm" // 40 CMOVcc
            + "................" // 50
            + "..............mm" // 60 MOVD, MOVDQA
            + "..............mm" // 70
            + "................" // 80
            + "mmmmmmmmmmmmmmmm" // 90 SETcc
            + "...mbm.....mbm.m" // a0 BT, SHLD, BTS, SHRD, IMUL
            + "mm.m..mm..bmmmmm" // b0 CMPXCHG, BTR, MOVZX, bit tests, BSF, BSR, MOVSX
            + "mm.m...m........" // c0 XADD, MOVNTI, CMPXCHG8B
            + "......m........." // d0 MOVQ
            + ".......m........" // e0 MOVNTDQ
            + "m..............."; // f0 LDDQU

    private static final int[] BASES_16 = {3, 3, 5, 5, 6, 7, 5, 3};
    private static final int[] INDEXES_16 = {6, 7, 6, 7, -1, -1, -1, -1};

    private final byte[] bytes;
    private final int count;
    private final int bits;
    private int at;
    private boolean short_;

    private int segment = -1;
    private int repeat;
    private boolean operandPrefix;
    private boolean addressPrefix;
    private int rex;
    private int operandSize;
    private int addressSize;
    private int mod = -1;
    private int reg;
    private int rm;
    private int base = Instruction.NONE;
    private int index = Instruction.NONE;
    private int scale;
    private long displacement;

    private Decoder(byte[] bytes, int count, int bits) {
        this.bytes = bytes;
        this.count = Math.min(count, MOST_BYTES);
        this.bits = bits;
    }

    /**
     * @param count bytes that are there; an instruction has at most 15
     * @param bits of the code segment: 16, 32 or 64
     * @return null if it is not covered, or there are too few bytes
     */
    static @Nullable Instruction decode(byte[] bytes, int count, int bits) {
        return new Decoder(bytes, count, bits).decode();
    }

    private @Nullable Instruction decode() {
        int opcode = prefixes();
        if (bits == 64 && (opcode & 0xf0) == 0x40) {
            rex = opcode;
            opcode = next();
        }
        boolean wide = bits == 64 ? !operandPrefix : (bits == 32) != operandPrefix;
        operandSize = (rex & 8) != 0 ? 8 : wide ? 4 : 2;
        addressSize = bits == 64 ? (addressPrefix ? 4 : 8) : (bits == 32) != addressPrefix ? 4 : 2;
        int map = 0;
        char form;
        if (opcode == 0x0f) {
            opcode = next();
            map = 1;
            if (opcode == 0x38) {
                opcode = next();
                map = 2;
                form = opcode == 0xf0 || opcode == 0xf1 ? 'm' : '.';
            } else {
                form = TWO_BYTES.charAt(opcode);
            }
        } else {
            form = ONE_BYTE.charAt(opcode);
        }
        if (form == '.' || (bits == 64 && map == 0 && opcode == 0x82) || (bits != 64 && opcode == 0x63 && map == 0)) {
            return null;
        }
        if ("mbz3".indexOf(form) >= 0) {
            modRm();
        }
        long immediate = immediate(form, opcode);
        if (short_) {
            return null;
        }
        return new Instruction(
                map,
                opcode,
                segment,
                repeat,
                operandPrefix,
                rex,
                operandSize,
                addressSize,
                mod,
                reg,
                rm,
                base,
                index,
                scale,
                displacement,
                immediate,
                at);
    }

    /** @return the byte after them */
    private int prefixes() {
        while (true) {
            int value = next();
            switch (value) {
                case 0x26 -> segment = Cpu.ES;
                case 0x2e -> segment = Cpu.CS;
                case 0x36 -> segment = Cpu.SS;
                case 0x3e -> segment = Cpu.DS;
                case 0x64 -> segment = Cpu.FS;
                case 0x65 -> segment = Cpu.GS;
                case 0x66 -> operandPrefix = true;
                case 0x67 -> addressPrefix = true;
                case 0xf2, 0xf3 -> repeat = value;
                case 0xf0 -> {} // devices see two accesses either way
                default -> {
                    return value;
                }
            }
            if (short_) {
                return value;
            }
        }
    }

    private void modRm() {
        int value = next();
        mod = value >> 6;
        reg = (value >> 3 & 7) | (rex & 4) << 1;
        rm = value & 7;
        if (mod == 3) {
            rm |= (rex & 1) << 3;
        } else if (addressSize == 2) {
            memory16();
        } else {
            memory();
        }
    }

    private void memory16() {
        if (mod == 0 && rm == 6) {
            displacement = signed(2);
            return;
        }
        base = BASES_16[rm];
        index = INDEXES_16[rm];
        if (mod > 0) {
            displacement = signed(mod);
        }
    }

    private void memory() {
        int extension = (rex & 1) << 3;
        if (rm == 4) {
            int sib = next();
            scale = sib >> 6;
            index = (sib >> 3 & 7) | (rex & 2) << 2;
            if (index == Cpu.RSP) {
                index = Instruction.NONE;
            }
            if ((sib & 7) == Cpu.RBP && mod == 0) {
                displacement = signed(4);
            } else {
                base = (sib & 7) | extension;
            }
        } else if (rm == 5 && mod == 0) {
            base = bits == 64 ? Instruction.RIP : Instruction.NONE;
            displacement = signed(4);
        } else {
            base = rm | extension;
        }
        if (mod == 1) {
            displacement = signed(1);
        } else if (mod == 2) {
            displacement = signed(4);
        }
    }

    private long immediate(char form, int opcode) {
        int word = Math.min(operandSize, 4);
        return switch (form) {
            case 'b', '1' -> signed(1);
            case '2' -> signed(2);
            case 'z', 'Z' -> signed(word);
            case 'o' -> {
                displacement = signed(addressSize);
                yield 0;
            }
            case '3' -> (reg & 7) > 1 ? 0 : signed(opcode == 0xf6 ? 1 : word);
            default -> 0;
        };
    }

    private int next() {
        if (at >= count) {
            short_ = true;
            return 0;
        }
        return bytes[at++] & 0xff;
    }

    private long signed(int size) {
        long value = 0;
        for (int i = 0; i < size; i++) {
            value |= (long) next() << (8 * i);
        }
        int unused = 64 - 8 * size;
        return value << unused >> unused;
    }
}
