package io.membacking.partition.reference;

import org.jspecify.annotations.Nullable;

/** LAR, LSL, VERR and VERW: what may be done with a selector, without doing it. */
final class SegmentQueries {
    /** System types that LAR knows, as bits: TSS, LDT, gates; and those that LSL knows. */
    private static final int RIGHTS = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 9 | 1 << 0xb | 1 << 0xc;

    private static final int RIGHTS_LONG = 1 << 2 | 1 << 9 | 1 << 0xb | 1 << 0xc;
    private static final int LIMITS = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 9 | 1 << 0xb;
    private static final int LIMITS_LONG = 1 << 2 | 1 << 9 | 1 << 0xb;

    private SegmentQueries() {}

    static void loadAccessRights(Core core, Instruction in) {
        Descriptor d = visible(core, in, core.r.longMode ? RIGHTS_LONG : RIGHTS);
        core.r.setFlag(Flags.ZF, d != null);
        if (d != null) {
            core.r.set(in.reg, in.size, d.low() >>> 32 & 0x00f0ff00L);
        }
    }

    static void loadLimit(Core core, Instruction in) {
        Descriptor d = visible(core, in, core.r.longMode ? LIMITS_LONG : LIMITS);
        core.r.setFlag(Flags.ZF, d != null);
        if (d != null) {
            core.r.set(in.reg, in.size, d.limit() & 0xffffffffL);
        }
    }

    static Operation verify(boolean write) {
        return (core, in) -> {
            Descriptor d = visible(core, in, 0);
            boolean allowed = d != null && (write ? d.isWritableData() : d.isReadable());
            core.r.setFlag(Flags.ZF, allowed);
        };
    }

    /** The descriptor, if the code may see it. */
    private static @Nullable Descriptor visible(Core core, Instruction in, int systemTypes) {
        if (!core.r.protectedMode) {
            throw core.undefined();
        }
        int selector = (int) core.load(in, 2);
        if (SegmentLoads.isNull(selector)) {
            return null;
        }
        Descriptor d;
        try {
            d = SegmentLoads.descriptor(core, selector, GuestFault.PROTECTION);
        } catch (GuestFault outside) {
            return null;
        }
        if (!d.isSegment() && (systemTypes >> d.type() & 1) == 0) {
            return null;
        }
        boolean conforming = d.isCode() && d.isConforming();
        return conforming || d.privilege() >= Math.max(core.r.cpl, selector & 3) ? d : null;
    }
}
