package io.membacking.partition.reference;

import io.membacking.error.BackendException;
import io.membacking.error.Failure;
import io.membacking.partition.ProcessorState;
import io.membacking.partition.ProcessorState.Activity;
import io.membacking.partition.ProcessorState.DebugRegisters;
import io.membacking.partition.ProcessorState.GeneralRegisters;
import io.membacking.partition.ProcessorState.PendingEvents;
import io.membacking.partition.ProcessorState.Segment;
import io.membacking.partition.ProcessorState.SystemRegisters;
import io.membacking.partition.ProcessorState.Table;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** A core's registers to and from the portable form. What the core cannot use it holds, and gives back. */
final class PortableState {
    private static final int ATTRIBUTES = 0x1f0ff;

    private static final int CODE_AT_RESET = 0x9b;
    private static final int DATA_AT_RESET = 0x93;
    private static final int TASK_AT_RESET = 0x8b;
    private static final int LOCAL_AT_RESET = 0x82;

    /** Of the bootstrap processor the second says that it is one; enabled. */
    private static final long APIC_AT_RESET = 0xfee00800L;

    private static final long APIC_BOOTSTRAP = 0x100;

    private PortableState() {}

    static void reset(Core core) {
        Registers r = core.r;
        r.rip = 0xfff0;
        r.flags = Flags.FIXED;
        r.general[Registers.RDX] = 0x600;
        for (SegmentRegister segment : r.segments) {
            segment.set(new Segment(0, 0xffff, 0, DATA_AT_RESET));
        }
        r.segments[Registers.CS].set(new Segment(0xffff0000L, 0xffff, 0xf000, CODE_AT_RESET));
        r.task.set(new Segment(0, 0xffff, 0, TASK_AT_RESET));
        r.local.set(new Segment(0, 0xffff, 0, LOCAL_AT_RESET));
        r.gdtLimit = 0xffff;
        r.idtLimit = 0xffff;
        r.cr0 = Registers.CR0_CD | Registers.CR0_NW | Registers.CR0_ET;
        r.apicBase = APIC_AT_RESET | (core.index == 0 ? APIC_BOOTSTRAP : 0);
        r.debug[6] = 0xffff0ff0L;
        r.debug[7] = 0x400;
        r.msrs = Msrs.atReset(core.model);
        r.refresh();
    }

    static ProcessorState read(Core core, Activity activity) {
        Registers r = core.r;
        long[] g = r.general;
        GeneralRegisters general = new GeneralRegisters(
                g[Registers.RAX],
                g[Registers.RBX],
                g[Registers.RCX],
                g[Registers.RDX],
                g[Registers.RSI],
                g[Registers.RDI],
                g[Registers.RSP],
                g[Registers.RBP],
                g[8],
                g[9],
                g[10],
                g[11],
                g[12],
                g[13],
                g[14],
                g[15],
                r.rip,
                r.flags & 0xffffffffL);
        SystemRegisters system = new SystemRegisters(
                r.segments[Registers.CS].portable(),
                r.segments[Registers.DS].portable(),
                r.segments[Registers.ES].portable(),
                r.segments[Registers.FS].portable(),
                r.segments[Registers.GS].portable(),
                r.segments[Registers.SS].portable(),
                r.task.portable(),
                r.local.portable(),
                new Table(r.gdtBase, r.gdtLimit),
                new Table(r.idtBase, r.idtLimit),
                r.cr0,
                r.cr2,
                r.cr3,
                r.cr4,
                r.cr8,
                r.efer,
                r.apicBase);
        TreeMap<Integer, Long> msrs = new TreeMap<>(r.msrs);
        msrs.put(Msrs.TIME_STAMP, core.timeStamps.read());
        return new ProcessorState(
                general,
                system,
                msrs,
                Optional.of(core.vectors),
                Optional.of(new DebugRegisters(r.debug[0], r.debug[1], r.debug[2], r.debug[3], r.debug[6], r.debug[7])),
                Optional.of(core.events),
                Optional.of(activity),
                Optional.empty());
    }

