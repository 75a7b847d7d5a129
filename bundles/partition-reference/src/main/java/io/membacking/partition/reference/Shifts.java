package io.membacking.partition.reference;

/** Shifts and rotates. With a count of zero, after masking, nothing changes, flags included. */
final class Shifts {
    private static final int ROTATED = Flags.CF | Flags.OF;

    private Shifts() {}

    private static final Core.Change[] BY_GROUP = {
        Shifts::rotateLeft,
        Shifts::rotateRight,
        Shifts::rotateLeftCarry,
        Shifts::rotateRightCarry,
        Shifts::left,
        Shifts::right,
        Shifts::left,
        Shifts::arithmeticRight
    };

    /** By ModRM's reg field. */
    static Operation byImmediate(int group) {
        Core.Change change = BY_GROUP[group];
        return (core, in) -> core.modify(in, change, Alu.shiftCount(in.immediate, in.size));
    }

    static Operation byOne(int group) {
        Core.Change change = BY_GROUP[group];
        return (core, in) -> core.modify(in, change, 1);
    }

    static Operation byCl(int group) {
        Core.Change change = BY_GROUP[group];
        return (core, in) -> core.modify(in, change, Alu.shiftCount(core.r.general[Registers.RCX], in.size));
    }

    private static long left(Core core, long value, long count, int size) {
        if (count == 0) {
            return value;
        }
        core.r.setStatus(Alu.shlFlags(value, (int) count, size));
        return Alu.shl(value, (int) count, size);
    }

    private static long right(Core core, long value, long count, int size) {
        if (count == 0) {
            return value;
        }
        core.r.setStatus(Alu.shrFlags(value, (int) count, size));
        return Alu.shr(value, (int) count);
    }

    private static long arithmeticRight(Core core, long value, long count, int size) {
        if (count == 0) {
            return value;
        }
        core.r.setStatus(Alu.sarFlags(value, (int) count, size));
        return Alu.sar(value, (int) count, size);
    }

    private static long rotateLeft(Core core, long value, long count, int size) {
        if (count == 0) {
            return value;
        }
        long result = Alu.rol(value, (int) count, size);
        setRotated(core, Alu.rolFlags(result, size));
        return result;
    }

    private static long rotateRight(Core core, long value, long count, int size) {
        if (count == 0) {
            return value;
        }
        long result = Alu.ror(value, (int) count, size);
        setRotated(core, Alu.rorFlags(result, size));
        return result;
    }

    private static long rotateLeftCarry(Core core, long value, long count, int size) {
        int by = Alu.carryRotation((int) count, size);
        if (by == 0) {
            return value;
        }
        long carry = core.r.flags & Flags.CF;
        setRotated(core, Alu.rclFlags(value, by, size, carry));
        return Alu.rcl(value, by, size, carry);
    }

    private static long rotateRightCarry(Core core, long value, long count, int size) {
        int by = Alu.carryRotation((int) count, size);
        if (by == 0) {
            return value;
        }
        long carry = core.r.flags & Flags.CF;
        setRotated(core, Alu.rcrFlags(value, by, size, carry));
        return Alu.rcr(value, by, size, carry);
    }

    private static void setRotated(Core core, int flags) {
        core.r.flags = (core.r.flags & ~ROTATED) | flags;
    }

    // Of two registers.

    static void doubleLeftImmediate(Core core, Instruction in) {
        doubleLeft(core, in, in.immediate);
    }

    static void doubleLeftCl(Core core, Instruction in) {
        doubleLeft(core, in, core.r.general[Registers.RCX]);
    }

    static void doubleRightImmediate(Core core, Instruction in) {
        doubleRight(core, in, in.immediate);
    }

    static void doubleRightCl(Core core, Instruction in) {
        doubleRight(core, in, core.r.general[Registers.RCX]);
    }

    private static void doubleLeft(Core core, Instruction in, long rawCount) {
        int count = doubleCount(rawCount, in.size);
        long fill = core.r.get(in.reg, in.size);
        core.modify(
                in,
                (c, value, by, size) -> {
                    if (by == 0) {
                        return value;
                    }
                    long result = Alu.shld(value, fill, (int) by, size);
                    c.r.setStatus(Alu.shldFlags(value, result, (int) by, size));
                    return result;
                },
                count);
    }

    private static void doubleRight(Core core, Instruction in, long rawCount) {
        int count = doubleCount(rawCount, in.size);
        long fill = core.r.get(in.reg, in.size);
        core.modify(
                in,
                (c, value, by, size) -> {
                    if (by == 0) {
                        return value;
                    }
                    long result = Alu.shrd(value, fill, (int) by, size);
                    c.r.setStatus(Alu.shrdFlags(value, result, (int) by, size));
                    return result;
                },
                count);
    }

    /** The result of more than 16 is undefined for 16 bits: there it is that of the rest. */
    private static int doubleCount(long raw, int size) {
        int count = Alu.shiftCount(raw, size);
        return size == 2 && count > 16 ? count - 16 : count;
    }
}
