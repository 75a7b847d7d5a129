package io.membacking.region;

import io.membacking.range.MemoryRange;

/**
 * One step of what a caller asks for, as a value: ids and numbers alone, so that it can be kept, printed and replayed. Offsets
 * are in bytes from the start of the region or of the backing, page aligned.
 */
public sealed interface RegionOperation {
    RegionId region();

    /** Makes a region, unmapped, without mappings. Priority 0 to 255, the higher wins. */
    record Add(RegionId region, MemoryRange range, int priority, RegionKind kind) implements RegionOperation {
        public Add {
            if (priority < 0 || priority > 255) {
                throw new IllegalArgumentException(
                        "priority " + priority + " of region " + region + " is not within 0 to 255");
            }
        }
    }

    /** Takes a region and its mappings away. */
    record Remove(RegionId region) implements RegionOperation {}

    /** Maps the region into the guest, or changes how it is mapped. */
    record Map(RegionId region, MapParameters parameters) implements RegionOperation {}

    /** Takes the region out of the guest; its mappings stay. */
    record Unmap(RegionId region) implements RegionOperation {}

    /** Gives the region another start, mapped or not. */
    record Move(RegionId region, long start) implements RegionOperation {}

    /**
     * Puts a piece of a backing into the region, over whatever of its mappings it overlaps.
     *
     * @param backing the id of a backing that was {@link RegionManager#addBacking made known}
     */
    record AddMapping(RegionId region, MemoryRange offsets, long backing, long backingOffset, boolean writable)
            implements RegionOperation {}

    /** Empties a part of the region, splitting mappings that reach over its ends. */
    record RemoveMappings(RegionId region, MemoryRange offsets) implements RegionOperation {}
}
