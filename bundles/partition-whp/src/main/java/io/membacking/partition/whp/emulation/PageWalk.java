package io.membacking.partition.whp.emulation;

import io.membacking.partition.whp.emulation.Interruption.Fault;
import io.membacking.partition.whp.emulation.Interruption.NotCovered;

/**
 * The guest's page tables, walked as the processor does.
 *
 * @see <a href="https://www.intel.com/sdm">Intel SDM, volume 3, chapter 4</a>
 */
final class PageWalk {
    static final long PAGE = 0x1000;
    private static final long PRESENT = 1;
    private static final long WRITE = 2;
    private static final long USER = 4;
    private static final long ACCESSED = 0x20;
    private static final long DIRTY = 0x40;
    private static final long LARGE = 0x80;
    private static final long ADDRESS = 0x000ffffffffff000L;
    private static final long ALIGNMENT_CHECK = 1 << 18;

    private final Cpu cpu;
    private final Ram ram;
    private final byte[] entry = new byte[8];

    PageWalk(Cpu cpu, Ram ram) {
        this.cpu = cpu;
        this.ram = ram;
    }

    /** @throws Fault a page fault, if the guest may not */
    long translate(long linear, boolean write) {
        if ((cpu.cr0 & Cpu.CR0_PG) == 0) {
            return linear & 0xffffffffL;
        }
        boolean longMode = (cpu.efer & Cpu.EFER_LMA) != 0;
        boolean pae = longMode || (cpu.cr4 & Cpu.CR4_PAE) != 0;
        int levels = longMode ? ((cpu.cr4 & Cpu.CR4_LA57) != 0 ? 5 : 4) : pae ? 3 : 2;
        int indexBits = pae ? 9 : 10;
        int entrySize = pae ? 8 : 4;
        long table = cpu.cr3 & (longMode ? ADDRESS : pae ? 0xffffffe0L : 0xfffff000L);
        long rights = WRITE | USER;
        boolean untouched = false;
        for (int level = levels; ; level--) {
            int shift = 12 + (level - 1) * indexBits;
            long at = table + (linear >>> shift & (1 << indexBits) - 1) * entrySize;
            long value = entry(at, entrySize);
            if ((value & PRESENT) == 0) {
                throw fault(linear, write, false);
            }
            boolean pointers = level == 3 && levels == 3; // which have no rights of their own
            if (!pointers) {
                rights &= value;
                untouched |= (value & ACCESSED) == 0;
            }
            boolean large = level > 1 && !pointers && (value & LARGE) != 0 && (pae || (cpu.cr4 & Cpu.CR4_PSE) != 0);
            long frame = value & (pae ? ADDRESS : 0xfffff000L);
            if (level == 1 || large) {
                check(linear, write, rights);
                if (untouched || (write && (value & DIRTY) == 0)) {
                    ram.touched(linear, write);
                }
                long inPage = (1L << shift) - 1;
                if (large && !pae) {
                    frame = (value & 0xffc00000L) | (value & 0x1fe000L) << 19; // PSE-36
                }
                return (frame & ~inPage) | (linear & inPage);
            }
            table = frame;
        }
    }

    private void check(long linear, boolean write, long rights) {
        boolean user = cpu.isUser();
        boolean denied;
        if (user) {
            denied = (rights & USER) == 0 || (write && (rights & WRITE) == 0);
        } else {
            denied = (write && (rights & WRITE) == 0 && (cpu.cr0 & Cpu.CR0_WP) != 0)
                    || ((rights & USER) != 0 && (cpu.cr4 & Cpu.CR4_SMAP) != 0 && (cpu.rflags & ALIGNMENT_CHECK) == 0);
        }
        if (denied) {
            throw fault(linear, write, true);
        }
    }

    private Fault fault(long linear, boolean write, boolean present) {
        return Fault.page((present ? 1 : 0) | (write ? 2 : 0) | (cpu.isUser() ? 4 : 0), linear);
    }

    private long entry(long gpa, int size) {
        if (!ram.read(gpa, entry, 0, size)) {
            throw new NotCovered("a page table lies at 0x" + Long.toHexString(gpa) + ", where no memory is mapped");
        }
        long value = 0;
        for (int i = size - 1; i >= 0; i--) {
            value = value << 8 | (entry[i] & 0xff);
        }
        return value;
    }
}
