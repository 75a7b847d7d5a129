package io.membacking.partition.reference;

import io.membacking.partition.PartitionMapping;
import io.membacking.range.MemoryRange;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Which memory lies where in a partition: disjoint mappings in order of address. Immutable. */
final class SecondLevelTable {
    static final SecondLevelTable EMPTY = new SecondLevelTable(new PartitionMapping[0]);

    private final PartitionMapping[] mappings;

    private SecondLevelTable(PartitionMapping[] mappings) {
        this.mappings = mappings;
    }

    List<PartitionMapping> mappings() {
        return List.of(mappings);
    }

    int size() {
        return mappings.length;
    }

    /** What lies at an address. */
    @Nullable
    PartitionMapping at(long gpa) {
        int i = firstEndingAbove(gpa);
        return i < mappings.length && mappings[i].range().contains(gpa) ? mappings[i] : null;
    }

    Optional<PartitionMapping> overlapping(MemoryRange range) {
        int i = firstEndingAbove(range.start());
        return i < mappings.length && mappings[i].range().overlaps(range) ? Optional.of(mappings[i]) : Optional.empty();
    }

    /** @param mapping overlaps none */
    SecondLevelTable with(PartitionMapping mapping) {
        int i = firstEndingAbove(mapping.range().start());
        PartitionMapping[] next = new PartitionMapping[mappings.length + 1];
        System.arraycopy(mappings, 0, next, 0, i);
        next[i] = mapping;
        System.arraycopy(mappings, i, next, i + 1, mappings.length - i);
        return new SecondLevelTable(next);
    }

    /** @param range within one mapping, of which the rest stays */
    SecondLevelTable without(MemoryRange range) {
        int i = firstEndingAbove(range.start());
        PartitionMapping old = mappings[i];
        PartitionMapping[] rest =
                old.range().minus(range).stream().map(part -> part(old, part)).toArray(PartitionMapping[]::new);
        PartitionMapping[] next = new PartitionMapping[mappings.length - 1 + rest.length];
        System.arraycopy(mappings, 0, next, 0, i);
        System.arraycopy(rest, 0, next, i, rest.length);
        System.arraycopy(mappings, i + 1, next, i + rest.length, mappings.length - i - 1);
        return new SecondLevelTable(next);
    }

    private static PartitionMapping part(PartitionMapping whole, MemoryRange part) {
        long offset = part.start() - whole.range().start();
        return new PartitionMapping(
                part,
                whole.hva() + offset,
                whole.memory(),
                whole.memoryGpa() + offset,
                whole.writable(),
                whole.executable(),
                whole.remote(),
                whole.source()
                        .map(source -> new PartitionMapping.Source(
                                source.backing(), source.descriptor(), source.offset() + offset)));
    }

    private int firstEndingAbove(long address) {
        int low = 0;
        int high = mappings.length;
        while (low < high) {
            int middle = (low + high) >>> 1;
            if (Long.compareUnsigned(mappings[middle].range().end(), address) <= 0) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return low;
    }

    @Override
    public String toString() {
        return Arrays.toString(mappings);
    }
}
