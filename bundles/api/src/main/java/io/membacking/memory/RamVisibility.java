package io.membacking.memory;

/** What the guest sees of a RAM region. */
public enum RamVisibility {
    READ_WRITE,
    /** Reads hit memory, writes exit. */
    READ_ONLY,
    /** Everything exits, or shows device memory beneath. */
    UNMAPPED
}
