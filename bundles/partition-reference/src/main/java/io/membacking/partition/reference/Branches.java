package io.membacking.partition.reference;

/** Jumps, calls, returns and software interrupts. */
final class Branches {
    private Branches() {}

    static Operation jumpIf(int condition) {
        return (core, in) -> {
            if (Conditions.holds(core.r.flags, condition)) {
                core.jump(core.nextRip + in.immediate, in.size);
            }
        };
    }

    static void jump(Core core, Instruction in) {
        core.jump(core.nextRip + in.immediate, in.size);
    }

    static void jumpRm(Core core, Instruction in) {
        core.jump(core.load(in), in.size);
    }

    static void call(Core core, Instruction in) {
        call(core, core.nextRip + in.immediate, in.size);
    }

    static void callRm(Core core, Instruction in) {
        call(core, core.load(in), in.size);
    }

    private static void call(Core core, long target, int size) {
        long checked = core.checkTarget(target, size);
        core.push(core.nextRip, size);
        core.nextRip = checked;
    }

    static void returnNear(Core core, Instruction in) {
        long pointer = core.stackPointer();
        long target = core.checkTarget(core.read(Registers.SS, pointer, in.size), in.size);
        core.setStackPointer(pointer + in.size + in.immediate);
        core.nextRip = target;
    }

    /** LOOPNE, LOOPE, LOOP. @param whileZero what ZF must be: 0, 1, or anything else for either */
    static Operation loop(int whileZero) {
        return (core, in) -> {
            long count = core.r.get(Registers.RCX, in.addressSize) - 1 & Alu.mask(in.addressSize);
            boolean zero = core.r.has(Flags.ZF);
            long target = core.nextRip;
            if (count != 0 && (whileZero > 1 || zero == (whileZero == 1))) {
                target = core.checkTarget(core.nextRip + in.immediate, in.size);
            }
            core.r.set(Registers.RCX, in.addressSize, count);
            core.nextRip = target;
        };
    }

    static void jumpIfCounterZero(Core core, Instruction in) {
        if (core.r.get(Registers.RCX, in.addressSize) == 0) {
            core.jump(core.nextRip + in.immediate, in.size);
        }
    }

    static void jumpFar(Core core, Instruction in) {
        FarTransfers.jump(core, in.second, in.immediate, in.size);
    }

    static void callFar(Core core, Instruction in) {
        FarTransfers.call(core, in.second, in.immediate, in.size);
    }

    static void jumpFarRm(Core core, Instruction in) {
        long offset = core.load(in);
        FarTransfers.jump(core, selector(core, in), offset, in.size);
    }

    static void callFarRm(Core core, Instruction in) {
        long offset = core.load(in);
        FarTransfers.call(core, selector(core, in), offset, in.size);
    }

    private static int selector(Core core, Instruction in) {
        long at = core.address(in) + in.size;
        return (int) core.read(in.segment, in.addressSize == 8 ? at : at & Alu.mask(in.addressSize), 2);
    }

    static void returnFar(Core core, Instruction in) {
        FarTransfers.farReturn(core, in.size, (int) in.immediate);
    }

    static void interruptReturn(Core core, Instruction in) {
        FarTransfers.interruptReturn(core, in.size);
    }

    static void interrupt(Core core, Instruction in) {
        software(core, (int) in.immediate & 0xff);
    }

    static void breakpoint(Core core, Instruction in) {
        software(core, GuestFault.BREAKPOINT);
    }

    static void interruptIfOverflow(Core core, Instruction in) {
        if (core.r.has(Flags.OF)) {
            software(core, GuestFault.OVERFLOW);
        }
    }

    /** INT1. */
    static void debugTrap(Core core, Instruction in) {
        Events.deliver(core, GuestFault.DEBUG, GuestFault.NO_CODE, Events.Kind.EXCEPTION, core.nextRip);
    }

    private static void software(Core core, int vector) {
        Events.deliver(core, vector, GuestFault.NO_CODE, Events.Kind.SOFTWARE, core.nextRip);
    }

    /** BOUND; the same opcode begins vector instructions. */
    static void checkBounds(Core core, Instruction in) {
        if (!in.memory) {
            throw core.unsupported("a vector instruction");
        }
        long index = Alu.signExtend(core.r.get(in.reg, in.size), in.size);
        long low = Alu.signExtend(core.load(in), in.size);
        long at = core.address(in) + in.size & Alu.mask(in.addressSize);
        long high = Alu.signExtend(core.read(in.segment, at, in.size), in.size);
        if (index < low || index > high) {
            throw new GuestFault(GuestFault.BOUND, GuestFault.NO_CODE);
        }
    }
}
