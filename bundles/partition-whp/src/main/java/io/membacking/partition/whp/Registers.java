package io.membacking.partition.whp;

import io.membacking.partition.ProcessorState.Activity;
import io.membacking.partition.ProcessorState.DebugRegisters;
import io.membacking.partition.ProcessorState.GeneralRegisters;
import io.membacking.partition.ProcessorState.PendingEvents;
import io.membacking.partition.ProcessorState.PendingException;
import io.membacking.partition.ProcessorState.PendingInterrupt;
import io.membacking.partition.ProcessorState.Segment;
import io.membacking.partition.ProcessorState.Shadow;
import io.membacking.partition.ProcessorState.SystemRegisters;
import io.membacking.partition.ProcessorState.Table;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/** The portable form of registers to and from the platform's. */
final class Registers {
    private static final int ATTRIBUTES = 0x1f0ff;
    private static final int PRESENT = 1 << 7;
    private static final int UNUSABLE = 1 << 16;

    /** General, segment, table, control and debug registers. */
    static final List<Integer> ARCHITECTURE = architecture();

    static final List<Integer> EVENTS = List.of(
            WhpAbi.PENDING_INTERRUPTION, WhpAbi.INTERRUPT_STATE, WhpAbi.PENDING_EVENT, WhpAbi.INTERNAL_ACTIVITY_STATE);

    private Registers() {}

    private static List<Integer> architecture() {
        List<Integer> names = new ArrayList<>();
        IntStream.rangeClosed(WhpAbi.RAX, WhpAbi.CR8).forEach(names::add);
        IntStream.rangeClosed(WhpAbi.DR0, WhpAbi.DR7).forEach(names::add);
        names.add(WhpAbi.XCR0);
        names.add(WhpAbi.EFER);
        names.add(WhpAbi.APIC_BASE);
        return names;
    }

    static GeneralRegisters general(RegisterBlock block) {
        return new GeneralRegisters(
                block.value(WhpAbi.RAX),
                block.value(WhpAbi.RBX),
                block.value(WhpAbi.RCX),
                block.value(WhpAbi.RDX),
                block.value(WhpAbi.RSI),
                block.value(WhpAbi.RDI),
                block.value(WhpAbi.RSP),
                block.value(WhpAbi.RBP),
                block.value(WhpAbi.R8),
                block.value(WhpAbi.R8 + 1),
                block.value(WhpAbi.R8 + 2),
                block.value(WhpAbi.R8 + 3),
                block.value(WhpAbi.R8 + 4),
                block.value(WhpAbi.R8 + 5),
                block.value(WhpAbi.R8 + 6),
                block.value(WhpAbi.R15),
                block.value(WhpAbi.RIP),
                block.value(WhpAbi.RFLAGS));
    }

    static void put(RegisterBlock block, GeneralRegisters general) {
        block.set(WhpAbi.RAX, general.rax());
        block.set(WhpAbi.RBX, general.rbx());
        block.set(WhpAbi.RCX, general.rcx());
        block.set(WhpAbi.RDX, general.rdx());
        block.set(WhpAbi.RSI, general.rsi());
        block.set(WhpAbi.RDI, general.rdi());
        block.set(WhpAbi.RSP, general.rsp());
        block.set(WhpAbi.RBP, general.rbp());
        block.set(WhpAbi.R8, general.r8());
        block.set(WhpAbi.R8 + 1, general.r9());
        block.set(WhpAbi.R8 + 2, general.r10());
        block.set(WhpAbi.R8 + 3, general.r11());
        block.set(WhpAbi.R8 + 4, general.r12());
        block.set(WhpAbi.R8 + 5, general.r13());
        block.set(WhpAbi.R8 + 6, general.r14());
        block.set(WhpAbi.R15, general.r15());
        block.set(WhpAbi.RIP, general.rip());
        block.set(WhpAbi.RFLAGS, general.rflags());
    }

