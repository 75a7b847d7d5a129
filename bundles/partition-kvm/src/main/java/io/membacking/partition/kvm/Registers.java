package io.membacking.partition.kvm;

import io.membacking.partition.ProcessorState.GeneralRegisters;
import io.membacking.partition.ProcessorState.Segment;
import io.membacking.partition.ProcessorState.SystemRegisters;
import io.membacking.partition.ProcessorState.Table;
import java.nio.ByteBuffer;

/** The portable form of registers to and from {@code struct kvm_regs} and {@code struct kvm_sregs}. */
final class Registers {
    private static final int ATTRIBUTES = 0x1f0ff;

    private Registers() {}

    static GeneralRegisters general(ByteBuffer regs) {
        return new GeneralRegisters(
                regs.getLong(KvmAbi.REGS_RAX),
                regs.getLong(KvmAbi.REGS_RBX),
                regs.getLong(KvmAbi.REGS_RCX),
                regs.getLong(KvmAbi.REGS_RDX),
                regs.getLong(KvmAbi.REGS_RSI),
                regs.getLong(KvmAbi.REGS_RDI),
                regs.getLong(KvmAbi.REGS_RSP),
                regs.getLong(KvmAbi.REGS_RBP),
                regs.getLong(KvmAbi.REGS_R8),
                regs.getLong(KvmAbi.REGS_R8 + 8),
                regs.getLong(KvmAbi.REGS_R8 + 16),
                regs.getLong(KvmAbi.REGS_R8 + 24),
                regs.getLong(KvmAbi.REGS_R8 + 32),
                regs.getLong(KvmAbi.REGS_R8 + 40),
                regs.getLong(KvmAbi.REGS_R8 + 48),
                regs.getLong(KvmAbi.REGS_R15),
                regs.getLong(KvmAbi.REGS_RIP),
                regs.getLong(KvmAbi.REGS_RFLAGS));
    }

    static void put(ByteBuffer regs, GeneralRegisters general) {
        regs.putLong(KvmAbi.REGS_RAX, general.rax());
        regs.putLong(KvmAbi.REGS_RBX, general.rbx());
        regs.putLong(KvmAbi.REGS_RCX, general.rcx());
        regs.putLong(KvmAbi.REGS_RDX, general.rdx());
        regs.putLong(KvmAbi.REGS_RSI, general.rsi());
        regs.putLong(KvmAbi.REGS_RDI, general.rdi());
        regs.putLong(KvmAbi.REGS_RSP, general.rsp());
        regs.putLong(KvmAbi.REGS_RBP, general.rbp());
        regs.putLong(KvmAbi.REGS_R8, general.r8());
        regs.putLong(KvmAbi.REGS_R8 + 8, general.r9());
        regs.putLong(KvmAbi.REGS_R8 + 16, general.r10());
        regs.putLong(KvmAbi.REGS_R8 + 24, general.r11());
        regs.putLong(KvmAbi.REGS_R8 + 32, general.r12());
        regs.putLong(KvmAbi.REGS_R8 + 40, general.r13());
        regs.putLong(KvmAbi.REGS_R8 + 48, general.r14());
        regs.putLong(KvmAbi.REGS_R15, general.r15());
        regs.putLong(KvmAbi.REGS_RIP, general.rip());
        regs.putLong(KvmAbi.REGS_RFLAGS, general.rflags());
    }

    static SystemRegisters system(ByteBuffer sregs) {
        return new SystemRegisters(
                segment(sregs, KvmAbi.SREGS_CS),
                segment(sregs, KvmAbi.SREGS_DS),
                segment(sregs, KvmAbi.SREGS_ES),
                segment(sregs, KvmAbi.SREGS_FS),
                segment(sregs, KvmAbi.SREGS_GS),
                segment(sregs, KvmAbi.SREGS_SS),
                segment(sregs, KvmAbi.SREGS_TR),
                segment(sregs, KvmAbi.SREGS_LDT),
                table(sregs, KvmAbi.SREGS_GDT),
                table(sregs, KvmAbi.SREGS_IDT),
                sregs.getLong(KvmAbi.SREGS_CR0),
                sregs.getLong(KvmAbi.SREGS_CR2),
                sregs.getLong(KvmAbi.SREGS_CR3),
                sregs.getLong(KvmAbi.SREGS_CR4),
                sregs.getLong(KvmAbi.SREGS_CR8),
                sregs.getLong(KvmAbi.SREGS_EFER),
                sregs.getLong(KvmAbi.SREGS_APIC_BASE));
    }

