package io.membacking.partition.reference;

/** Moves, conversions and the stack. */
final class Moves {
    private Moves() {}

    static void storeRegister(Core core, Instruction in) {
        core.store(in, core.r.get(in.register(), in.size));
    }

    static void loadRegister(Core core, Instruction in) {
        core.r.set(in.register(), in.size, core.load(in));
    }

    static void storeImmediate(Core core, Instruction in) {
        core.store(in, in.immediate & Alu.mask(in.size));
    }

    static void loadImmediate(Core core, Instruction in) {
        core.r.set(in.rmRegister(), in.size, in.immediate);
    }

    static void loadAccumulator(Core core, Instruction in) {
        core.r.set(Registers.RAX, in.size, core.load(in));
    }

    static void storeAccumulator(Core core, Instruction in) {
        core.store(in, core.r.get(Registers.RAX, in.size));
    }

    static Operation zeroExtend(int from) {
        return (core, in) -> core.r.set(in.reg, in.size, core.load(in, from));
    }

    static Operation signExtend(int from) {
        return (core, in) -> core.r.set(in.reg, in.size, Alu.signExtend(core.load(in, from), from));
    }

    /** MOVSXD; with an operand of 16 bits it is a plain move. */
    static void signExtendDouble(Core core, Instruction in) {
        int from = Math.min(in.size, 4);
        core.r.set(in.reg, in.size, Alu.signExtend(core.load(in, from), from));
    }

    static void loadAddress(Core core, Instruction in) {
        core.r.set(in.reg, in.size, core.address(in));
    }

    static Operation conditional(int condition) {
        return (core, in) -> {
            long value = core.load(in); // read in any case
            if (!Conditions.holds(core.r.flags, condition)) {
                value = core.r.get(in.reg, in.size);
            }
            core.r.set(in.reg, in.size, value);
        };
    }

    static Operation setByte(int condition) {
        return (core, in) -> core.store(in, Conditions.holds(core.r.flags, condition) ? 1 : 0);
    }

    /** CBW, CWDE, CDQE. */
    static void extendAccumulator(Core core, Instruction in) {
        int half = in.size / 2;
        core.r.set(Registers.RAX, in.size, Alu.signExtend(core.r.get(Registers.RAX, half), half));
    }

    /** CWD, CDQ, CQO. */
    static void extendIntoRdx(Core core, Instruction in) {
        core.r.set(Registers.RDX, in.size, Alu.signExtend(core.r.get(Registers.RAX, in.size), in.size) >> 63);
    }

    /** XLAT. */
    static void translate(Core core, Instruction in) {
        long offset = core.r.general[Registers.RBX] + core.r.get(Registers.RAX, 1);
        if (in.addressSize != 8) {
            offset &= Alu.mask(in.addressSize);
        }
        core.r.set(Registers.RAX, 1, core.read(in.segment, offset, 1));
    }

    // The stack.

    static void pushRegister(Core core, Instruction in) {
        core.push(core.r.get(in.rm, in.size), in.size);
    }

    static void pushRm(Core core, Instruction in) {
        core.push(core.load(in), in.size);
    }

    static void pushImmediate(Core core, Instruction in) {
        core.push(in.immediate & Alu.mask(in.size), in.size);
    }

    static void popRegister(Core core, Instruction in) {
        long value = core.pop(in.size);
        core.r.set(in.rm, in.size, value);
    }

    /** The address is that after the stack pointer has moved. */
    static void popRm(Core core, Instruction in) {
        core.checkpoint();
        long value = core.pop(in.size);
        core.store(in, value);
    }

    static void pushAll(Core core, Instruction in) {
        core.checkpoint();
        long pointer = core.r.general[Registers.RSP];
        for (int i = 0; i < 8; i++) {
            core.push(i == Registers.RSP ? pointer : core.r.get(i, in.size), in.size);
        }
    }

    static void popAll(Core core, Instruction in) {
        core.checkpoint();
        for (int i = 7; i >= 0; i--) {
            long value = core.pop(in.size);
            if (i != Registers.RSP) {
                core.r.set(i, in.size, value);
            }
        }
    }

    static void pushFlags(Core core, Instruction in) {
        core.push(core.r.flags & ~(Flags.VM | Flags.RF), in.size);
    }