    static SystemRegisters system(RegisterBlock block) {
        return new SystemRegisters(
                segment(block, WhpAbi.CS),
                segment(block, WhpAbi.DS),
                segment(block, WhpAbi.ES),
                segment(block, WhpAbi.FS),
                segment(block, WhpAbi.GS),
                segment(block, WhpAbi.SS),
                segment(block, WhpAbi.TR),
                segment(block, WhpAbi.LDTR),
                table(block, WhpAbi.GDTR),
                table(block, WhpAbi.IDTR),
                block.value(WhpAbi.CR0),
                block.value(WhpAbi.CR2),
                block.value(WhpAbi.CR3),
                block.value(WhpAbi.CR4),
                block.value(WhpAbi.CR8),
                block.value(WhpAbi.EFER),
                block.value(WhpAbi.APIC_BASE));
    }

    static void put(RegisterBlock block, SystemRegisters system) {
        put(block, WhpAbi.CS, system.cs());
        put(block, WhpAbi.DS, system.ds());
        put(block, WhpAbi.ES, system.es());
        put(block, WhpAbi.FS, system.fs());
        put(block, WhpAbi.GS, system.gs());
        put(block, WhpAbi.SS, system.ss());
        put(block, WhpAbi.TR, system.tr());
        put(block, WhpAbi.LDTR, system.ldt());
        block.setTable(WhpAbi.GDTR, system.gdt().base(), system.gdt().limit());
        block.setTable(WhpAbi.IDTR, system.idt().base(), system.idt().limit());
        block.set(WhpAbi.CR0, system.cr0());
        block.set(WhpAbi.CR2, system.cr2());
        block.set(WhpAbi.CR3, system.cr3());
        block.set(WhpAbi.CR4, system.cr4());
        block.set(WhpAbi.CR8, system.cr8());
        block.set(WhpAbi.EFER, system.efer());
        block.set(WhpAbi.APIC_BASE, system.apicBase());
    }

    private static Segment segment(RegisterBlock block, int name) {
        int attributes = block.segmentAttributes(name);
        return new Segment(
                block.segmentBase(name),
                block.segmentLimit(name),
                block.segmentSelector(name),
                // The platform has no bit for it: a segment that is not present is of no use.
                (attributes & PRESENT) == 0 ? attributes | UNUSABLE : attributes);
    }

    private static void put(RegisterBlock block, int name, Segment segment) {
        int attributes = segment.attributes();
        if ((attributes & UNUSABLE) != 0) {
            attributes &= ~PRESENT;
        }
        block.setSegment(name, segment.base(), segment.limit(), segment.selector(), attributes);
    }

    private static Table table(RegisterBlock block, int name) {
        return new Table(block.tableBase(name), block.tableLimit(name));
    }

    static DebugRegisters debug(RegisterBlock block) {
        return new DebugRegisters(
                block.value(WhpAbi.DR0),
                block.value(WhpAbi.DR1),
                block.value(WhpAbi.DR2),
                block.value(WhpAbi.DR3),
                block.value(WhpAbi.DR6),
                block.value(WhpAbi.DR7));
    }

    static void put(RegisterBlock block, DebugRegisters debug) {
        block.set(WhpAbi.DR0, debug.dr0());
        block.set(WhpAbi.DR1, debug.dr1());
        block.set(WhpAbi.DR2, debug.dr2());
        block.set(WhpAbi.DR3, debug.dr3());
        block.set(WhpAbi.DR6, debug.dr6());
        block.set(WhpAbi.DR7, debug.dr7());
    }

