package io.membacking.memory.internal;

import io.membacking.memory.BackingChoice;
import io.membacking.memory.MemoryLayout;
import io.membacking.range.MemoryRange;
import java.util.List;
import java.util.OptionalLong;
import java.util.Set;

/**
 * What a builder was told.
 *
 * @param choice for the RAM that no own choice names
 * @param own in the order in which they were given
 */
record BuildRequest(
        String guest,
        MemoryLayout layout,
        BackingChoice choice,
        List<Own> own,
        OptionalLong aliasMapOffset,
        boolean pinning,
        boolean x86LegacySupport) {
    BuildRequest {
        own = List.copyOf(own);
    }

    /** A backing of its own for some ranges. */
    record Own(Set<MemoryRange> ranges, BackingChoice choice) {
        Own {
            ranges = Set.copyOf(ranges);
        }
    }
}
