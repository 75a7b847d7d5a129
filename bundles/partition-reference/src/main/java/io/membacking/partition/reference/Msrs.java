package io.membacking.partition.reference;

import io.membacking.partition.CpuModel;
import java.util.SortedMap;
import java.util.TreeMap;

/** Model-specific registers: which there are, and what they hold after reset. */
final class Msrs {
    static final int TIME_STAMP = 0x10;
    static final int APIC_BASE = 0x1b;
    static final int EFER = 0xc0000080;
    static final int STAR = 0xc0000081;
    static final int LSTAR = 0xc0000082;
    static final int SFMASK = 0xc0000084;
    static final int FS_BASE = 0xc0000100;
    static final int GS_BASE = 0xc0000101;
    static final int KERNEL_GS_BASE = 0xc0000102;
    static final int TSC_AUX = 0xc0000103;

    private static final int PAT = 0x277;
    private static final long PAT_AT_RESET = 0x0007040600070406L;

    private Msrs() {}

    /** Those that a state has from the beginning. */
    static SortedMap<Integer, Long> atReset(CpuModel model) {
        SortedMap<Integer, Long> msrs = new TreeMap<>();
        for (int number : new int[] {0x174, 0x175, 0x176, STAR, LSTAR, 0xc0000083, SFMASK, KERNEL_GS_BASE}) {
            msrs.put(number, 0L);
        }
        if (CpuidTable.hasTimeStampAux(model)) {
            msrs.put(TSC_AUX, 0L);
        }
        msrs.put(PAT, PAT_AT_RESET);
        return msrs;
    }

    static long get(Registers r, int number) {
        return r.msrs.getOrDefault(number, 0L);
    }

    /**
     * Whether a register of this number is held for who knows it: those of the architecture's two blocks, and those of hypervisors,
     * Hyper-V's and KVM's.
     */
    static boolean canHold(int number) {
        return number >>> 13 == 0
                || number >>> 13 == 0xc0000000 >>> 13
                || number >>> 13 == 0xc0010000 >>> 13
                || number >>> 12 == 0x40000000 >>> 12
                || number >>> 8 == 0x4b564d00 >>> 8;
    }

    /** Whether the guest can read one that nobody has set: as zero. */
    static boolean readsAsZero(int number) {
        return switch (number) {
            case 0x8b, 0xfe, 0x17, 0x179, 0x17a, 0x2ff, 0x1a0, 0x3a -> true;
            default -> false;
        };
    }

    static boolean isAddress(int number) {
        return number == 0x175
                || number == 0x176
                || number == LSTAR
                || number == 0xc0000083
                || number == KERNEL_GS_BASE
                || number == FS_BASE
                || number == GS_BASE;
    }
}
