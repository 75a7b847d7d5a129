package io.membacking.partition.reference;

/**
 * Jumps, calls and returns that load CS. Call gates, task gates and task switches are beyond the subset.
 *
 * <p>All of them take a checkpoint, because they load registers between accesses to memory.
 */
final class FarTransfers {
    private static final int FLAGS_16 = 0xffff;

    private FarTransfers() {}

    static void jump(Core core, int selector, long offset, int size) {
        core.checkpoint();
        enter(core, selector, offset, size);
    }

    static void call(Core core, int selector, long offset, int size) {
        core.checkpoint();
        Registers r = core.r;
        int oldSelector = r.segments[Registers.CS].selector;
        // Into the old stack, with the old code's size of it; where it leads is checked first.
        if (r.protectedMode) {
            codeDescriptor(core, selector, r.cpl);
        }
        core.push(oldSelector, size);
        core.push(core.nextRip, size);
        enter(core, selector, offset, size);
    }

    private static void enter(Core core, int selector, long offset, int size) {
        Registers r = core.r;
        SegmentRegister cs = r.segments[Registers.CS];
        if (!r.protectedMode) {
            cs.setReal(selector);
        } else {
            Descriptor d = codeDescriptor(core, selector, r.cpl);
            cs.set((selector & ~3) | r.cpl, SegmentLoads.access(core, selector, d));
        }
        r.refresh();
        core.jump(offset, size);
    }

    private static Descriptor codeDescriptor(Core core, int selector, int cpl) {
        if (SegmentLoads.isNull(selector)) {
            throw core.protection(0);
        }
        Descriptor d = SegmentLoads.descriptor(core, selector, GuestFault.PROTECTION);
        if (!d.isSegment()) {
            if (d.type() == 4 || d.type() == 5 || d.type() == 0xc || (d.type() & 5) == 1) {
                throw core.unsupported("a far transfer through a gate or a task");
            }
            throw core.protection(selector & ~3);
        }
        boolean allowed = d.isConforming() ? d.privilege() <= cpl : (selector & 3) <= cpl && d.privilege() == cpl;
        if (!d.isCode() || !allowed || (core.r.longMode && d.isLong() && d.isBig())) {
            throw core.protection(selector & ~3);
        }
        if (!d.isPresent()) {
            throw SegmentLoads.notPresent(selector);
        }
        return d;
    }

    /** @param release bytes of parameters to take off the stack */
    static void farReturn(Core core, int size, int release) {
        core.checkpoint();
        long target = core.pop(size);
        int selector = (int) core.pop(size) & 0xffff;
        core.setStackPointer(core.stackPointer() + release);
        if (!core.r.protectedMode) {
            core.r.segments[Registers.CS].setReal(selector);
            core.jump(target, size);
            return;
        }
        boolean outward = (selector & 3) > core.r.cpl;
        Descriptor code = returnDescriptor(core, selector);
        if (outward) {
            long stack = core.pop(size);
            int stackSelector = (int) core.pop(size) & 0xffff;
            leave(core, selector, code, stackSelector, stack + release, size);
        } else {
            core.r.segments[Registers.CS].set(selector, SegmentLoads.access(core, selector, code));
            core.r.refresh();
        }
        core.jump(target, core.r.codeSize == 8 ? 8 : size);
    }

    static void interruptReturn(Core core, int size) {
        core.checkpoint();
        core.suppressStepTrap();
        Registers r = core.r;
        if (r.protectedMode && r.has(Flags.NT)) {
            if (r.longMode) {
                throw core.protection(0);
            }
            throw core.unsupported("a return to another task");
        }
        long target = core.pop(size);
        int selector = (int) core.pop(size) & 0xffff;
        long image = core.pop(size);
        if (!r.protectedMode) {
            r.segments[Registers.CS].setReal(selector);
            setFlags(r, image, size, 0);
            core.jump(target, size);
            Events.unmaskNmi(core);
            return;
        }
        int cpl = r.cpl;
        if (size >= 4 && (image & Flags.VM) != 0 && cpl == 0 && !r.longMode) {
            throw core.unsupported("a return to virtual-8086 mode");
        }
        Descriptor code = returnDescriptor(core, selector);
        boolean outward = (selector & 3) > cpl;
        if (outward || r.codeSize == 8) {
            long stack = core.pop(size);
            int stackSelector = (int) core.pop(size) & 0xffff;
            leave(core, selector, code, stackSelector, stack, size);
        } else {
            r.segments[Registers.CS].set(selector, SegmentLoads.access(core, selector, code));
            r.refresh();
        }
        setFlags(r, image, size, cpl);
        core.jump(target, r.codeSize == 8 ? 8 : size);
        Events.unmaskNmi(core);
    }

    private static void setFlags(Registers r, long image, int size, int cpl) {
        int changes = Flags.STATUS | Flags.TF | Flags.DF | Flags.NT | Flags.RF | Flags.AC | Flags.ID;
        if (cpl == 0) {
            changes |= Flags.IOPL | Flags.VIF | Flags.VIP;
        }
        if (cpl <= r.iopl()) {
            changes |= Flags.IF;
        }
        if (size == 2) {
            changes &= FLAGS_16;
        }
        r.flags = (r.flags & ~changes) | ((int) image & changes);
    }

    private static Descriptor returnDescriptor(Core core, int selector) {
        if (SegmentLoads.isNull(selector)) {
            throw core.protection(0);
        }
        Descriptor d = SegmentLoads.descriptor(core, selector, GuestFault.PROTECTION);
        int level = selector & 3;
        boolean allowed = d.isConforming() ? d.privilege() <= level : d.privilege() == level;
        if (level < core.r.cpl || !d.isCode() || !allowed || (core.r.longMode && d.isLong() && d.isBig())) {
            throw core.protection(selector & ~3);
        }
        if (!d.isPresent()) {
            throw SegmentLoads.notPresent(selector);
        }
        return d;
    }

    /** To the same or an outer level, with a stack of its own. */
    private static void leave(
            Core core, int selector, Descriptor code, int stackSelector, long stackPointer, int size) {
        Registers r = core.r;
        int level = selector & 3;
        boolean outward = level > r.cpl;
        if (SegmentLoads.isNull(stackSelector)) {
            if (!r.longMode || !code.isLong() || level == 3 || (stackSelector & 3) != level) {
                throw core.protection(0);
            }
            r.segments[Registers.CS].set(selector, SegmentLoads.access(core, selector, code));
            SegmentLoads.setNullStack(r, stackSelector);
        } else {
            Descriptor stack = SegmentLoads.stackDescriptor(core, stackSelector, level, GuestFault.PROTECTION);
            Descriptor stackAccessed = SegmentLoads.access(core, stackSelector, stack);
            r.segments[Registers.CS].set(selector, SegmentLoads.access(core, selector, code));
            r.segments[Registers.SS].set(stackSelector, stackAccessed);
        }
        r.cpl = level;
        r.refresh();
        if (r.codeSize == 8) {
            r.general[Registers.RSP] = stackPointer & Alu.mask(size);
        } else {
            core.setStackPointer(stackPointer);
        }
        if (outward) {
            for (int segment : new int[] {Registers.ES, Registers.DS, Registers.FS, Registers.GS}) {
                SegmentRegister s = r.segments[segment];
                boolean inner = s.isUsable() && !(s.isCode() && s.isConforming()) && s.privilege() < level;
                if (inner) {
                    s.setNull(0);
                }
            }
        }
    }
}
