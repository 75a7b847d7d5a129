package io.membacking.memory;

import io.membacking.range.MemoryRange;
import java.util.OptionalInt;

/**
 * A range of RAM.
 *
 * @param virtualNode the guest's NUMA node, where it has any
 */
public record RamRange(MemoryRange range, OptionalInt virtualNode) {
    public RamRange {
        if (virtualNode.orElse(0) < 0) {
            throw new IllegalArgumentException(
                    "virtual NUMA node " + virtualNode.getAsInt() + " of RAM at " + range + " is negative");
        }
    }

    public static RamRange of(MemoryRange range) {
        return new RamRange(range, OptionalInt.empty());
    }
}
