package io.membacking.region;

import io.membacking.range.MemoryRange;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A region as it stands. Immutable.
 *
 * @param mappedOrNull how it is mapped, or null while it is not in the guest; prefetch, an action, is always false here
 * @param mappings in order of offset, disjoint; neighbours with contiguous backing and the same access are one
 */
public record RegionInfo(
        RegionId id,
        MemoryRange range,
        int priority,
        RegionKind kind,
        @Nullable MapParameters mappedOrNull,
        List<MappingInfo> mappings) {
    public RegionInfo {
        mappings = List.copyOf(mappings);
    }

    public Optional<MapParameters> mapped() {
        return Optional.ofNullable(mappedOrNull);
    }

    /**
     * A mapping of a region.
     *
     * @param offsets in the region
     * @param backing the backing's id
     * @param backingOffset where in the backing it begins, bytes
     */
    public record MappingInfo(MemoryRange offsets, long backing, long backingOffset, boolean writable) {}
}
