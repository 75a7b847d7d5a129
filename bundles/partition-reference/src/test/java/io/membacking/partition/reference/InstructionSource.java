package io.membacking.partition.reference;

import io.membacking.partition.ProcessorState.GeneralRegisters;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/** Random instructions of the subset that all code can use, and random registers in which they do something. */
final class InstructionSource {
    /** What a register holds, so that addresses made of it mostly lead to the data. */
    private enum Role {
        POINTER,
        INDEX,
        ANY
    }

    /** Opcodes with ModRM, as bytes; those of two bytes with 0x0f in front. */
    private static final int[] MODRM = {
        0x00, 0x01, 0x02, 0x03, 0x08, 0x09, 0x0a, 0x0b, 0x10, 0x11, 0x12, 0x13, 0x18, 0x19, 0x1a, 0x1b, 0x20, 0x21,
        0x22, 0x23, 0x28, 0x29, 0x2a, 0x2b, 0x30, 0x31, 0x32, 0x33, 0x38, 0x39, 0x3a, 0x3b, 0x63, 0x84, 0x85, 0x86,
        0x87, 0x88, 0x89, 0x8a, 0x8b, 0x8d, 0x8f, 0xd0, 0xd1, 0xd2, 0xd3, 0xf6, 0xf7, 0xfe, 0xff, 0x0fa3, 0x0fa5,
        0x0fab, 0x0fad, 0x0faf, 0x0fb0, 0x0fb1, 0x0fb3, 0x0fb6, 0x0fb7, 0x0fb8, 0x0fbb, 0x0fbc, 0x0fbd, 0x0fbe, 0x0fbf,
        0x0fc0, 0x0fc1, 0x0fc7, 0x0fc3
    };

    /** With an immediate byte behind it. */
    private static final int[] MODRM_BYTE = {0x80, 0x83, 0x6b, 0xc0, 0xc1, 0xc6, 0x0fa4, 0x0fac, 0x0fba};

    /** With an immediate of the operand's size, four bytes at most. */
    private static final int[] MODRM_WORD = {0x81, 0x69, 0xc7};

    private static final int[] PLAIN = {
        0x50, 0x51, 0x52, 0x53, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x5b, 0x5d, 0x5e, 0x5f, 0x90, 0x91, 0x92, 0x93,
                0x95,
        0x96, 0x97, 0x98, 0x99, 0x9e, 0x9f, 0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf, 0xc3, 0xc9,
                0xd7,
        0xf4, 0xf5, 0xf8, 0xf9, 0xfa, 0xfc, 0xfd, 0x0f0b, 0x0fc8, 0x0fc9, 0x0fca, 0x0fcb, 0x0fcd, 0x0fce, 0x0fcf
    };

    private static final int[] BYTE = {
        0x04, 0x0c, 0x14, 0x1c, 0x24, 0x2c, 0x34, 0x3c, 0x6a, 0xa8, 0xb0, 0xb1, 0xb4, 0xb7, 0xe0, 0xe1, 0xe2, 0xe3, 0xeb
    };

    private static final int[] WORD = {0x05, 0x0d, 0x15, 0x1d, 0x25, 0x2d, 0x35, 0x3d, 0x68, 0xa9, 0xb8, 0xb9, 0xbd};

    /** Those that are prefixes or nothing in 64-bit code, without and with an immediate byte. */
    private static final int[] OLD = {
        0x40, 0x41, 0x42, 0x43, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x4b, 0x4d, 0x4e, 0x4f, 0x60, 0x61, 0x27, 0x2f,
        0x37, 0x3f, 0x06, 0x0e, 0x16, 0x1e
    };

    private static final int[] OLD_BYTE = {0xd4, 0xd5};

    private static final List<Long> EDGES = List.of(
            0L,
            1L,
            -1L,
            0x7fL,
            0x80L,
            0xffL,
            0x7fffL,
            0x8000L,
            0xffffL,
            0x7fffffffL,
            0x80000000L,
            0xffffffffL,
            Long.MAX_VALUE,
            Long.MIN_VALUE);

    private final Random random;
    private final Role[] roles = new Role[16];
    private final byte[] code = new byte[32];
    private int length;

    private final Oracle.Mode mode;

    InstructionSource(Oracle.Mode mode, Random random) {
        this.mode = mode;
        this.random = random;
    }

    /** Registers for the instructions that follow. */
    GeneralRegisters registers() {
        long[] r = new long[16];
        for (int i = 0; i < r.length; i++) {
            roles[i] = Role.values()[random.nextInt(3)];
            r[i] = switch (roles[i]) {
                case POINTER -> pointer();
                case INDEX -> random.nextInt(256) - 128;
                case ANY -> value();
            };
        }
        roles[4] = Role.POINTER;
        r[4] = pointer() & ~7L;
        if (mode != Oracle.Mode.LONG_USER) { // or a repeated instruction overwrites itself, in steps of any size
            r[1] = random.nextInt(64);
        }
        int flags = 2 | (random.nextInt() & Flags.STATUS) | (random.nextInt(4) == 0 ? Flags.DF : 0);
        return new GeneralRegisters(
                r[0],
                r[3],
                r[1],
                r[2],
                r[6],
                r[7],
                r[4],
                r[5],
                r[8],
                r[9],
                r[10],
                r[11],
                r[12],
                r[13],
                r[14],
                r[15],
                Oracle.CODE,
                flags);
    }

    private long pointer() {
        return mode.data + 0x1000 + random.nextInt(Oracle.DATA_SIZE - 0x2000);
    }

    private long value() {
        return switch (random.nextInt(3)) {
            case 0 -> EDGES.get(random.nextInt(EDGES.size()));
            case 1 -> random.nextLong();
            default -> random.nextInt(64);
        };
    }

