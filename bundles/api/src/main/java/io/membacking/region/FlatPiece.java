package io.membacking.region;

import io.membacking.range.MemoryRange;

/**
 * A piece of what the guest sees: one region, one run of one backing, one access.
 *
 * @param range guest-physical
 * @param backing the backing's id
 * @param backingOffset where in the backing it begins, bytes
 * @param writable the region's and the mapping's
 */
public record FlatPiece(
        MemoryRange range,
        RegionId region,
        RegionKind kind,
        long backing,
        long backingOffset,
        boolean writable,
        boolean executable) {}
