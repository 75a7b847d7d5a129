package io.membacking.memory.internal;

import io.membacking.memory.BackingChoice;
import io.membacking.memory.MemoryLayout;
import io.membacking.range.MemoryRange;
import java.util.List;
import java.util.OptionalLong;

/**
 * What a guest's memory will be made of: a value, with nothing allocated yet.
 *
 * @param size bytes of the VA space
 * @param backings the one for the RAM that no choice names first, if there is such RAM, then the others as they were chosen
 * @param ranges RAM in the order of the layout, then the VTL2 range
 * @param regions the same RAM as regions, split where x86 legacy support asks for it
 */
record BuildPlan(
        String guest,
        MemoryLayout layout,
        long size,
        OptionalLong aliasMapOffset,
        boolean pinning,
        List<PlannedBacking> backings,
        List<Placement> ranges,
        List<Placement> regions) {
    BuildPlan {
        backings = List.copyOf(backings);
        ranges = List.copyOf(ranges);
        regions = List.copyOf(regions);
    }

    /** @param size bytes that the ranges take; an existing backing may be larger */
    record PlannedBacking(String name, BackingChoice choice, long size) {}

    /**
     * RAM and where its bytes are.
     *
     * @param backing index among the plan's backings
     * @param offset in the backing, bytes
     */
    record Placement(MemoryRange range, int backing, long offset) {}
}
