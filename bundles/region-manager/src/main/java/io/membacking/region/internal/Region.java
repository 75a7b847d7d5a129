package io.membacking.region.internal;

import io.membacking.range.MemoryRange;
import io.membacking.region.MapParameters;
import io.membacking.region.RegionId;
import io.membacking.region.RegionInfo;
import io.membacking.region.RegionInfo.MappingInfo;
import io.membacking.region.RegionKind;
import org.jspecify.annotations.Nullable;

/**
 * A region with its mappings. Immutable.
 *
 * @param mapped how it is mapped, without prefetch, which is an action; null while it is not in the guest
 * @param mappings by offset in the region; disjoint, neighbours with contiguous backing and the same access as one
 */
record Region(
        RegionId id,
        MemoryRange range,
        int priority,
        RegionKind kind,
        @Nullable MapParameters mapped,
        RangeTree<MappingInfo> mappings) {

    Region withRange(MemoryRange newRange) {
        return new Region(id, newRange, priority, kind, mapped, mappings);
    }

    Region withMapped(@Nullable MapParameters newMapped) {
        return new Region(id, range, priority, kind, newMapped, mappings);
    }

    Region withMappings(RangeTree<MappingInfo> newMappings) {
        return new Region(id, range, priority, kind, mapped, newMappings);
    }

    /** Where offsets in the region lie in guest-physical space. */
    MemoryRange at(MemoryRange offsets) {
        return offsets.shift(range.start());
    }

    /** Which offsets in the region a part of its range is. */
    MemoryRange offsets(MemoryRange part) {
        return part.shift(-range.start());
    }

    /** Whether it shows where both are mapped. */
    boolean beats(Region other) {
        return priority != other.priority ? priority > other.priority : id.number() < other.id.number();
    }

    RegionInfo info() {
        return new RegionInfo(id, range, priority, kind, mapped, mappings.values());
    }
}
