package io.membacking.partition.whp.emulation;

/** The memory of a guest, by guest-physical address. */
public interface Ram {
    /** Whether the page of the address is memory. */
    boolean isReadable(long gpa);

    /** Whether the page of the address is memory that is not read-only. */
    boolean isWritable(long gpa);

    /** Reads within a page. @return whether it is memory still */
    boolean read(long gpa, byte[] target, int offset, int length);

    /** Writes within a page. @return whether it is writable memory still; nothing is written if not */
    boolean write(long gpa, byte[] source, int offset, int length);

    /** The processor used a translation to an address: sets the bits in the page tables that say so. */
    void touched(long gva, boolean write);
}