    static PendingEvents events(RegisterBlock block) {
        long interruption = block.value(WhpAbi.PENDING_INTERRUPTION);
        boolean pending = (interruption & WhpAbi.INTERRUPTION_PENDING) != 0;
        int type = (int) (interruption >> WhpAbi.INTERRUPTION_TYPE_SHIFT) & WhpAbi.INTERRUPTION_TYPE_MASK;
        int vector = (int) (interruption >>> WhpAbi.INTERRUPTION_VECTOR_SHIFT) & 0xffff;
        Optional<PendingException> exception = Optional.empty();
        Optional<PendingInterrupt> interrupt = Optional.empty();
        boolean nmi = false;
        if (pending && type == WhpAbi.INTERRUPTION_EXCEPTION) {
            exception = Optional.of(new PendingException(
                    vector,
                    (interruption & WhpAbi.INTERRUPTION_ERROR_CODE) != 0
                            ? Optional.of((int) (interruption >>> WhpAbi.INTERRUPTION_ERROR_CODE_SHIFT))
                            : Optional.empty(),
                    true,
                    Optional.empty()));
        } else if (pending && type == WhpAbi.INTERRUPTION_NMI) {
            nmi = true;
        } else if (pending) {
            interrupt = Optional.of(new PendingInterrupt(vector, type != WhpAbi.INTERRUPTION_EXTERNAL));
        }
        long event = block.value(WhpAbi.PENDING_EVENT);
        if (exception.isEmpty()
                && (event & WhpAbi.EVENT_PENDING) != 0
                && (event >> WhpAbi.EVENT_TYPE_SHIFT & WhpAbi.EVENT_TYPE_MASK) == WhpAbi.EVENT_EXCEPTION) {
            int number = (int) (event >>> WhpAbi.EVENT_VECTOR_SHIFT) & 0xffff;
            exception = Optional.of(new PendingException(
                    number,
                    (event & WhpAbi.EVENT_ERROR_CODE) != 0
                            ? Optional.of((int) (event >>> WhpAbi.EVENT_ERROR_CODE_SHIFT))
                            : Optional.empty(),
                    false,
                    hasPayload(number) ? Optional.of(block.upper(WhpAbi.PENDING_EVENT)) : Optional.empty()));
        }
        long state = block.value(WhpAbi.INTERRUPT_STATE);
        return new PendingEvents(
                exception,
                interrupt,
                (state & WhpAbi.SHADOW) != 0 ? Shadow.STI : Shadow.NONE,
                nmi,
                0,
                (state & WhpAbi.NMI_MASKED) != 0);
    }

    /** A debug exception has one for DR6, a page fault for CR2. */
    private static boolean hasPayload(int vector) {
        return vector == 1 || vector == 14;
    }

    static void put(RegisterBlock block, PendingEvents events) {
        long interruption = 0;
        long event = 0;
        long payload = 0;
        Optional<PendingException> exception = events.exception();
        if (exception.isPresent() && exception.get().injected()) {
            interruption =
                    interruption(WhpAbi.INTERRUPTION_EXCEPTION, exception.get().vector());
            Optional<Integer> code = exception.get().errorCode();
            if (code.isPresent()) {
                interruption |=
                        WhpAbi.INTERRUPTION_ERROR_CODE | code.get().longValue() << WhpAbi.INTERRUPTION_ERROR_CODE_SHIFT;
            }
        } else if (events.nmiInjected() || events.nmiPending() > 0) {
            interruption = interruption(WhpAbi.INTERRUPTION_NMI, 2);
        } else if (events.interrupt().isPresent()) {
            interruption = interruption(
                    WhpAbi.INTERRUPTION_EXTERNAL, events.interrupt().get().vector());
        }
        if (exception.isPresent() && !exception.get().injected()) {
            event = pendingException(exception.get().vector(), exception.get().errorCode());
            payload = exception.get().payload().orElse(0L);
        }
        block.set(WhpAbi.PENDING_INTERRUPTION, interruption);
        block.set(WhpAbi.PENDING_EVENT, event, payload);
        block.set(
                WhpAbi.INTERRUPT_STATE,
                (events.shadow() != Shadow.NONE ? WhpAbi.SHADOW : 0) | (events.nmiMasked() ? WhpAbi.NMI_MASKED : 0));
    }

    private static long interruption(int type, int vector) {
        return WhpAbi.INTERRUPTION_PENDING
                | (long) type << WhpAbi.INTERRUPTION_TYPE_SHIFT
                | (long) vector << WhpAbi.INTERRUPTION_VECTOR_SHIFT;
    }

    /** The lower half of a pending event. */
    static long pendingException(int vector, Optional<Integer> errorCode) {
        long event = WhpAbi.EVENT_PENDING | (long) vector << WhpAbi.EVENT_VECTOR_SHIFT;
        return errorCode
                .map(code -> event | WhpAbi.EVENT_ERROR_CODE | code.longValue() << WhpAbi.EVENT_ERROR_CODE_SHIFT)
                .orElse(event);
    }

