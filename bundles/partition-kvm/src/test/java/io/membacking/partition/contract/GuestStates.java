package io.membacking.partition.contract;

import io.membacking.partition.ProcessorState;
import io.membacking.partition.ProcessorState.GeneralRegisters;
import io.membacking.partition.ProcessorState.Segment;
import io.membacking.partition.ProcessorState.SystemRegisters;

/** The states that guest programs start in. Page tables lie at 0x1000 to 0x4000 and map the first GiB to itself, for all rings. */
public final class GuestStates {
    /** Bytes at the start of the guest's memory that {@link #writePageTables} needs. */
    public static final long PAGE_TABLES_END = 0x4000;

    private static final long PML4 = 0x1000;
    private static final long PDPT = 0x2000;
    private static final long DIRECTORY = 0x3000;
    private static final long PRESENT_WRITE_USER = 7;
    private static final long LARGE = 0x80;

    // Attributes: type 3:0, S 4, DPL 6:5, P 7, AVL 12, L 13, D/B 14, G 15.
    private static final int CODE_16 = 0x009b;
    private static final int DATA_16 = 0x0093;
    private static final int CODE_32 = 0xc09b;
    private static final int DATA_32 = 0xc093;
    private static final int CODE_64 = 0xa09b;
    private static final int CODE_64_USER = 0xa0fb;
    private static final int DATA_USER = 0xc0f3;
    private static final int TSS_BUSY = 0x008b;

    private GuestStates() {}

    public static ProcessorState real(ProcessorState reset, GeneralRegisters registers) {
        Segment code = new Segment(0, 0xffff, 0, CODE_16);
        Segment data = new Segment(0, 0xffff, 0, DATA_16);
        return with(
                reset,
                registers,
                code,
                data,
                reset.system().tr(),
                reset.system().cr0(),
                0,
                0,
                0);
    }

    public static ProcessorState protectedMode(ProcessorState reset, GeneralRegisters registers) {
        Segment code = new Segment(0, -1, 0x08, CODE_32);
        Segment data = new Segment(0, -1, 0x10, DATA_32);
        return with(reset, registers, code, data, reset.system().tr(), 0x31, 0, 0, 0);
    }

    public static ProcessorState longMode(ProcessorState reset, GeneralRegisters registers) {
        return longMode(reset, registers, new Segment(0, -1, 0x08, CODE_64), new Segment(0, -1, 0x10, DATA_32));
    }

    public static ProcessorState longUser(ProcessorState reset, GeneralRegisters registers) {
        return longMode(reset, registers, new Segment(0, -1, 0x33, CODE_64_USER), new Segment(0, -1, 0x2b, DATA_USER));
    }

    private static ProcessorState longMode(
            ProcessorState reset, GeneralRegisters registers, Segment code, Segment data) {
        Segment tr = new Segment(0, 0x67, 0x18, TSS_BUSY);
        // CR0: PG, WP, NE, ET, MP, PE; CR4: PAE, OSFXSR, OSXMMEXCPT; EFER: LMA, LME.
        return with(reset, registers, code, data, tr, 0x80010033L, PML4, 0x620, 0x500);
    }

    private static ProcessorState with(
            ProcessorState reset,
            GeneralRegisters registers,
            Segment code,
            Segment data,
            Segment tr,
            long cr0,
            long cr3,
            long cr4,
            long efer) {
        SystemRegisters s = reset.system();
        return reset.with(registers)
                .with(new SystemRegisters(
                        code,
                        data,
                        data,
                        data,
                        data,
                        data,
                        tr,
                        s.ldt(),
                        s.gdt(),
                        s.idt(),
                        cr0,
                        0,
                        cr3,
                        cr4,
                        s.cr8(),
                        efer,
                        s.apicBase()));
    }

    /** @param ram mapped at guest address 0 */
    public static void writePageTables(TestRam ram) {
        ram.setLong(PML4, PDPT | PRESENT_WRITE_USER);
        ram.setLong(PDPT, DIRECTORY | PRESENT_WRITE_USER);
        for (int i = 0; i < 512; i++) {
            ram.setLong(DIRECTORY + 8L * i, (long) i << 21 | LARGE | PRESENT_WRITE_USER);
        }
    }

    /** A builder of general registers: those not named are 0. */
    public static Registers at(long rip) {
        return new Registers(rip);
    }

    public static final class Registers {
        private final long rip;
        private long rax;
        private long rbx;
        private long rcx;
        private long rdx;
        private long rsi;
        private long rdi;
        private long rsp;
        private long r8;

        private Registers(long rip) {
            this.rip = rip;
        }

        public Registers rax(long value) {
            rax = value;
            return this;
        }

        public Registers rbx(long value) {
            rbx = value;
            return this;
        }

        public Registers rcx(long value) {
            rcx = value;
            return this;
        }

        public Registers rdx(long value) {
            rdx = value;
            return this;
        }

        public Registers rsi(long value) {
            rsi = value;
            return this;
        }

        public Registers rdi(long value) {
            rdi = value;
            return this;
        }

        public Registers rsp(long value) {
            rsp = value;
            return this;
        }

        public Registers r8(long value) {
            r8 = value;
            return this;
        }

        public GeneralRegisters done() {
            return new GeneralRegisters(rax, rbx, rcx, rdx, rsi, rdi, rsp, 0, r8, 0, 0, 0, 0, 0, 0, 0, rip, 2);
        }
    }
}
