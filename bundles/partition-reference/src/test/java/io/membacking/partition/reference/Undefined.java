package io.membacking.partition.reference;

import io.membacking.partition.ProcessorState.GeneralRegisters;

/** What two processors need not agree on, by instruction, as the manuals of Intel and AMD say. */
final class Undefined {
    private static final int MULTIPLIED = Flags.SF | Flags.ZF | Flags.AF | Flags.PF;
    private static final int SEARCHED = Flags.CF | Flags.OF | Flags.SF | Flags.AF | Flags.PF;
    private static final int TESTED = Flags.OF | Flags.SF | Flags.AF | Flags.PF;
    private static final int COUNTED = Flags.OF | Flags.SF | Flags.AF | Flags.PF;

    private Undefined() {}

    static Instruction decode(byte[] code, int codeSize) {
        int[] at = {0};
        try {
            return Decoder.decode(() -> at[0] < code.length ? code[at[0]++] : 0x90, codeSize);
        } catch (Decoder.TooLong e) {
            return null;
        }
    }

    /** Flags that the manuals leave undefined. */
    static int flags(byte[] code, int codeSize, GeneralRegisters registers) {
        Instruction in = decode(code, codeSize);
        if (in == null) {
            return 0;
        }
        return switch (in.opcode.name()) {
            case "and", "or", "xor", "test" -> Flags.AF;
            case "shl", "shr", "sar" -> shifted(in, code, registers);
            case "rol", "ror", "rcl", "rcr" -> count(in, code, registers) == 1 ? 0 : Flags.OF;
            case "shld", "shrd" ->
                count(in, code, registers) > 8 * in.size
                        ? Flags.STATUS
                        : Flags.AF | (count(in, code, registers) == 1 ? 0 : Flags.OF);
            case "mul", "imul" -> MULTIPLIED;
            case "div", "idiv" -> Flags.STATUS;
            case "bsf", "bsr" -> SEARCHED;
            case "bt", "bts", "btr", "btc" -> TESTED;
            case "tzcnt", "lzcnt" -> COUNTED;
            case "daa", "das" -> Flags.OF;
            case "aaa", "aas" -> Flags.OF | Flags.SF | Flags.ZF | Flags.PF;
            // SF and ZF are defined, but KVM's emulation takes them from AX.
            case "aam", "aad" -> Flags.OF | Flags.AF | Flags.CF | Flags.SF | Flags.ZF;
            default -> 0;
        };
    }

    private static int shifted(Instruction in, byte[] code, GeneralRegisters registers) {
        int count = count(in, code, registers);
        if (count == 0) {
            return 0;
        }
        return Flags.AF | (count == 1 ? 0 : Flags.OF) | (count > 8 * in.size ? Flags.CF : 0);
    }

    private static int count(Instruction in, byte[] code, GeneralRegisters registers) {
        int opcode = opcode(code);
        long raw =
                switch (opcode) {
                    case 0xd0, 0xd1 -> 1;
                    case 0xd2, 0xd3, 0xa5, 0xad -> registers.rcx();
                    default -> in.immediate;
                };
        return Alu.shiftCount(raw, in.size);
    }

    /** How far it shifts, and so which flags are undefined, is told by CL, which a stream changes. */
    static boolean isShiftByRegister(byte[] code, int codeSize) {
        Instruction in = decode(code, codeSize);
        if (in == null) {
            return false;
        }
        return switch (in.opcode.name()) {
            case "rol", "ror", "rcl", "rcr", "shl", "shr", "sar" -> opcode(code) == 0xd2 || opcode(code) == 0xd3;
            case "shld", "shrd" -> (opcode(code) & 1) == 1;
            default -> false;
        };
    }

    /** In a stream it can reach the code whatever the registers were at first. */
    static boolean isRepeatedStore(byte[] code, int codeSize) {
        Instruction in = decode(code, codeSize);
        return in != null && isRepeatedStore(in);
    }

    private static boolean isRepeatedStore(Instruction in) {
        String name = in.opcode.name();
        return in.repeat != 0 && (name.equals("movs") || name.equals("stos"));
    }

    private static boolean reachesCode(Instruction in, GeneralRegisters registers) {
        long mask = Alu.mask(in.addressSize);
        long bytes = Math.min(registers.rcx() & mask & Long.MAX_VALUE, 1 << 24) * in.size;
        long at = registers.rdi() & mask;
        boolean down = (registers.rflags() & Flags.DF) != 0;
        return (down ? at - bytes : at) < Oracle.CODE_PAGE + 0x1000 && (down ? at : at + bytes) > Oracle.CODE_PAGE - 8;
    }

    /** A jump whose distance is its last byte; the source has no longer ones. */
    static boolean isShortJump(byte[] code, int codeSize) {
        Instruction in = decode(code, codeSize);
        int first = code[opcodeAt(code)] & 0xff;
        return in != null
                && code.length == in.length
                && ((first >= 0x70 && first < 0x80) || (first >= 0xe0 && first <= 0xe3) || first == 0xeb);
    }