    /** @param state checked */
    static void write(Core core, ProcessorState state) {
        Registers r = core.r;
        GeneralRegisters g = state.general();
        long[] general = {
            g.rax(), g.rcx(), g.rdx(), g.rbx(), g.rsp(), g.rbp(), g.rsi(), g.rdi(),
            g.r8(), g.r9(), g.r10(), g.r11(), g.r12(), g.r13(), g.r14(), g.r15()
        };
        System.arraycopy(general, 0, r.general, 0, general.length);
        r.rip = g.rip();
        r.flags = ((int) g.rflags() & Flags.ALL) | Flags.FIXED;
        SystemRegisters s = state.system();
        r.segments[Registers.CS].set(s.cs());
        r.segments[Registers.DS].set(s.ds());
        r.segments[Registers.ES].set(s.es());
        r.segments[Registers.FS].set(s.fs());
        r.segments[Registers.GS].set(s.gs());
        r.segments[Registers.SS].set(s.ss());
        r.task.set(s.tr());
        r.local.set(s.ldt());
        r.gdtBase = s.gdt().base();
        r.gdtLimit = s.gdt().limit();
        r.idtBase = s.idt().base();
        r.idtLimit = s.idt().limit();
        r.cr0 = s.cr0();
        r.cr2 = s.cr2();
        r.cr3 = s.cr3();
        r.cr4 = s.cr4();
        r.cr8 = s.cr8();
        r.efer = s.efer();
        r.apicBase = s.apicBase();
        r.refresh();
        r.cpl = r.protectedMode ? r.segments[Registers.SS].privilege() : 0;
        for (Map.Entry<Integer, Long> msr : state.msrs().entrySet()) {
            if (msr.getKey() == Msrs.TIME_STAMP) {
                core.timeStamps.set(msr.getValue());
            } else {
                r.msrs.put(msr.getKey(), msr.getValue());
            }
        }
        state.vectors().ifPresent(vectors -> core.vectors = vectors);
        state.debug().ifPresent(debug -> {
            r.debug[0] = debug.dr0();
            r.debug[1] = debug.dr1();
            r.debug[2] = debug.dr2();
            r.debug[3] = debug.dr3();
            r.debug[6] = debug.dr6();
            r.debug[7] = debug.dr7();
        });
        state.events()
                .ifPresent(events -> core.events = events.equals(PendingEvents.NONE) ? PendingEvents.NONE : events);
        core.mmu.flush();
    }

    /**
     * @throws IllegalArgumentException if a value has bits that its register has no place for
     * @throws BackendException if no processor can be in this state
     */
    static void check(ProcessorState state, String operation) throws BackendException {
        SystemRegisters s = state.system();
        checkSegment("cs", s.cs());
        checkSegment("ds", s.ds());
        checkSegment("es", s.es());
        checkSegment("fs", s.fs());
        checkSegment("gs", s.gs());
        checkSegment("ss", s.ss());
        checkSegment("tr", s.tr());
        checkSegment("ldt", s.ldt());
        checkTable("gdt", s.gdt());
        checkTable("idt", s.idt());
        boolean paging = (s.cr0() & Registers.CR0_PG) != 0;
        boolean active = (s.efer() & Registers.EFER_LMA) != 0;
        boolean enabled = (s.efer() & Registers.EFER_LME) != 0;
        if (paging && (s.cr0() & Registers.CR0_PE) == 0) {
            throw refused(operation, "paging without protected mode", "set PE in CR0 too");
        }
        if (active != (enabled && paging)) {
            throw refused(
                    operation, "long mode is active exactly if it is enabled and there is paging", "correct EFER");
        }
        if (active && (s.cr4() & Registers.CR4_PAE) == 0) {
            throw refused(operation, "long mode without PAE", "set it in CR4");
        }
        if (s.cr0() >>> 32 != 0 || s.cr8() >>> 4 != 0) {
            throw refused(operation, "CR0 or CR8 has bits that no processor has", "clear them");
        }
        for (int number : state.msrs().keySet()) {
            if (!Msrs.canHold(number)) {
                throw refused(
                        operation,
                        "there is no model-specific register 0x" + Integer.toHexString(number),
                        "leave it out");
            }
        }
    }

    private static BackendException refused(String operation, String problem, String remedy) {
        return new BackendException(Failure.of(operation, null, problem, remedy));
    }

    private static void checkSegment(String name, Segment segment) {
        if ((segment.selector() & ~0xffff) != 0 || (segment.attributes() & ~ATTRIBUTES) != 0) {
            throw new IllegalArgumentException(
                    "segment " + name + " has a selector of more than 16 bits or unknown attributes: " + segment);
        }
    }

    private static void checkTable(String name, Table table) {
        if ((table.limit() & ~0xffff) != 0) {
            throw new IllegalArgumentException("table " + name + " has a limit of more than 16 bits: " + table);
        }
    }
}
