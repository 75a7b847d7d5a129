package io.membacking.partition.whp;

import com.sun.jna.Pointer;
import io.membacking.partition.PartitionMapping;
import io.membacking.partition.PartitionMapping.Remote;
import io.membacking.partition.PartitionMapping.Source;
import io.membacking.range.MemoryRange;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * What is mapped, in order of address. Every operation costs the logarithm of the number of ranges. Not thread-safe: whoever holds
 * the book's monitor knows that host addresses in it are valid, for they are until they are unmapped.
 */
final class RangeBook {
    /**
     * A range.
     *
     * @param views set if it is mapped through another process
     * @param written the pages of it that were written and that the platform does not tell: this side's writes, and what it has told
     */
    record Entry(PartitionMapping mapping, @Nullable ForeignViews views, BitSet written) {
        MemoryRange range() {
            return mapping.range();
        }

        private Pointer host(long gpa) {
            return new Pointer(mapping.hva() + (gpa - range().start()));
        }

        void read(long gpa, byte[] target, int offset, int length) {
            host(gpa).read(0, target, offset, length);
        }

        void write(long gpa, byte[] source, int offset, int length) {
            host(gpa).write(0, source, offset, length);
            written.set(Math.toIntExact((gpa - range().start()) / MemoryRange.PAGE_SIZE));
        }

        private Entry part(MemoryRange part) {
            long from = part.start() - range().start();
            int firstPage = Math.toIntExact(from / MemoryRange.PAGE_SIZE);
            PartitionMapping m = mapping;
            return new Entry(
                    new PartitionMapping(
                            part,
                            m.hva() + from,
                            m.memory(),
                            m.memoryGpa() + from,
                            m.writable(),
                            m.executable(),
                            m.remote().map(r -> new Remote(r.process(), r.descriptor(), r.offset() + from)),
                            m.source().map(s -> new Source(s.backing(), s.descriptor(), s.offset() + from))),
                    views,
                    written.get(firstPage, firstPage + Math.toIntExact(part.pages())));
        }
    }

    private final TreeMap<MemoryRange, Entry> entries = new TreeMap<>();

    /** Some range that has a page in common with this. */
    Optional<PartitionMapping> overlapping(MemoryRange range) {
        List<Entry> all = touching(range);
        return all.isEmpty() ? Optional.empty() : Optional.of(all.get(0).mapping());
    }

    /** All that have a page in common with the range, in order. */
    List<Entry> touching(MemoryRange range) {
        List<Entry> all = new ArrayList<>();
        // Disjoint and ordered: of those that start at or below it only the last can overlap.
        Map.Entry<MemoryRange, Entry> below = entries.floorEntry(range);
        if (below != null && below.getKey().overlaps(range)) {
            all.add(below.getValue());
        }
        for (Entry entry : entries.tailMap(range, false).values()) {
            if (!entry.range().overlaps(range)) {
                break;
            }
            all.add(entry);
        }
        return all;
    }

    /** The range that has the address. */
    Optional<Entry> at(long gpa) {
        MemoryRange page = MemoryRange.ofLength(gpa & -MemoryRange.PAGE_SIZE, MemoryRange.PAGE_SIZE);
        List<Entry> found = touching(page);
        return found.isEmpty() ? Optional.empty() : Optional.of(found.get(0));
    }

    /** Whether every page of the range is mapped. */
    boolean covers(MemoryRange range) {
        long at = range.start();
        for (Entry entry : touching(range)) {
            if (Long.compareUnsigned(entry.range().start(), at) > 0) {
                return false;
            }
            at = entry.range().end();
        }
        return Long.compareUnsigned(at, range.end()) >= 0;
    }

    /** Enters a mapping that overlaps none. */
    void add(PartitionMapping mapping, @Nullable ForeignViews views) {
        entries.put(mapping.range(), new Entry(mapping, views, new BitSet()));
    }

    /** Takes out a range that lies in one mapping; what is left of that stays. @return how many pieces are left of it */
    int remove(MemoryRange range) {
        Entry entry = touching(range).get(0);
        entries.remove(entry.range());
        for (MemoryRange rest : entry.range().minus(range)) {
            entries.put(rest, entry.part(rest));
        }
        return entry.range().minus(range).size();
    }

    void clear() {
        entries.clear();
    }

    List<PartitionMapping> mappings() {
        List<PartitionMapping> mappings = new ArrayList<>(entries.size());
        entries.values().forEach(entry -> mappings.add(entry.mapping()));
        return mappings;
    }
}