    /** Its last byte; of an opcode of two the second. */
    private static int opcode(byte[] code) {
        int at = opcodeAt(code);
        return code[at < code.length - 1 && code[at] == 0x0f ? at + 1 : at] & 0xff;
    }

    private static int opcodeAt(byte[] code) {
        int at = 0;
        while (at < code.length - 1 && isPrefix(code[at] & 0xff)) {
            at++;
        }
        return at;
    }

    private static boolean isPrefix(int code) {
        return code == 0x66
                || code == 0x67
                || (code >= 0xf2 && code <= 0xf3)
                || code == 0xf0
                || (code & 0xf0) == 0x40 // REX, or an instruction of one byte
                || (code & 0xe7) == 0x26
                || code == 0x64
                || code == 0x65;
    }

    /** Where Intel's processors and AMD's differ. */
    private static boolean dependsOnMaker(Instruction in, byte[] code, GeneralRegisters registers) {
        boolean wide = in.codeSize == 8;
        return switch (in.opcode.name()) {
            // Intel's cut the pointers and the count to 32 bits even if there is nothing to do, AMD's do not.
            case "movs", "stos", "lods", "cmps", "scas" ->
                wide && in.addressSize == 4 && in.repeat != 0 && (int) registers.rcx() == 0;
            // Intel's: PAUSE. AMD's: an exchange with R8.
            case "xchg" -> wide && in.repeat == Instruction.REPE && opcode(code) == 0x90 && in.rm == 8;
            // To AMD's the prefix says what the zero flag must be.
            case "loope", "loopne" -> in.repeat != 0 || (wide && hasOperandSize(code));
            // Intel's ignore the prefix on near branches, AMD's cut the target to 16 bits.
            default -> wide && in.opcode.has(Opcode.WIDEST) && hasOperandSize(code);
        };
    }

    private static boolean hasOperandSize(byte[] code) {
        for (int i = 0; i < opcodeAt(code); i++) {
            if (code[i] == 0x66) {
                return true;
            }
        }
        return false;
    }

    /**
     * What user code sees of the host, where KVM runs it natively: its tables, selectors, time, and IF; or what the results of are
     * undefined.
     */
    static boolean dependsOnHost(byte[] code, int codeSize, GeneralRegisters registers) {
        Instruction in = decode(code, codeSize);
        if (in == null) {
            return false;
        }
        String name = in.opcode.name();
        // Where KVM emulates it knows no counts, and takes them for searches.
        if (codeSize != 8 && (name.equals("lzcnt") || name.equals("tzcnt"))) {
            return true;
        }
        // A fault in the middle finds the flags from before the first iteration there.
        if (codeSize != 8 && in.repeat != 0 && (name.equals("cmps") || name.equals("scas"))) {
            return true;
        }
        // To random code.
        boolean elsewhere =
                (name.equals("call") || name.equals("jmp")) && in.opcode.has(Opcode.WIDEST) && opcode(code) == 0xff;
        if ((elsewhere && (codeSize == 2 || !in.memory)) || (codeSize == 2 && name.equals("ret"))) {
            return true;
        }
        if (dependsOnMaker(in, code, registers)) {
            return true;
        }
        // Over itself: whether it is fetched again between two iterations is the processor's affair.
        if (isRepeatedStore(in) && reachesCode(in, registers)) {
            return true;
        }
        // Where the frame pointers that it copies lie in what it writes, the order counts.
        int levels = name.equals("enter") ? code[in.length - 1] & 31 : 0;
        if (levels > 1 && Math.abs(registers.rsp() - registers.rbp()) < 16L * (levels + 2)) {
            return true;
        }
        return switch (name) {
            case "cpuid",
                    "rdtsc",
                    "sgdt",
                    "sidt",
                    "sldt",
                    "str",
                    "smsw",
                    "lar",
                    "lsl",
                    "verr",
                    "verw",
                    "pushf",
                    "popf",
                    "invlpg",
                    "jmp far",
                    "call far",
                    "ret far",
                    "iret",
                    "int",
                    "int1",
                    "int3",
                    "syscall",
                    "sysret",
                    "lgdt",
                    "lss",
                    "lfs",
                    "lgs",
                    "in",
                    "out",
                    "ins",
                    "outs",
                    "fence",
                    "(vector)",
                    "(x87)",
                    "fwait",
                    "(unsupported)",
                    "(transaction)" -> true;
            case "bswap" -> in.size == 2;
            case "shld", "shrd" ->
                (in.size == 2 && (in.immediate & 31) > 16) || (in.size == 2 && (opcode(code) & 1) == 1);
            case "mov", "push", "pop" -> {
                int opcode = opcode(code);
                yield opcode == 0x8c
                        || opcode == 0x8e
                        || opcode == 0xa0
                        || opcode == 0xa1
                        || opcode == 0xa8
                        || opcode == 0xa9;
            }
            default -> false;
        };
    }
}
