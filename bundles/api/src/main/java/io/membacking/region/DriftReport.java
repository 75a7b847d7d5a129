package io.membacking.region;

import io.membacking.range.MemoryRange;
import java.util.List;

/** Whether regions, flat view, VA space, partitions and DMA targets agree. */
public record DriftReport(List<Difference> differences) {
    public DriftReport {
        differences = List.copyOf(differences);
    }

    public boolean clean() {
        return differences.isEmpty();
    }

    /**
     * @param where the view that differs: {@code "VA space"}, {@code "attachment x"}, ...
     * @param expected what the regions say should be there
     * @param found what is there
     */
    public record Difference(String where, MemoryRange range, String expected, String found) {}
}
