package io.membacking.partition.reference;

/**
 * Bytes to instructions. Pure: the bytes come from where the caller takes them, and asking for one may throw. What is no
 * instruction decodes as {@link Opcode#INVALID}, one beyond the subset as {@link Opcode#UNSUPPORTED}.
 */
final class Decoder {
    private static final int SS = 2;
    private static final int DS = 3;
    private static final int FS = 4;

    private static final int REX_B = 1;
    private static final int REX_X = 2;
    private static final int REX_R = 4;
    private static final int REX_W = 8;

    /** The 16-bit addresses [BX+SI], [BX+DI], [BP+SI], [BP+DI], [SI], [DI], [BP], [BX]. */
    private static final int[] BASE_16 = {3, 3, 5, 5, 6, 7, 5, 3};

    private static final int[] INDEX_16 = {
        6, 7, 6, 7, Instruction.NONE, Instruction.NONE, Instruction.NONE, Instruction.NONE
    };

    /** Where the bytes come from, one after the other. */
    interface Bytes {
        int next();
    }

    /** More than 15 bytes. */
    static final class TooLong extends RuntimeException {
        private static final long serialVersionUID = 1L;

        TooLong() {
            super("an instruction has at most 15 bytes", null, false, false);
        }
    }

    private final Bytes bytes;
    private final Instruction in = new Instruction();
    private int rex;
    private boolean otherOperandSize;

    private Decoder(Bytes bytes, int codeSize) {
        this.bytes = bytes;
        in.codeSize = codeSize;
    }

    /**
     * @param codeSize 2, 4 or 8
     * @throws TooLong if it has more than 15 bytes
     */
    static Instruction decode(Bytes bytes, int codeSize) {
        return new Decoder(bytes, codeSize).decode();
    }

    private Instruction decode() {
        boolean wide = in.codeSize == 8;
        in.segment = DS;
        boolean otherAddressSize = false;
        int code = next();
        while (true) {
            int rexBefore = rex;
            rex = 0; // it counts only right before the opcode
            if (code == 0x66) {
                otherOperandSize = true;
            } else if (code == 0x67) {
                otherAddressSize = true;
            } else if (code == 0xf0) {
                in.lock = true;
            } else if (code == Instruction.REPNE || code == Instruction.REPE) {
                in.repeat = code;
            } else if ((code & 0xe7) == 0x26) {
                segment(code >> 3 & 3, wide);
            } else if (code == 0x64 || code == 0x65) {
                segment(FS + (code & 1), wide);
            } else if (wide && (code & 0xf0) == 0x40) {
                rex = code;
            } else {
                rex = rexBefore;
                break;
            }
            code = next();
        }
        in.addressSize = otherAddressSize ? (in.codeSize == 4 ? 2 : 4) : in.codeSize;
        Opcode opcode;
        if (code == 0x0f) {
            code = next();
            opcode = OpcodeTable.second(code, in.repeat, this::next);
        } else {
            opcode = OpcodeTable.first(code, wide);
        }
        finish(opcode, code);
        return in;
    }

    private void finish(Opcode found, int code) {
        Opcode opcode = found;
        int flags = opcode.flags();
        boolean modrm = opcode.has(Opcode.MODRM);
        int mod = 0;
        if (modrm) {
            int byteOfModrm = next();
            mod = byteOfModrm >> 6;
            in.reg = byteOfModrm >> 3 & 7;
            in.rm = byteOfModrm & 7;
            Opcode[] group = opcode.group();
            if (group != null) {
                opcode = group[in.reg];
                flags |= opcode.flags();
            }
            if ((flags & Opcode.REGISTERS) != 0) {
                mod = 3;
            }
            in.memory = mod != 3;
        }
        in.opcode = opcode;
        in.size = operandSize(flags);
        if (modrm) {
            if (in.memory) {
                address(mod);
            } else {
                in.rm |= (rex & REX_B) != 0 ? 8 : 0;
            }
            in.reg |= (rex & REX_R) != 0 ? 8 : 0;
        } else if ((flags & Opcode.REGISTER) != 0) {
            in.rm = (code & 7) | ((rex & REX_B) != 0 ? 8 : 0);
        } else if ((flags & Opcode.OFFSET) != 0) {
            in.memory = true;
            in.displacement = number(in.addressSize);
        }
        in.byteReg = byteRegister(in.reg);
        in.byteRm = byteRegister(in.rm);
        immediates(flags);
        if (!opcode.equals(Opcode.UNSUPPORTED) && refused(flags)) {
            in.opcode = Opcode.INVALID;
        }
    }

