package io.membacking.partition.reference;

/** Loading segment and system segment registers, with the checks of protected mode. */
final class SegmentLoads {
    private static final int ACCESSED = 1;

    private SegmentLoads() {}

    static boolean isNull(int selector) {
        return (selector & ~3) == 0;
    }

    static GuestFault notPresent(int selector) {
        return new GuestFault(GuestFault.NOT_PRESENT, selector & ~3);
    }

    /** The address of a descriptor of {@code bytes} bytes. @throws GuestFault if the table has no such entry */
    static long descriptorAddress(Core core, int selector, int bytes, int vector, int external) {
        Registers r = core.r;
        long base = r.gdtBase;
        long limit = r.gdtLimit;
        if ((selector & 4) != 0) {
            if (!r.local.isUsable()) {
                throw new GuestFault(vector, (selector & ~3) | external);
            }
            base = r.local.base;
            limit = r.local.limit & 0xffffffffL;
        }
        int offset = selector & ~7;
        if (offset + bytes - 1 > limit) {
            throw new GuestFault(vector, (selector & ~3) | external);
        }
        long address = base + offset;
        return r.longMode ? address : address & 0xffffffffL;
    }

    static Descriptor descriptor(Core core, int selector, int vector) {
        return descriptor(core, selector, vector, 0);
    }

    static Descriptor descriptor(Core core, int selector, int vector, int external) {
        return new Descriptor(core.mmu.readSystem(descriptorAddress(core, selector, 8, vector, external), 8));
    }

    /** Sets the accessed bit where it is not set. */
    static Descriptor access(Core core, int selector, Descriptor descriptor) {
        long accessed = descriptor.low() | (long) ACCESSED << 40;
        if (accessed != descriptor.low()) {
            long address = descriptorAddress(core, selector, 8, GuestFault.PROTECTION, 0);
            core.mmu.writeSystem(address + 5, 1, accessed >>> 40 & 0xff);
        }
        return new Descriptor(accessed);
    }

    /** As MOV and POP do it. Not for CS. */
    static void load(Core core, int segment, int selector) {
        Registers r = core.r;
        if (!r.protectedMode) {
            r.segments[segment].setReal(selector);
            return;
        }
        if (segment == Registers.SS) {
            loadStack(core, selector);
            return;
        }
        if (isNull(selector)) {
            r.segments[segment].setNull(selector);
            return;
        }
        Descriptor d = descriptor(core, selector, GuestFault.PROTECTION);
        boolean strict = !d.isCode() || !d.isConforming();
        if (!d.isSegment() || !d.isReadable() || (strict && d.privilege() < Math.max(selector & 3, r.cpl))) {
            throw core.protection(selector & ~3);
        }
        if (!d.isPresent()) {
            throw notPresent(selector);
        }
        r.segments[segment].set(selector, access(core, selector, d));
    }

    private static void loadStack(Core core, int selector) {
        Registers r = core.r;
        if (isNull(selector)) {
            if (r.codeSize != 8 || r.cpl == 3 || (selector & 3) != r.cpl) {
                throw core.protection(0);
            }
            setNullStack(r, selector);
            return;
        }
        Descriptor d = stackDescriptor(core, selector, r.cpl, GuestFault.PROTECTION);
        r.segments[Registers.SS].set(selector, access(core, selector, d));
        r.refresh();
    }

    /** Of long mode: the privilege level stays in it. */
    static void setNullStack(Registers r, int selector) {
        SegmentRegister ss = r.segments[Registers.SS];
        ss.setNull(selector);
        ss.attributes |= (selector & 3) << 5;
        r.refresh();
    }

    /** @param vector of the exception for one that does not fit */
    static Descriptor stackDescriptor(Core core, int selector, int cpl, int vector) {
        Descriptor d = descriptor(core, selector, vector);
        if ((selector & 3) != cpl || !d.isWritableData() || d.privilege() != cpl) {
            throw new GuestFault(vector, selector & ~3);
        }
        if (!d.isPresent()) {
            throw new GuestFault(GuestFault.STACK, selector & ~3);
        }
        return d;
    }

    /** LTR. */
    static void loadTask(Core core, int selector) {
        Registers r = core.r;
        if (isNull(selector)) {
            throw core.protection(0);
        }
        Descriptor d = systemDescriptor(core, selector);
        if (d.isSegment() || (d.type() != Descriptor.TYPE_TSS && (r.longMode || d.type() != Descriptor.TYPE_TSS_16))) {
            throw core.protection(selector & ~3);
        }
        if (!d.isPresent()) {
            throw notPresent(selector);
        }
        requireCanonical(core, selector, d);
        Descriptor busy = new Descriptor(d.low() | 2L << 40, d.high());
        long address = descriptorAddress(core, selector, 8, GuestFault.PROTECTION, 0);
        core.mmu.writeSystem(address + 5, 1, busy.low() >>> 40 & 0xff);
        r.task.set(selector, busy);
    }

    /** LLDT. */
    static void loadLocal(Core core, int selector) {
        if (isNull(selector)) {
            core.r.local.setNull(selector);
            return;
        }
        Descriptor d = systemDescriptor(core, selector);
        if (d.isSegment() || d.type() != Descriptor.TYPE_LDT) {
            throw core.protection(selector & ~3);
        }
        if (!d.isPresent()) {
            throw notPresent(selector);
        }
        requireCanonical(core, selector, d);
        core.r.local.set(selector, d);
    }

    /** By the widest addresses that the processor has, whether paging uses them or not. */
    private static void requireCanonical(Core core, int selector, Descriptor descriptor) {
        int shift = Long.SIZE - ((core.controlBits & Registers.CR4_LA57) != 0 ? 57 : 48);
        long base = descriptor.base();
        if (core.r.longMode && base << shift >> shift != base) {
            throw core.protection(selector & ~3);
        }
    }

    private static Descriptor systemDescriptor(Core core, int selector) {
        if ((selector & 4) != 0) {
            throw core.protection(selector & ~3);
        }
        if (!core.r.longMode) {
            return descriptor(core, selector, GuestFault.PROTECTION);
        }
        long address = descriptorAddress(core, selector, 16, GuestFault.PROTECTION, 0);
        return new Descriptor(core.mmu.readSystem(address, 8), core.mmu.readSystem(address + 8, 8) & 0xffffffffL);
    }
}