    static void popFlags(Core core, Instruction in) {
        Registers r = core.r;
        long value = core.pop(in.size);
        int changes = Flags.STATUS | Flags.TF | Flags.DF | Flags.NT | Flags.AC | Flags.ID;
        if (r.cpl == 0) {
            changes |= Flags.IOPL;
        }
        if (r.cpl <= r.iopl()) {
            changes |= Flags.IF;
        }
        if (in.size == 2) {
            changes &= 0xffff;
        }
        r.flags = ((r.flags & ~changes) | ((int) value & changes)) & ~Flags.RF;
    }

    static void enter(Core core, Instruction in) {
        core.checkpoint();
        Registers r = core.r;
        int level = in.second & 31;
        core.push(r.get(Registers.RBP, in.size), in.size);
        long frame = r.general[Registers.RSP];
        if (level > 0) {
            long base = r.general[Registers.RBP];
            for (int i = 1; i < level; i++) {
                base -= in.size;
                core.push(core.read(Registers.SS, base & Alu.mask(r.stackSize), in.size), in.size);
            }
            core.push(frame, in.size);
        }
        r.set(Registers.RBP, Math.max(in.size, 2), frame);
        long pointer = core.stackPointer() - in.immediate & Alu.mask(r.stackSize);
        core.mmu.checkWrite(core.linear(Registers.SS, pointer, in.size, true), in.size);
        core.setStackPointer(pointer);
    }

    static void leave(Core core, Instruction in) {
        Registers r = core.r;
        long pointer = r.general[Registers.RBP] & Alu.mask(r.stackSize);
        long value = core.read(Registers.SS, pointer, in.size);
        core.setStackPointer(pointer + in.size);
        r.set(Registers.RBP, in.size, value);
    }

    // Flags.

    static Operation setFlag(int flag, boolean value) {
        return (core, in) -> core.r.setFlag(flag, value);
    }

    static void complementCarry(Core core, Instruction in) {
        core.r.flags ^= Flags.CF;
    }

    private static final int LOW = Flags.SF | Flags.ZF | Flags.AF | Flags.PF | Flags.CF;

    static void loadFlags(Core core, Instruction in) {
        core.r.set(Registers.HIGH, 1, (core.r.flags & LOW) | Flags.FIXED);
    }

    static void storeFlags(Core core, Instruction in) {
        core.r.flags = (core.r.flags & ~LOW) | ((int) core.r.get(Registers.HIGH, 1) & LOW);
    }

    // Segments.

    static void storeSegment(Core core, Instruction in) {
        int segment = in.reg & 7;
        if (segment > Registers.GS) {
            throw core.undefined();
        }
        long selector = core.r.segments[segment].selector;
        if (in.memory) {
            core.mmu.write(core.linear(in, 2, true), 2, selector);
        } else {
            core.r.set(in.rm, in.size, selector);
        }
    }

    static void loadSegment(Core core, Instruction in) {
        int segment = in.reg & 7;
        if (segment > Registers.GS || segment == Registers.CS) {
            throw core.undefined();
        }
        int selector = (int) core.load(in, 2);
        core.checkpoint();
        SegmentLoads.load(core, segment, selector);
        if (segment == Registers.SS) {
            core.suppressStepTrap();
        }
    }

    /** Of 32 bits on the stack only the lower half is written, as newer processors do it. */
    static Operation pushSegment(int segment) {
        return (core, in) -> {
            long selector = core.r.segments[segment].selector;
            if (in.size != 4) {
                core.push(selector, in.size);
                return;
            }
            long pointer = (core.r.general[Registers.RSP] - 4) & Alu.mask(core.r.stackSize);
            core.write(Registers.SS, pointer, 2, selector);
            core.setStackPointer(pointer);
        };
    }

    static Operation popSegment(int segment) {
        return (core, in) -> {
            core.checkpoint();
            int selector = (int) core.pop(in.size) & 0xffff;
            SegmentLoads.load(core, segment, selector);
            if (segment == Registers.SS) {
                core.suppressStepTrap();
            }
        };
    }

    /** LDS, LES, LFS, LGS and LSS. */
    static Operation loadPointer(int segment) {
        return (core, in) -> {
            if (!in.memory) {
                throw core.unsupported("a vector instruction");
            }
            long offset = core.load(in);
            long at = core.address(in) + in.size;
            if (in.addressSize != 8) {
                at &= Alu.mask(in.addressSize);
            }
            int selector = (int) core.read(in.segment, at, 2);
            core.checkpoint();
            SegmentLoads.load(core, segment, selector);
            core.r.set(in.reg, in.size, offset);
        };
    }
}
