package io.membacking.partition.reference;

import io.membacking.partition.ProcessorState.PendingEvents;
import io.membacking.partition.ProcessorState.PendingException;
import io.membacking.partition.ProcessorState.PendingInterrupt;
import io.membacking.partition.ProcessorState.Shadow;
import java.util.Optional;

/** Exceptions and interrupts, delivered through the table of the mode. Task gates are beyond the subset. */
final class Events {
    enum Kind {
        EXCEPTION,
        /** That was being delivered where the state comes from, so that the flags are already as its handler is to find them. */
        INJECTED,
        /** By INT n, INT3 or INTO: the gate must permit it. */
        SOFTWARE,
        /** From outside. */
        EXTERNAL
    }

    private static final int GATE_TASK = 5;
    private static final int GATE_INTERRUPT_16 = 6;
    private static final int GATE_TRAP_16 = 7;
    private static final int GATE_INTERRUPT = 0xe;
    private static final int GATE_TRAP = 0xf;

    private Events() {}

    /** What came with the processor's state. @return whether anything was delivered, in place of an instruction */
    static boolean deliverPending(Core core) {
        PendingEvents events = core.events;
        Optional<PendingException> exception = events.exception();
        Optional<PendingInterrupt> interrupt = events.interrupt();
        boolean shadowed = events.shadow() != Shadow.NONE;
        long rip = core.r.rip;
        if (exception.isPresent()) {
            PendingException pending = exception.get();
            core.events = new PendingEvents(
                    Optional.empty(),
                    interrupt,
                    Shadow.NONE,
                    events.nmiInjected(),
                    events.nmiPending(),
                    events.nmiMasked());
            if (!pending.injected() && pending.payload().isPresent()) {
                if (pending.vector() == GuestFault.PAGE_FAULT) {
                    core.r.cr2 = pending.payload().get();
                } else if (pending.vector() == GuestFault.DEBUG) {
                    core.r.debug[6] |= pending.payload().get();
                }
            }
            Kind kind = pending.injected() ? Kind.INJECTED : Kind.EXCEPTION;
            deliver(core, pending.vector(), pending.errorCode().orElse(GuestFault.NO_CODE), kind, rip);
        } else if (events.nmiInjected() || (events.nmiPending() > 0 && !events.nmiMasked() && !shadowed)) {
            int waiting = events.nmiInjected() ? events.nmiPending() : events.nmiPending() - 1;
            core.events = new PendingEvents(Optional.empty(), interrupt, Shadow.NONE, false, waiting, true);
            deliver(core, GuestFault.NMI, GuestFault.NO_CODE, Kind.EXTERNAL, rip);
        } else if (interrupt.isPresent()) {
            PendingInterrupt pending = interrupt.get();
            core.events = new PendingEvents(
                    Optional.empty(), Optional.empty(), Shadow.NONE, false, events.nmiPending(), events.nmiMasked());
            Kind kind = pending.software() ? Kind.SOFTWARE : Kind.EXTERNAL;
            deliver(core, pending.vector(), GuestFault.NO_CODE, kind, rip);
        } else {
            core.events = events.nmiPending() == 0 && !events.nmiMasked()
                    ? PendingEvents.NONE
                    : new PendingEvents(
                            Optional.empty(),
                            Optional.empty(),
                            Shadow.NONE,
                            false,
                            events.nmiPending(),
                            events.nmiMasked());
            return false;
        }
        if (core.events.equals(PendingEvents.NONE)) {
            core.events = PendingEvents.NONE;
        }
        return true;
    }

    static void unmaskNmi(Core core) {
        PendingEvents events = core.events;
        if (events.nmiMasked()) {
            core.events = events.nmiPending() == 0
                    ? PendingEvents.NONE
                    : new PendingEvents(
                            Optional.empty(), Optional.empty(), Shadow.NONE, false, events.nmiPending(), false);
        }
    }

    /** @param returnRip where the handler's IRET leads */
    static void deliver(Core core, int vector, int errorCode, Kind kind, long returnRip) {
        core.checkpoint();
        core.suppressStepTrap();
        core.traceEvent(vector, errorCode);
        if (core.r.protectedMode) {
            new Delivery(core, vector, kind, errorCode, returnRip).deliver();
        } else {
            deliverReal(core, vector, returnRip);
        }
        core.r.rip = core.nextRip;
    }

    private static void deliverReal(Core core, int vector, long returnRip) {
        Registers r = core.r;
        int at = vector * 4;
        if (at + 3 > r.idtLimit) {
            throw core.protection(vector * 8 + 2);
        }
        long entry = core.mmu.readSystem(r.idtBase + at & 0xffffffffL, 4);
        core.push(r.flags & 0xffff, 2);
        core.push(r.segments[Registers.CS].selector, 2);
        core.push(returnRip, 2);
        r.flags &= ~(Flags.IF | Flags.TF | Flags.AC | Flags.RF);
        r.segments[Registers.CS].setReal((int) (entry >>> 16));
        core.jump(entry, 2);
    }

    /** One delivery in protected or long mode. */
    private static final class Delivery {
        private final Core core;
        private final Registers r;
        private final int vector;
        private final Kind kind;
        private final int errorCode;
        private final long returnRip;
        private final int external;

        Delivery(Core core, int vector, Kind kind, int errorCode, long returnRip) {
            this.core = core;
            this.r = core.r;
            this.vector = vector;
            this.kind = kind;
            this.errorCode = errorCode;
            this.returnRip = returnRip;
            this.external = kind == Kind.SOFTWARE ? 0 : 1;
        }

