package io.membacking.partition.reference;

/**
 * From linear to guest-physical addresses by the guest's own page tables: none, 32-bit, PAE, and long mode with four or five levels.
 * Pure but for the accessed and dirty bits, which it sets as the processor does: on all levels, after the permissions are checked.
 *
 * <p>PAE's four pointers are read at every walk, where a processor keeps them from the last load of CR3.
 *
 * @see <a href="https://www.intel.com/sdm">Intel SDM, volume 3, chapter 4</a>
 */
final class PageWalk {
    private static final long PRESENT = 1;
    private static final long WRITABLE = 2;
    private static final long USER = 4;
    private static final long ACCESSED = 0x20;
    private static final long DIRTY = 0x40;
    private static final long LARGE = 0x80;
    private static final long NO_EXECUTE = 1L << 63;
    private static final long ADDRESS = 0x000ffffffffff000L;

    private final PhysicalMemory memory;
    private final Registers registers;
    private final int physicalWidth;

    /** Entries of page tables. */
    interface PhysicalMemory {
        /** An entry of 4 or 8 bytes; 0, which is not present, where nothing is mapped. */
        long entry(long gpa, int size);

        /** Replaces an entry if it is as expected. @return false if it was not; true, too, where it cannot be written */
        boolean replaceEntry(long gpa, int size, long expected, long value);
    }

    /** @param physicalWidth bits of a physical address: those above are reserved in entries */
    PageWalk(PhysicalMemory memory, Registers registers, int physicalWidth) {
        this.memory = memory;
        this.registers = registers;
        this.physicalWidth = physicalWidth;
    }

    /**
     * The guest-physical address.
     *
     * @param user whether the access has the rights of CPL 3
     * @throws PageFault if it is not permitted
     */
    long translate(long linear, boolean write, boolean fetch, boolean user) {
        if ((registers.cr0 & Registers.CR0_PG) == 0) {
            return linear & 0xffffffffL;
        }
        while (true) {
            long physical = walk(linear, write, fetch, user);
            if (physical != -1) {
                return physical;
            }
        }
    }

    /** @return -1 if an entry changed under way */
    private long walk(long linear, boolean write, boolean fetch, boolean user) {
        boolean pae = (registers.cr4 & Registers.CR4_PAE) != 0;
        int entrySize = pae ? 8 : 4;
        int indexBits = pae ? 9 : 10;
        int levels;
        long table;
        if (registers.longMode) {
            levels = (registers.cr4 & Registers.CR4_LA57) != 0 ? 5 : 4;
            table = registers.cr3 & ADDRESS;
        } else if (pae) {
            levels = 3;
            table = registers.cr3 & 0xffffffe0L;
        } else {
            levels = 2;
            table = registers.cr3 & 0xfffff000L;
        }
        long[] at = new long[levels + 1];
        long[] entries = new long[levels + 1];
        long rights = WRITABLE | USER;
        boolean executable = true;
        int level = levels;
        while (true) {
            int shift = 12 + indexBits * (level - 1);
            long index = linear >>> shift & ((1L << indexBits) - 1);
            if (levels == 3 && level == 3) {
                index &= 3;
            }
            at[level] = table + index * entrySize;
            long entry = memory.entry(at[level], entrySize);
            entries[level] = entry;
            if ((entry & PRESENT) == 0) {
                throw fault(linear, 0, write, fetch, user);
            }
            boolean pointer = levels == 3 && level == 3; // of PAE: an entry without rights
            boolean leaf = level == 1 || (isLarge(entry, level, pae) && !pointer);
            if (pae && isReserved(entry, level, leaf, pointer)) {
                throw fault(linear, PageFault.PRESENT | PageFault.RESERVED, write, fetch, user);
            }
            if (!pointer) {
                rights &= entry;
                executable &= (entry & NO_EXECUTE) == 0 || !pae;
            }
            if (leaf) {
                check(linear, rights, executable, write, fetch, user);
                for (int i = levels; i >= level; i--) {
                    boolean none = levels == 3 && i == 3;
                    long bits = none ? 0 : i == level && write ? ACCESSED | DIRTY : ACCESSED;
                    if ((entries[i] & bits) != bits
                            && !memory.replaceEntry(at[i], entrySize, entries[i], entries[i] | bits)) {
                        return -1;
                    }
                }
                return physical(linear, entry, shift, level, pae);
            }
            table = entry & (pae ? ADDRESS : 0xfffff000L);
            level--;
        }
    }

    private boolean isLarge(long entry, int level, boolean pae) {
        if ((entry & LARGE) == 0 || level == 1) {
            return false;
        }
        if (!pae) {
            return (registers.cr4 & Registers.CR4_PSE) != 0;
        }
        return level == 2 || (level == 3 && registers.longMode);
    }

    private static long physical(long linear, long entry, int shift, int level, boolean pae) {
        long offset = linear & ((1L << shift) - 1);
        if (level == 1) {
            return (pae ? entry & ADDRESS : entry & 0xfffff000L) | offset;
        }
        if (!pae) { // bits 39:32 of a 4 MiB page lie in bits 20:13 of its entry
            return (entry & 0xffc00000L) | (entry >>> 13 & 0xff) << 32 | offset;
        }
        return (entry & ADDRESS & -(1L << shift)) | offset;
    }

    private boolean isReserved(long entry, int level, boolean leaf, boolean pointer) {
        long reserved = ADDRESS & -(1L << physicalWidth);
        if ((registers.efer & Registers.EFER_NXE) == 0) {
            reserved |= NO_EXECUTE;
        }
        if (pointer) {
            reserved |= NO_EXECUTE | 0x1e6;
        } else if (!registers.longMode) {
            reserved |= 0x7ff0000000000000L;
        }
        if (leaf && level > 1) {
            reserved |= (1L << (12 + 9 * (level - 1))) - 1 & 0xfffffffffffe000L; // bit 12 is PAT
        }
        if (!leaf && !pointer && level > 3) {
            reserved |= LARGE;
        }
        return (entry & reserved) != 0;
    }

    private void check(long linear, long rights, boolean executable, boolean write, boolean fetch, boolean user) {
        boolean allowed;
        if (user) {
            allowed = (rights & USER) != 0 && (!write || (rights & WRITABLE) != 0);
        } else {
            allowed = !write || (rights & WRITABLE) != 0 || (registers.cr0 & Registers.CR0_WP) == 0;
            if ((rights & USER) != 0) {
                if (fetch) {
                    allowed &= (registers.cr4 & Registers.CR4_SMEP) == 0;
                } else if ((registers.cr4 & Registers.CR4_SMAP) != 0) {
                    allowed &= registers.has(Flags.AC);
                }
            }
        }
        if (!allowed || (fetch && !executable)) {
            throw fault(linear, PageFault.PRESENT, write, fetch, user);
        }
    }

    private PageFault fault(long linear, int code, boolean write, boolean fetch, boolean user) {
        int errorCode = code | (write ? PageFault.WRITE : 0) | (user ? PageFault.USER : 0);
        boolean tellsFetch = ((registers.efer & Registers.EFER_NXE) != 0 && (registers.cr4 & Registers.CR4_PAE) != 0)
                || (registers.cr4 & Registers.CR4_SMEP) != 0;
        if (fetch && tellsFetch) {
            errorCode |= PageFault.FETCH;
        }
        return new PageFault(linear, errorCode);
    }
}
