package io.membacking.memory;

import io.membacking.error.MembackingException;
import io.membacking.range.MemoryRange;
import java.util.Set;

/**
 * Collects the choices for a guest's memory. Without any but the layout: fresh shared backing, no alias, no pinning, no prefetch,
 * no x86 splitting. Not thread-safe; may be used again.
 */
public interface GuestMemoryBuilder {
    /** Where the RAM is. Without it nothing can be built. */
    GuestMemoryBuilder layout(MemoryLayout layout);

    /** What RAM is made of that no other call names: one backing, RAM ranges in order, then the VTL2 range, packed without holes. */
    GuestMemoryBuilder backing(BackingChoice choice);

    /** A backing of its own for these RAM ranges of the layout, the VTL2 range among them, packed in order. */
    GuestMemoryBuilder backing(Set<MemoryRange> ranges, BackingChoice choice);

    /** Where VTL2 sees VTL0's memory a second time. @param offset page aligned, at least the end of the layout */
    GuestMemoryBuilder aliasMapOffset(long offset);

    /** Whether every mapping of every attachment is to be pinned. */
    GuestMemoryBuilder pinning(boolean pin);

    /**
     * Whether RAM below 1 MiB is split at 0xa0000, 0xc0000, every 0x4000 up to 0xf0000, and 0x100000, so that VGA memory and the
     * PAM segments can be controlled one by one.
     */
    GuestMemoryBuilder x86LegacySupport(boolean split);

    /**
     * Allocates, commits, lays out and maps, whole or not at all.
     *
     * @throws io.membacking.error.LayoutException if the alias offset is below the end or not page aligned, or x86 legacy
     *     support has no RAM from 0 to 1 MiB
     * @throws io.membacking.error.BuildException if choices exclude each other or this host cannot satisfy them
     * @throws io.membacking.error.AllocationException if memory is short, or an existing backing is managed already
     * @throws io.membacking.error.HostMappingException if addresses or mappings are short
     * @throws IllegalStateException if there is no layout or the name is taken
     */
    GuestMemoryManager build() throws MembackingException;
}
