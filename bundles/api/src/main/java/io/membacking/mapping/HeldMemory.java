package io.membacking.mapping;

import io.membacking.range.MemoryRange;

/**
 * A part of the VA space and what it holds.
 *
 * @param range guest-physical
 * @param backing the backing's id
 * @param backingOffset where in the backing it begins, bytes
 */
public record HeldMemory(MemoryRange range, long backing, long backingOffset) {}