    static Activity activity(RegisterBlock block) {
        long bits = block.value(WhpAbi.INTERNAL_ACTIVITY_STATE);
        if ((bits & WhpAbi.STARTUP_SUSPEND) != 0) {
            return Activity.WAITING_FOR_STARTUP;
        }
        return (bits & WhpAbi.HALT_SUSPEND) != 0 ? Activity.HALTED : Activity.RUNNING;
    }

    static void put(RegisterBlock block, Activity activity) {
        block.set(
                WhpAbi.INTERNAL_ACTIVITY_STATE,
                switch (activity) {
                    case RUNNING -> 0;
                    case HALTED -> WhpAbi.HALT_SUSPEND;
                    case WAITING_FOR_INIT, WAITING_FOR_STARTUP -> WhpAbi.STARTUP_SUSPEND;
                });
    }

    /** @throws IllegalArgumentException if a value has bits that its register has no place for */
    static void check(SystemRegisters system) {
        check("cs", system.cs());
        check("ds", system.ds());
        check("es", system.es());
        check("fs", system.fs());
        check("gs", system.gs());
        check("ss", system.ss());
        check("tr", system.tr());
        check("ldt", system.ldt());
        check("gdt", system.gdt());
        check("idt", system.idt());
    }

    private static void check(String name, Segment segment) {
        if ((segment.selector() & ~0xffff) != 0 || (segment.attributes() & ~ATTRIBUTES) != 0) {
            throw new IllegalArgumentException(
                    "segment " + name + " has a selector of more than 16 bits or unknown attributes: " + segment);
        }
    }

    private static void check(String name, Table table) {
        if ((table.limit() & ~0xffff) != 0) {
            throw new IllegalArgumentException("table " + name + " has a limit of more than 16 bits: " + table);
        }
    }

    private static final long CR0_PE = 1;
    private static final long CR0_NW = 1 << 29;
    private static final long CR0_CD = 1 << 30;
    private static final long CR0_PG = 1L << 31;
    private static final long CR4_PAE = 1 << 5;
    private static final long CR4_PCIDE = 1 << 17;
    private static final long EFER_LME = 1 << 8;
    private static final long EFER_LMA = 1 << 10;

    /**
     * What is wrong with registers that no processor can have together; empty if nothing is. The platform takes them, and fails only
     * when it is to run.
     *
     * @see <a href="https://www.intel.com/sdm">Intel SDM, volume 3, section 26.3.1: checks on guest state</a>
     */
    static String contradiction(GeneralRegisters general, SystemRegisters system) {
        boolean paging = (system.cr0() & CR0_PG) != 0;
        boolean active = (system.efer() & EFER_LMA) != 0;
        boolean enabled = (system.efer() & EFER_LME) != 0;
        if (paging && (system.cr0() & CR0_PE) == 0) {
            return "CR0 has paging without protected mode";
        }
        if ((system.cr0() & CR0_NW) != 0 && (system.cr0() & CR0_CD) == 0) {
            return "CR0 has NW without CD";
        }
        if (system.cr0() >>> 32 != 0) {
            return "CR0 has bits beyond 31";
        }
        if (active != (enabled && paging)) {
            return "EFER has long mode " + (active ? "active" : "inactive") + ", with it "
                    + (enabled ? "enabled" : "disabled") + " and paging " + (paging ? "on" : "off");
        }
        if (active && (system.cr4() & CR4_PAE) == 0) {
            return "EFER has long mode active, and CR4 has not PAE";
        }
        if (!active && (system.cr4() & CR4_PCIDE) != 0) {
            return "CR4 has PCIDE outside long mode";
        }
        if (system.cr8() >>> 4 != 0) {
            return "CR8 has more than 4 bits";
        }
        if ((general.rflags() & ~0x3f7fd7L) != 0) {
            return "RFLAGS has reserved bits";
        }
        return "";
    }
}
