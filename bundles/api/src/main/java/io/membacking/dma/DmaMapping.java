package io.membacking.dma;

import io.membacking.range.MemoryRange;
import java.util.OptionalInt;

/**
 * Memory that a DMA target may reach. Valid until it is unmapped from the target.
 *
 * @param range guest-physical
 * @param hva its host-virtual address
 * @param backing the backing's id
 * @param backingOffset where in the backing it begins, bytes
 * @param descriptor the backing's descriptor, where it has one; not the target's to close
 */
public record DmaMapping(
        MemoryRange range, long hva, long backing, long backingOffset, OptionalInt descriptor, boolean writable) {}
