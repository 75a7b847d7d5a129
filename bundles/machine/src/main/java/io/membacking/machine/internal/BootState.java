package io.membacking.machine.internal;

import io.membacking.machine.BootSource.Mode;
import io.membacking.partition.ProcessorState;
import io.membacking.partition.ProcessorState.GeneralRegisters;
import io.membacking.partition.ProcessorState.Segment;
import io.membacking.partition.ProcessorState.SystemRegisters;
import io.membacking.partition.ProcessorState.Table;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * The tables in memory and the registers with which a processor starts in a mode: pure arithmetic, for whoever starts a guest
 * without firmware.
 *
 * <p>Tables lie together at {@link #gpa}: a page with the GDT and the task state segment, and in the long modes six pages of page
 * tables that map the first 4 GiB to themselves in pages of 2 MiB, writable, executable, and open to privilege level 3 in
 * {@link Mode#LONG_USER} alone. Real mode has no tables.
 *
 * <p>Selectors: 0x08 code of 32 bits, 0x10 data, 0x18 code of 64 bits, 0x2b data of level 3, 0x33 64-bit code of level 3, 0x38
 * the task state segment. Interrupts are off and there is no IDT.
 *
 * @param gpa where the tables are, page aligned, below 4 GiB
 */
record BootState(Mode mode, long gpa) {
    private static final int PAGE = 4096;
    private static final int TSS_OFFSET = 0x800;
    private static final int TSS_LIMIT = 0x67;

    private static final int CODE_32 = 0x08;
    private static final int DATA = 0x10;
    private static final int CODE_64 = 0x18;
    private static final int USER_DATA = 0x2b;
    private static final int USER_CODE_64 = 0x33;
    private static final int TSS = 0x38;
    private static final int GDT_LIMIT = 0x47;

    // Attributes as in Segment: type 3:0, S 4, DPL 6:5, P 7, L 13, D/B 14, G 15; all accessed already.
    private static final int ATTRIBUTES_CODE_32 = 0xc09b;
    private static final int ATTRIBUTES_DATA = 0xc093;
    private static final int ATTRIBUTES_CODE_64 = 0xa09b;
    private static final int ATTRIBUTES_USER = 0x60;
    private static final int ATTRIBUTES_BUSY_TSS = 0x8b;
    private static final int ATTRIBUTES_FREE_TSS = 0x89;
    private static final int ATTRIBUTES_LDT = 0x82;
    private static final int UNUSABLE = 1 << 16;

    private static final long CR0_PROTECTED = 0x33; // PE, MP, ET, NE
    private static final long CR0_PAGING = 1L << 31;
    private static final long CR4_LONG = 1 << 5 | 1 << 9 | 1 << 10; // PAE, OSFXSR, OSXMMEXCPT
    private static final long EFER_LONG = 1 << 8 | 1 << 10; // LME, LMA

    private static final long ENTRY_PRESENT_WRITABLE = 3;
    private static final long ENTRY_USER = 4;
    private static final long ENTRY_LARGE = 0x80;

    BootState {
        if ((gpa & (PAGE - 1)) != 0) {
            throw new IllegalArgumentException("tables at 0x" + Long.toHexString(gpa) + " are not page aligned");
        }
    }

    /** Bytes that the tables of a mode take. */
    static int size(Mode mode) {
        return switch (mode) {
            case REAL -> 0;
            case PROTECTED -> PAGE;
            case LONG, LONG_USER -> 7 * PAGE;
        };
    }

    /** The tables, for {@link #gpa}. */
    byte[] tables() {
        ByteBuffer tables = ByteBuffer.allocate(size(mode)).order(ByteOrder.LITTLE_ENDIAN);
        if (mode == Mode.REAL) {
            return tables.array();
        }
        descriptor(tables, CODE_32, 0, -1, ATTRIBUTES_CODE_32);
        descriptor(tables, DATA, 0, -1, ATTRIBUTES_DATA);
        descriptor(tables, CODE_64, 0, -1, ATTRIBUTES_CODE_64);
        descriptor(tables, USER_DATA & ~3, 0, -1, ATTRIBUTES_DATA | ATTRIBUTES_USER);
        descriptor(tables, USER_CODE_64 & ~3, 0, -1, ATTRIBUTES_CODE_64 | ATTRIBUTES_USER);
        descriptor(tables, TSS, gpa + TSS_OFFSET, TSS_LIMIT, ATTRIBUTES_FREE_TSS);
        if (size(mode) > PAGE) {
            long open = ENTRY_PRESENT_WRITABLE | (mode == Mode.LONG_USER ? ENTRY_USER : 0);
            tables.putLong(PAGE, pageTable(1) | open);
            for (int gib = 0; gib < 4; gib++) {
                tables.putLong(2 * PAGE + 8 * gib, pageTable(2 + gib) | open);
            }
            for (int page = 0; page < 2048; page++) {
                tables.putLong(3 * PAGE + 8 * page, ((long) page << 21) | ENTRY_LARGE | open);
            }
        }
        return tables.array();
    }

    /**
     * A processor that starts in this mode.
     *
     * @param reset its reset state, for what the mode does not decide
     * @param general its general registers, {@code rip} among them; in real mode {@code rip} below 64 KiB goes with CS 0, and
     *     above with the CS that leaves the least IP
     */
    ProcessorState processor(ProcessorState reset, GeneralRegisters general) {
        return mode == Mode.REAL ? real(reset, general) : reset.with(general).with(systemRegisters(reset.system()));
    }

    private static ProcessorState real(ProcessorState reset, GeneralRegisters g) {
        long base = g.rip() < 0x10000 ? 0 : g.rip() & ~0xfL;
        SystemRegisters s = reset.system();
        Segment cs = new Segment(base, 0xffff, (int) (base >> 4), s.cs().attributes());
        Segment data = new Segment(0, 0xffff, 0, s.ds().attributes());
        GeneralRegisters general = new GeneralRegisters(
                g.rax(),
                g.rbx(),
                g.rcx(),
                g.rdx(),
                g.rsi(),
                g.rdi(),
                g.rsp(),
                g.rbp(),
                g.r8(),
                g.r9(),
                g.r10(),
                g.r11(),
                g.r12(),
                g.r13(),
                g.r14(),
                g.r15(),
                g.rip() - base,
                g.rflags());
        return reset.with(general)
                .with(new SystemRegisters(
                        cs,
                        data,
                        data,
                        data,
                        data,
                        data,
                        s.tr(),
                        s.ldt(),
                        s.gdt(),
                        s.idt(),
                        s.cr0(),
                        s.cr2(),
                        s.cr3(),
                        s.cr4(),
                        s.cr8(),
                        s.efer(),
                        s.apicBase()));
    }

    private SystemRegisters systemRegisters(SystemRegisters reset) {
        boolean user = mode == Mode.LONG_USER;
        boolean paging = mode != Mode.PROTECTED;
        Segment cs =
                switch (mode) {
                    case LONG -> new Segment(0, -1, CODE_64, ATTRIBUTES_CODE_64);
                    case LONG_USER -> new Segment(0, -1, USER_CODE_64, ATTRIBUTES_CODE_64 | ATTRIBUTES_USER);
                    default -> new Segment(0, -1, CODE_32, ATTRIBUTES_CODE_32);
                };
        Segment data = user
                ? new Segment(0, -1, USER_DATA, ATTRIBUTES_DATA | ATTRIBUTES_USER)
                : new Segment(0, -1, DATA, ATTRIBUTES_DATA);
        return new SystemRegisters(
                cs,
                data,
                data,
                data,
                data,
                data,
                new Segment(gpa + TSS_OFFSET, TSS_LIMIT, TSS, ATTRIBUTES_BUSY_TSS),
                new Segment(0, 0, 0, ATTRIBUTES_LDT | UNUSABLE),
                new Table(gpa, GDT_LIMIT),
                new Table(0, 0),
                paging ? CR0_PROTECTED | CR0_PAGING : CR0_PROTECTED,
                0,
                paging ? pageTable(0) : 0,
                paging ? CR4_LONG : 0,
                0,
                paging ? EFER_LONG : 0,
                reset.apicBase());
    }

    private long pageTable(int index) {
        return gpa + PAGE * (1L + index);
    }

    /** Intel SDM volume 3, 3.4.5; that of the task state segment goes on in the next 8 bytes, 7.2.3. */
    private static void descriptor(ByteBuffer tables, int at, long base, int limit, int attributes) {
        long scaled = (attributes & 0x8000) != 0 ? limit >>> 12 : limit;
        tables.putLong(
                at,
                (scaled & 0xffff)
                        | ((base & 0xffffff) << 16)
                        | ((attributes & 0xffL) << 40)
                        | ((scaled >> 16 & 0xf) << 48)
                        | ((attributes >> 12 & 0xfL) << 52)
                        | ((base >> 24 & 0xff) << 56));
        if (at == TSS) {
            tables.putLong(at + 8, base >>> 32);
        }
    }
}