        void deliver() {
            Descriptor gate = gate();
            int selector = gate.gateSelector();
            if (SegmentLoads.isNull(selector)) {
                throw core.protection(external);
            }
            Descriptor code = SegmentLoads.descriptor(core, selector, GuestFault.PROTECTION, external);
            boolean fits =
                    code.isCode() && code.privilege() <= r.cpl && (!r.longMode || (code.isLong() && !code.isBig()));
            if (!fits) {
                throw core.protection((selector & ~3) | external);
            }
            if (!code.isPresent()) {
                throw new GuestFault(GuestFault.NOT_PRESENT, (selector & ~3) | external);
            }
            long image = flagsImage();
            int oldCs = r.segments[Registers.CS].selector;
            int oldSs = r.segments[Registers.SS].selector;
            long oldSp = r.general[Registers.RSP];
            int level = code.isConforming() ? r.cpl : code.privilege();
            boolean inward = level < r.cpl;
            Descriptor accessed = SegmentLoads.access(core, selector, code);
            if (r.longMode) {
                longStack(gate, level, inward);
            } else if (inward) {
                innerStack(level);
            }
            r.cpl = level;
            r.segments[Registers.CS].set((selector & ~3) | level, accessed);
            r.refresh();
            int size = r.longMode ? 8 : gate.type() >= 8 ? 4 : 2;
            if (r.longMode || inward) {
                core.push(oldSs, size);
                core.push(oldSp, size);
            }
            core.push(image, size);
            core.push(oldCs, size);
            core.push(returnRip, size);
            if (errorCode != GuestFault.NO_CODE) {
                core.push(errorCode, size);
            }
            r.flags &= ~(Flags.TF | Flags.NT | Flags.RF | Flags.VM);
            if (gate.type() == GATE_INTERRUPT || gate.type() == GATE_INTERRUPT_16) {
                r.flags &= ~Flags.IF;
            }
            core.jump(r.longMode ? gate.gateOffset() : gate.gateOffset() & 0xffffffffL, r.longMode ? 8 : size);
        }

        private Descriptor gate() {
            int bytes = r.longMode ? 16 : 8;
            int code = vector * 8 + 2 | external;
            if (vector * bytes + bytes - 1 > r.idtLimit) {
                throw core.protection(code);
            }
            long address = r.idtBase + (long) vector * bytes;
            Descriptor gate;
            if (r.longMode) {
                gate = new Descriptor(
                        core.mmu.readSystem(address, 8), core.mmu.readSystem(address + 8, 8) & 0xffffffffL);
            } else {
                gate = new Descriptor(core.mmu.readSystem(address & 0xffffffffL, 8));
            }
            int type = gate.isSegment() ? -1 : gate.type();
            boolean wide = type == GATE_INTERRUPT || type == GATE_TRAP;
            boolean narrow = !r.longMode && (type == GATE_INTERRUPT_16 || type == GATE_TRAP_16);
            if (!wide && !narrow && (r.longMode || type != GATE_TASK)) {
                throw core.protection(code);
            }
            if (kind == Kind.SOFTWARE && gate.privilege() < r.cpl) {
                throw core.protection(code);
            }
            if (!gate.isPresent()) {
                throw new GuestFault(GuestFault.NOT_PRESENT, code);
            }
            if (type == GATE_TASK) {
                throw core.unsupported("an exception or interrupt through a task gate");
            }
            return gate;
        }

        /** What the handler finds as flags: RF keeps a fault from trapping again where it returns to. */
        private long flagsImage() {
            boolean fault = kind == Kind.EXCEPTION && vector != GuestFault.DEBUG && vector != GuestFault.DOUBLE_FAULT;
            return r.flags | (fault ? Flags.RF : 0);
        }

        private void longStack(Descriptor gate, int level, boolean inward) {
            long pointer = r.general[Registers.RSP];
            if (gate.gateStack() != 0) {
                pointer = fromTask(28 + 8 * gate.gateStack(), 8);
            } else if (inward) {
                pointer = fromTask(4 + 8 * level, 8);
            }
            if (inward) {
                SegmentLoads.setNullStack(r, level);
            }
            if (!core.isCanonical(pointer)) {
                throw new GuestFault(GuestFault.STACK, external);
            }
            r.general[Registers.RSP] = pointer & ~0xfL;
        }

        private void innerStack(int level) {
            boolean wide = (r.task.attributes & 0xf) >= 8;
            long pointer = wide ? fromTask(4 + 8 * level, 4) : fromTask(2 + 4 * level, 2);
            int selector = (int) (wide ? fromTask(8 + 8 * level, 2) : fromTask(4 + 4 * level, 2));
            if (SegmentLoads.isNull(selector)) {
                throw new GuestFault(GuestFault.INVALID_TSS, external);
            }
            Descriptor stack = SegmentLoads.stackDescriptor(core, selector, level, GuestFault.INVALID_TSS);
            r.segments[Registers.SS].set(selector, SegmentLoads.access(core, selector, stack));
            r.refresh();
            core.setStackPointer(pointer);
        }

        private long fromTask(int offset, int size) {
            SegmentRegister task = r.task;
            if (offset + size - 1 > (task.limit & 0xffffffffL)) {
                throw new GuestFault(GuestFault.INVALID_TSS, (task.selector & ~3) | external);
            }
            return core.mmu.readSystem(task.base + offset, size);
        }
    }
}
