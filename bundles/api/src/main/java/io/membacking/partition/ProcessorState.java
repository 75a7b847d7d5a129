package io.membacking.partition;

import java.util.SortedMap;
import java.util.TreeMap;

/**
 * The state of an x86-64 processor in a form that belongs to no hypervisor. Immutable.
 *
 * <p>FPU and vector state, pending events and the CPUID model have their place here when a processor's state is carried from one
 * backend to another; a state that is set leaves them as they are.
 *
 * @param msrs model-specific registers by number, those that the backend knows to be portable
 */
public record ProcessorState(GeneralRegisters general, SystemRegisters system, SortedMap<Integer, Long> msrs) {
    public ProcessorState {
        msrs = java.util.Collections.unmodifiableSortedMap(new TreeMap<>(msrs));
    }

    public ProcessorState with(GeneralRegisters newGeneral) {
        return new ProcessorState(newGeneral, system, msrs);
    }

    public ProcessorState with(SystemRegisters newSystem) {
        return new ProcessorState(general, newSystem, msrs);
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
            long apicBase) {}
}
