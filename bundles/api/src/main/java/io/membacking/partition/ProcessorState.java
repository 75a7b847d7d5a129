package io.membacking.partition;

import java.util.Arrays;
import java.util.Collections;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * The state of an x86-64 processor in a form that belongs to no hypervisor, but for what is in {@link #platform()}. Immutable.
 *
 * <p>A part that is empty is left as it is when the state is set. What {@link Processor#state()} gives has every part that the
 * backend knows.
 *
 * @param msrs model-specific registers by number, those that the backend knows to be portable; the time-stamp counter (0x10)
 *     among them, at the moment when the state was taken
 * @param platform what only backends of one kind understand; one of another kind leaves it alone
 */
public record ProcessorState(
        GeneralRegisters general,
        SystemRegisters system,
        SortedMap<Integer, Long> msrs,
        Optional<VectorState> vectors,
        Optional<DebugRegisters> debug,
        Optional<PendingEvents> events,
        Optional<Activity> activity,
        Optional<PlatformState> platform) {
    public ProcessorState {
        msrs = Collections.unmodifiableSortedMap(new TreeMap<>(msrs));
    }

    /** Registers alone. */
    public ProcessorState(GeneralRegisters general, SystemRegisters system, SortedMap<Integer, Long> msrs) {
        this(
                general,
                system,
                msrs,
                Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                Optional.empty());
    }

    /**
     * The same processor sent elsewhere: it runs, and what was to be delivered to it where it was is forgotten; the platform's own
     * part is left out, so that it stays as it is when this is set.
     */
    public ProcessorState with(GeneralRegisters newGeneral) {
        return new ProcessorState(
                newGeneral,
                system,
                msrs,
                vectors,
                debug,
                events.map(e -> PendingEvents.NONE),
                activity.map(a -> Activity.RUNNING),
                Optional.empty());
    }

    public ProcessorState with(SystemRegisters newSystem) {
        return new ProcessorState(general, newSystem, msrs, vectors, debug, events, activity, platform);
    }

    /** Without what only one kind of backend understands. */
    public ProcessorState portable() {
        return new ProcessorState(general, system, msrs, vectors, debug, events, activity, Optional.empty());
    }

    /** The general registers, the instruction pointer and the flags. */
    public record GeneralRegisters(
            long rax,
            long rbx,
            long rcx,
            long rdx,
            long rsi,
            long rdi,
            long rsp,
            long rbp,
            long r8,
            long r9,
            long r10,
            long r11,
            long r12,
            long r13,
            long r14,
            long r15,
            long rip,
            long rflags) {
        /** All zero but {@code rip} and the flags' bit that is always set. */
        public static GeneralRegisters at(long rip) {
            return new GeneralRegisters(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, rip, 2);
        }
    }

    /**
     * A segment register with its hidden part.
     *
     * @param limit bytes, as the processor holds it: already scaled by the granularity
     * @param attributes the descriptor's attribute bits as VMX and WHP lay them out: type 3:0, S 4, DPL 6:5, P 7, AVL 12, L 13,
     *     D/B 14, G 15; unusable 16
     */
    public record Segment(long base, int limit, int selector, int attributes) {}

    /** A descriptor-table register. @param limit bytes less one */
    public record Table(long base, int limit) {}

    /** Segments, tables, control registers and EFER. */
    public record SystemRegisters(
            Segment cs,
            Segment ds,
            Segment es,
            Segment fs,
            Segment gs,
            Segment ss,
            Segment tr,
            Segment ldt,
            Table gdt,
            Table idt,
            long cr0,
            long cr2,
            long cr3,
            long cr4,
            long cr8,
            long efer,
            long apicBase) {
        /** The same but for how it runs: its mode, protection and paging. */
        public SystemRegisters withControl(long newCr0, long newCr3, long newCr4, long newEfer) {
            return new SystemRegisters(
                    cs, ds, es, fs, gs, ss, tr, ldt, gdt, idt, newCr0, cr2, newCr3, newCr4, cr8, newEfer, apicBase);
        }

        /** The same with another task priority, 0 to 15. */
        public SystemRegisters withCr8(long newCr8) {
            return new SystemRegisters(
                    cs, ds, es, fs, gs, ss, tr, ldt, gdt, idt, cr0, cr2, cr3, cr4, newCr8, efer, apicBase);
        }

        /** The same but for the segments of data, other than the stack's. */
        public SystemRegisters withData(Segment newDs, Segment newEs, Segment newFs, Segment newGs) {
            return new SystemRegisters(
                    cs, newDs, newEs, newFs, newGs, ss, tr, ldt, gdt, idt, cr0, cr2, cr3, cr4, cr8, efer, apicBase);
        }

        /** The same but for where its descriptors and its interrupt handlers are found. */
        public SystemRegisters withTables(Table newGdt, Table newIdt) {
            return new SystemRegisters(
                    cs, ds, es, fs, gs, ss, tr, ldt, newGdt, newIdt, cr0, cr2, cr3, cr4, cr8, efer, apicBase);
        }
    }

    /**
     * The x87, SSE and later vector registers. Immutable.
     *
     * @see <a href="https://www.intel.com/sdm">Intel SDM, volume 1, chapter 13: the standard format of the XSAVE area</a>
     */
    public static final class VectorState {
        /** Bytes of the legacy region and the header: the least that an area has. */
        public static final int LEAST_SIZE = 576;

        private final long xcr0;
        private final byte[] xsave;

        /**
         * @param xcr0 which components the guest has enabled; 1 (x87) at least
         * @param xsave an XSAVE area in the standard (not the compacted) format, each component at the offset that CPUID leaf 0xd
         *     gives; copied
         * @throws IllegalArgumentException if the area is too small for its header
         */
        public VectorState(long xcr0, byte[] xsave) {
            if (xsave.length < LEAST_SIZE) {
                throw new IllegalArgumentException(
                        "an XSAVE area has at least " + LEAST_SIZE + " bytes, not " + xsave.length);
            }
            this.xcr0 = xcr0;
            this.xsave = xsave.clone();
        }

        public long xcr0() {
            return xcr0;
        }

        /** A copy of the area. */
        public byte[] xsave() {
            return xsave.clone();
        }

        @Override
        public boolean equals(Object other) {
            return other instanceof VectorState that && xcr0 == that.xcr0 && Arrays.equals(xsave, that.xsave);
        }

        @Override
        public int hashCode() {
            return 31 * Long.hashCode(xcr0) + Arrays.hashCode(xsave);
        }

        @Override
        public String toString() {
            return "vectors with xcr0 0x" + Long.toHexString(xcr0) + ", " + xsave.length + " bytes";
        }
    }

    public record DebugRegisters(long dr0, long dr1, long dr2, long dr3, long dr6, long dr7) {}

    /**
     * What is under way to the processor, or held back from it.
     *
     * @param exception an exception that is being delivered
     * @param interrupt an interrupt that is being delivered
     * @param shadow whether the next instruction is protected from interrupts
     * @param nmiInjected an NMI is being delivered
     * @param nmiPending NMIs that wait: 0 to 2
     * @param nmiMasked NMIs are blocked until IRET
     */
    public record PendingEvents(
            Optional<PendingException> exception,
            Optional<PendingInterrupt> interrupt,
            Shadow shadow,
            boolean nmiInjected,
            int nmiPending,
            boolean nmiMasked) {
        public static final PendingEvents NONE =
                new PendingEvents(Optional.empty(), Optional.empty(), Shadow.NONE, false, 0, false);
    }

    /**
     * @param injected whether its side effects on registers (CR2, DR6) have happened already
     * @param errorCode empty if the vector has none
     * @param payload what is to go into CR2 or DR6 when it is delivered
     */
    public record PendingException(int vector, Optional<Integer> errorCode, boolean injected, Optional<Long> payload) {}

    /** @param software whether it is that of an INT instruction */
    public record PendingInterrupt(int vector, boolean software) {}

    public enum Shadow {
        NONE,
        /** After STI. */
        STI,
        /** After MOV SS or POP SS. */
        MOV_SS
    }

    /** Whether the processor executes instructions. */
    public enum Activity {
        RUNNING,
        /** HLT: until an interrupt. */
        HALTED,
        /** Not started yet: until INIT. */
        WAITING_FOR_INIT,
        /** Until a start-up interrupt. */
        WAITING_FOR_STARTUP
    }
}