    private void segment(int number, boolean wide) {
        if (wide && number < FS) {
            return; // no meaning there
        }
        in.segment = number;
        in.segmentGiven = true;
    }

    private boolean refused(int flags) {
        return (in.lock && ((flags & Opcode.LOCKABLE) == 0 || !in.memory))
                || ((flags & Opcode.NOT_64) != 0 && in.codeSize == 8)
                || ((flags & Opcode.MEMORY) != 0 && !in.memory);
    }

    private int operandSize(int flags) {
        int size = plainOperandSize(flags);
        return (flags & Opcode.NOT_SHORT) != 0 ? Math.max(size, 4) : size;
    }

    private int plainOperandSize(int flags) {
        if ((flags & Opcode.BYTE) != 0) {
            return 1;
        }
        if (in.codeSize == 8) {
            boolean longer = (rex & REX_W) != 0 && (flags & Opcode.NARROW) == 0;
            if (longer || (flags & Opcode.WIDEST) != 0) {
                return 8;
            }
            if (otherOperandSize) {
                return 2;
            }
            return (flags & Opcode.WIDE) != 0 ? 8 : 4;
        }
        return (in.codeSize == 4) == otherOperandSize ? 2 : 4;
    }

    private int byteRegister(int number) {
        return rex == 0 && number >= 4 && number < 8 ? number - 4 + Registers.HIGH : number;
    }

    private void address(int mod) {
        if (in.addressSize == 2) {
            address16(mod);
            return;
        }
        int base = in.rm;
        if (base == 4) {
            int sib = next();
            in.scale = sib >> 6;
            int index = (sib >> 3 & 7) | ((rex & REX_X) != 0 ? 8 : 0);
            in.index = index == 4 ? Instruction.NONE : index;
            base = sib & 7;
            if (base == 5 && mod == 0) {
                in.displacement = number(4);
                return;
            }
        } else if (base == 5 && mod == 0) {
            in.base = in.codeSize == 8 ? Instruction.RIP : Instruction.NONE;
            in.displacement = number(4);
            return;
        }
        if (!in.segmentGiven && (base == 4 || base == 5) && (rex & REX_B) == 0) {
            in.segment = SS;
        }
        in.base = base | ((rex & REX_B) != 0 ? 8 : 0);
        displacement(mod, 4);
    }

    private void address16(int mod) {
        if (mod == 0 && in.rm == 6) {
            in.displacement = number(2);
            return;
        }
        in.base = BASE_16[in.rm];
        in.index = INDEX_16[in.rm];
        if (!in.segmentGiven && in.base == 5) {
            in.segment = SS;
        }
        displacement(mod, 2);
    }

    private void displacement(int mod, int size) {
        if (mod == 1) {
            in.displacement = number(1);
        } else if (mod == 2) {
            in.displacement = number(size);
        }
    }

    private void immediates(int flags) {
        if ((flags & Opcode.IMM16) != 0) {
            in.immediate = number(2) & 0xffff;
            if ((flags & Opcode.IMM8) != 0) {
                in.second = (int) number(1) & 0xff;
            }
        } else if ((flags & Opcode.FAR) != 0) {
            in.immediate = number(in.size) & Alu.mask(in.size);
            in.second = (int) number(2) & 0xffff;
        } else if ((flags & Opcode.IMM8) != 0) {
            in.immediate = number(1);
        } else if ((flags & Opcode.IMMZ) != 0) {
            in.immediate = number(Math.min(in.size, 4));
        } else if ((flags & Opcode.IMMV) != 0) {
            in.immediate = number(in.size);
        }
    }

    /** Little endian, sign-extended. */
    private long number(int size) {
        long value = 0;
        for (int i = 0; i < size; i++) {
            value |= (long) next() << (8 * i);
        }
        return Alu.signExtend(value, size);
    }

    private int next() {
        if (in.length == Instruction.MOST_BYTES) {
            throw new TooLong();
        }
        int value = bytes.next() & 0xff;
        if (in.length < 8) {
            in.first |= (long) value << (8 * in.length);
        } else {
            in.rest |= (long) value << (8 * (in.length - 8));
        }
        in.length++;
        return value;
    }
}