    /** One instruction, whose memory operand mostly lies in the data. */
    byte[] next() {
        length = 0;
        if (random.nextInt(5) == 0) {
            put(0x66);
        }
        if (random.nextInt(30) == 0) {
            put(0x67);
        }
        if (mode != Oracle.Mode.LONG_USER && random.nextInt(8) == 0) {
            if (random.nextInt(4) == 0) {
                opcode(pick(OLD_BYTE));
                put(random.nextInt(256));
            } else {
                opcode(pick(OLD));
            }
            return Arrays.copyOf(code, length);
        }
        switch (random.nextInt(12)) {
            case 0, 1 -> {
                prefixedRepeat();
                opcode(pick(PLAIN));
            }
            case 2 -> {
                opcode(pick(BYTE));
                put(random.nextInt(256));
            }
            case 3 -> immediate(pick(WORD));
            case 4 -> {
                rex();
                opcode(0x70 + random.nextInt(16));
                put(random.nextInt(256));
            }
            case 5 -> modrm((random.nextBoolean() ? 0x0f40 : 0x0f90) + random.nextInt(16));
            case 6 -> {
                modrm(pick(MODRM_BYTE));
                put(random.nextInt(256));
            }
            case 7 -> modrmWord();
            default -> {
                if (random.nextInt(6) == 0) {
                    put(0xf0);
                } else if (random.nextInt(6) == 0) {
                    put(0xf3);
                }
                modrm(pick(MODRM));
            }
        }
        return Arrays.copyOf(code, length);
    }

    private void prefixedRepeat() {
        int which = random.nextInt(6);
        if (which < 2) {
            put(0xf2 + which);
        }
        rex();
    }

    private void rex() {
        if (mode == Oracle.Mode.LONG_USER && random.nextBoolean()) {
            put(0x40 + random.nextInt(16));
        }
    }

    private void immediate(int opcode) {
        boolean wide = false;
        if (mode == Oracle.Mode.LONG_USER && random.nextBoolean()) {
            int rex = 0x40 + random.nextInt(16);
            wide = (rex & 8) != 0;
            put(rex);
        }
        opcode(opcode);
        int bytes = wide ? (opcode >= 0xb8 && opcode < 0xc0 ? 8 : 4) : narrow() ? 2 : 4;
        for (int i = 0; i < bytes; i++) {
            put(random.nextInt(256));
        }
    }

    /** Whether operands have two bytes. */
    private boolean narrow() {
        return (code[0] == 0x66) != (mode == Oracle.Mode.REAL);
    }

    private void modrmWord() {
        boolean wide = modrm(pick(MODRM_WORD));
        int bytes = !wide && narrow() ? 2 : 4;
        for (int i = 0; i < bytes; i++) {
            put(random.nextInt(256));
        }
    }

    /** @return whether its operand has 8 bytes */
    private boolean modrm(int opcode) {
        int rex = mode == Oracle.Mode.LONG_USER && random.nextBoolean() ? 0x40 + random.nextInt(16) : 0;
        int mod = random.nextInt(4);
        int rm = random.nextInt(8);
        int sib = random.nextInt(256);
        for (int tries = 0; tries < 200 && mod != 3 && !leadsToData(rex, mod, rm, sib); tries++) {
            mod = random.nextInt(4);
            rm = random.nextInt(8);
            sib = random.nextInt(256);
        }
        if (rex != 0) {
            put(rex);
        }
        opcode(opcode);
        put(mod << 6 | random.nextInt(8) << 3 | rm);
        if (mod == 3) {
            return (rex & 8) != 0;
        }
        boolean otherAddress = code[0] == 0x67 || code[1] == 0x67;
        if ((mode == Oracle.Mode.REAL) != otherAddress && mode != Oracle.Mode.LONG_USER) { // 16-bit addresses
            if (mod == 1) {
                put(random.nextInt(256));
            } else if (mod == 2 || rm == 6) {
                number((int) mode.data + random.nextInt(0x2000), 2);
            }
            return false;
        }
        boolean absolute = false;
        if (rm == 4) {
            put(sib);
            absolute = mod == 0 && (sib & 7) == 5;
        }
        if (mod == 0 && rm == 5) { // relative to the instruction pointer: to the data
            number((int) (mode.data + 0x1000 - (mode == Oracle.Mode.LONG_USER ? Oracle.CODE : 0)), 4);
        } else if (absolute) {
            number((int) (mode.data + 0x1000), 4);
        } else if (mod == 1) {
            put(random.nextInt(256));
        } else if (mod == 2) {
            number(random.nextInt(0x1000) - 0x800, 4);
        }
        return (rex & 8) != 0;
    }

    private boolean leadsToData(int rex, int mod, int rm, int sib) {
        int b = (rex & 1) << 3;
        if (rm != 4) {
            return (mod == 0 && rm == 5) || roles[rm | b] == Role.POINTER;
        }
        int index = (sib >> 3 & 7) | (rex & 2) << 2;
        boolean baseGood = (mod == 0 && (sib & 7) == 5) || roles[(sib & 7) | b] == Role.POINTER;
        return baseGood && (index == 4 || roles[index] == Role.INDEX);
    }

    private void opcode(int opcode) {
        if (opcode > 0xff) {
            put(opcode >> 8);
        }
        put(opcode & 0xff);
    }

    private void number(int value, int bytes) {
        for (int i = 0; i < bytes; i++) {
            put(value >> (8 * i) & 0xff);
        }
    }

    private int pick(int[] from) {
        return from[random.nextInt(from.length)];
    }

    private void put(int value) {
        code[length++] = (byte) value;
    }
}
