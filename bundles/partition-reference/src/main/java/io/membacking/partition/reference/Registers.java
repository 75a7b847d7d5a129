package io.membacking.partition.reference;

import java.util.SortedMap;
import java.util.TreeMap;

/** The registers of a processor, and the mode that follows from them. Not thread-safe. */
final class Registers {
    static final int RAX = 0;
    static final int RCX = 1;
    static final int RDX = 2;
    static final int RBX = 3;
    static final int RSP = 4;
    static final int RBP = 5;
    static final int RSI = 6;
    static final int RDI = 7;

    /** As a number of a byte register, AH; CH, DH and BH follow. */
    static final int HIGH = 20;

    static final int ES = 0;
    static final int CS = 1;
    static final int SS = 2;
    static final int DS = 3;
    static final int FS = 4;
    static final int GS = 5;

    static final long CR0_PE = 1;
    static final long CR0_MP = 2;
    static final long CR0_EM = 4;
    static final long CR0_TS = 8;
    static final long CR0_ET = 0x10;
    static final long CR0_NE = 0x20;
    static final long CR0_WP = 0x10000;
    static final long CR0_AM = 0x40000;
    static final long CR0_NW = 0x20000000L;
    static final long CR0_CD = 0x40000000L;
    static final long CR0_PG = 0x80000000L;
    static final long CR0_ALL =
            CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG;

    static final long CR4_TSD = 4;
    static final long CR4_PSE = 0x10;
    static final long CR4_PAE = 0x20;
    /** From VME to OSXMMEXCPT. */
    static final long CR4_ALWAYS = 0x7ff;

    static final long CR4_UMIP = 0x800;
    static final long CR4_LA57 = 0x1000;
    static final long CR4_FSGSBASE = 0x10000;
    static final long CR4_PCIDE = 0x20000;
    static final long CR4_OSXSAVE = 0x40000;
    static final long CR4_SMEP = 0x100000;
    static final long CR4_SMAP = 0x200000;

    static final long EFER_SCE = 1;
    static final long EFER_LME = 0x100;
    static final long EFER_LMA = 0x400;
    static final long EFER_NXE = 0x800;

    /** RAX to R15, the address of the next instruction, and a zero, so that an address is a sum without a question. */
    final long[] general = new long[18];

    long rip;
    int flags;

    /** ES, CS, SS, DS, FS, GS. */
    final SegmentRegister[] segments = new SegmentRegister[6];

    final SegmentRegister task = new SegmentRegister();
    final SegmentRegister local = new SegmentRegister();
    long gdtBase;
    int gdtLimit;
    long idtBase;
    int idtLimit;
    long cr0;
    long cr2;
    long cr3;
    long cr4;
    long cr8;
    long efer;
    long apicBase;
    /** DR0 to DR3, DR6 and DR7 at their numbers. */
    final long[] debug = new long[8];

    /** The privilege level: 0 to 3. */
    int cpl;

    /** All others by number, the time-stamp counter and what other fields hold excepted. */
    SortedMap<Integer, Long> msrs = new TreeMap<>();

    // What follows from them:
    /** 2, 4 or 8: what addresses and, but for 8, operands of the code have. */
    int codeSize;
    /** 2, 4 or 8: what of RSP is used. */
    int stackSize;

    boolean protectedMode;
    boolean longMode;

    Registers() {
        for (int i = 0; i < segments.length; i++) {
            segments[i] = new SegmentRegister();
        }
    }

    /** After a change of control registers, CS or SS. */
    void refresh() {
        protectedMode = (cr0 & CR0_PE) != 0;
        longMode = (efer & EFER_LMA) != 0;
        SegmentRegister cs = segments[CS];
        if (longMode && cs.isLong()) {
            codeSize = 8;
            stackSize = 8;
        } else {
            codeSize = cs.isBig() ? 4 : 2;
            stackSize = segments[SS].isBig() ? 4 : 2;
        }
    }

    /** Zero-extended. */
    long get(int register, int size) {
        return switch (size) {
            case 8 -> general[register];
            case 4 -> general[register] & 0xffffffffL;
            case 2 -> general[register] & 0xffff;
            default -> register >= HIGH ? general[register - HIGH] >>> 8 & 0xff : general[register] & 0xff;
        };
    }

    /** Of a value of 4 bytes the upper half of the register becomes zero; with 2 and 1 the rest stays. */
    void set(int register, int size, long value) {
        switch (size) {
            case 8 -> general[register] = value;
            case 4 -> general[register] = value & 0xffffffffL;
            case 2 -> general[register] = (general[register] & ~0xffffL) | (value & 0xffff);
            default -> {
                if (register >= HIGH) {
                    general[register - HIGH] = (general[register - HIGH] & ~0xff00L) | (value & 0xff) << 8;
                } else {
                    general[register] = (general[register] & ~0xffL) | (value & 0xff);
                }
            }
        }
    }

    void setStatus(int status) {
        flags = (flags & ~Flags.STATUS) | status;
    }

    void setFlag(int flag, boolean value) {
        flags = value ? flags | flag : flags & ~flag;
    }

    boolean has(int flag) {
        return (flags & flag) != 0;
    }

    int iopl() {
        return flags >> 12 & 3;
    }

    /** Everything that an instruction can change, to be put back. */
    void copyTo(Registers other) {
        System.arraycopy(general, 0, other.general, 0, general.length);
        other.rip = rip;
        other.flags = flags;
        for (int i = 0; i < segments.length; i++) {
            other.segments[i].set(segments[i]);
        }
        other.task.set(task);
        other.local.set(local);
        other.gdtBase = gdtBase;
        other.gdtLimit = gdtLimit;
        other.idtBase = idtBase;
        other.idtLimit = idtLimit;
        other.cr0 = cr0;
        other.cr2 = cr2;
        other.cr3 = cr3;
        other.cr4 = cr4;
        other.cr8 = cr8;
        other.efer = efer;
        other.apicBase = apicBase;
        System.arraycopy(debug, 0, other.debug, 0, debug.length);
        other.cpl = cpl;
        other.msrs = msrs;
        other.refresh();
    }
}
