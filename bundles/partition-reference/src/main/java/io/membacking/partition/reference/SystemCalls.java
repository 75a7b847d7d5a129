package io.membacking.partition.reference;

import io.membacking.partition.ProcessorState.Segment;

/** SYSCALL and SYSRET. SYSENTER and SYSEXIT are beyond the subset. */
final class SystemCalls {
    private static final int CODE_KERNEL = 0xa09b;
    private static final int CODE_USER = 0xa0fb;
    private static final int CODE_USER_32 = 0xc0fb;
    private static final int DATA_KERNEL = 0xc093;
    private static final int DATA_USER = 0xc0f3;

    /** What SYSRET takes from R11. */
    private static final int RETURNED_FLAGS = 0x3c7fd7;

    private SystemCalls() {}

    static void enter(Core core, Instruction in) {
        Registers r = core.r;
        if ((r.efer & Registers.EFER_SCE) == 0 || r.codeSize != 8) {
            throw core.undefined();
        }
        r.general[Registers.RCX] = core.nextRip;
        r.general[11] = r.flags & ~Flags.RF;
        core.nextRip = Msrs.get(r, Msrs.LSTAR);
        r.flags = (r.flags & ~((int) Msrs.get(r, Msrs.SFMASK) | Flags.RF)) | Flags.FIXED;
        int selector = (int) (Msrs.get(r, Msrs.STAR) >>> 32) & 0xfffc;
        r.segments[Registers.CS].set(new Segment(0, -1, selector, CODE_KERNEL));
        r.segments[Registers.SS].set(new Segment(0, -1, selector + 8, DATA_KERNEL));
        r.cpl = 0;
        r.refresh();
    }

    static void leave(Core core, Instruction in) {
        Registers r = core.r;
        if ((r.efer & Registers.EFER_SCE) == 0 || r.codeSize != 8) {
            throw core.undefined();
        }
        core.requirePrivilege();
        boolean wide = in.size == 8;
        long target = r.general[Registers.RCX];
        if (wide && !core.isCanonical(target)) {
            throw core.protection(0);
        }
        int selector = (int) (Msrs.get(r, Msrs.STAR) >>> 48);
        r.segments[Registers.CS].set(
                new Segment(0, -1, selector + (wide ? 16 : 0) | 3, wide ? CODE_USER : CODE_USER_32));
        r.segments[Registers.SS].set(new Segment(0, -1, selector + 8 | 3, DATA_USER));
        r.flags = ((int) r.general[11] & RETURNED_FLAGS) | Flags.FIXED;
        core.nextRip = wide ? target : target & 0xffffffffL;
        core.suppressStepTrap();
        r.cpl = 3;
        r.refresh();
    }
}