    /** Overwrites what the portable form has, and leaves the rest. */
    static void put(ByteBuffer sregs, SystemRegisters system) {
        put(sregs, KvmAbi.SREGS_CS, system.cs());
        put(sregs, KvmAbi.SREGS_DS, system.ds());
        put(sregs, KvmAbi.SREGS_ES, system.es());
        put(sregs, KvmAbi.SREGS_FS, system.fs());
        put(sregs, KvmAbi.SREGS_GS, system.gs());
        put(sregs, KvmAbi.SREGS_SS, system.ss());
        put(sregs, KvmAbi.SREGS_TR, system.tr());
        put(sregs, KvmAbi.SREGS_LDT, system.ldt());
        put(sregs, KvmAbi.SREGS_GDT, system.gdt());
        put(sregs, KvmAbi.SREGS_IDT, system.idt());
        sregs.putLong(KvmAbi.SREGS_CR0, system.cr0());
        sregs.putLong(KvmAbi.SREGS_CR2, system.cr2());
        sregs.putLong(KvmAbi.SREGS_CR3, system.cr3());
        sregs.putLong(KvmAbi.SREGS_CR4, system.cr4());
        sregs.putLong(KvmAbi.SREGS_CR8, system.cr8());
        sregs.putLong(KvmAbi.SREGS_EFER, system.efer());
        sregs.putLong(KvmAbi.SREGS_APIC_BASE, system.apicBase());
    }

    private static Segment segment(ByteBuffer sregs, int at) {
        int attributes = bits(sregs, at + KvmAbi.SEGMENT_TYPE, 0)
                | bits(sregs, at + KvmAbi.SEGMENT_S, 4)
                | bits(sregs, at + KvmAbi.SEGMENT_DPL, 5)
                | bits(sregs, at + KvmAbi.SEGMENT_PRESENT, 7)
                | bits(sregs, at + KvmAbi.SEGMENT_AVL, 12)
                | bits(sregs, at + KvmAbi.SEGMENT_L, 13)
                | bits(sregs, at + KvmAbi.SEGMENT_DB, 14)
                | bits(sregs, at + KvmAbi.SEGMENT_G, 15)
                | bits(sregs, at + KvmAbi.SEGMENT_UNUSABLE, 16);
        return new Segment(
                sregs.getLong(at + KvmAbi.SEGMENT_BASE),
                sregs.getInt(at + KvmAbi.SEGMENT_LIMIT),
                sregs.getShort(at + KvmAbi.SEGMENT_SELECTOR) & 0xffff,
                attributes);
    }

    private static void put(ByteBuffer sregs, int at, Segment segment) {
        int attributes = segment.attributes();
        sregs.putLong(at + KvmAbi.SEGMENT_BASE, segment.base());
        sregs.putInt(at + KvmAbi.SEGMENT_LIMIT, segment.limit());
        sregs.putShort(at + KvmAbi.SEGMENT_SELECTOR, (short) segment.selector());
        setBits(sregs, at + KvmAbi.SEGMENT_TYPE, attributes, 0xf);
        setBits(sregs, at + KvmAbi.SEGMENT_S, attributes >> 4, 1);
        setBits(sregs, at + KvmAbi.SEGMENT_DPL, attributes >> 5, 3);
        setBits(sregs, at + KvmAbi.SEGMENT_PRESENT, attributes >> 7, 1);
        setBits(sregs, at + KvmAbi.SEGMENT_AVL, attributes >> 12, 1);
        setBits(sregs, at + KvmAbi.SEGMENT_L, attributes >> 13, 1);
        setBits(sregs, at + KvmAbi.SEGMENT_DB, attributes >> 14, 1);
        setBits(sregs, at + KvmAbi.SEGMENT_G, attributes >> 15, 1);
        setBits(sregs, at + KvmAbi.SEGMENT_UNUSABLE, attributes >> 16, 1);
    }

    private static Table table(ByteBuffer sregs, int at) {
        return new Table(sregs.getLong(at + KvmAbi.TABLE_BASE), sregs.getShort(at + KvmAbi.TABLE_LIMIT) & 0xffff);
    }

    private static void put(ByteBuffer sregs, int at, Table table) {
        sregs.putLong(at + KvmAbi.TABLE_BASE, table.base());
        sregs.putShort(at + KvmAbi.TABLE_LIMIT, (short) table.limit());
    }

    private static int bits(ByteBuffer sregs, int at, int shift) {
        return (sregs.get(at) & 0xff) << shift;
    }

    private static void setBits(ByteBuffer sregs, int at, int value, int mask) {
        sregs.put(at, (byte) (value & mask));
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
}
