package io.membacking.host.windows;

import io.membacking.range.MemoryRange;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Ranges as a set of pages: disjoint, in order. Bounds are below 2^63. Not thread-safe. */
final class RangeSet {
    private final TreeMap<Long, MemoryRange> byStart = new TreeMap<>();

    void clear() {
        byStart.clear();
    }

    void add(MemoryRange range) {
        remove(range);
        byStart.put(range.start(), range);
    }

    void remove(MemoryRange range) {
        for (MemoryRange old : overlapping(range)) {
            byStart.remove(old.start());
            for (MemoryRange rest : old.minus(range)) {
                byStart.put(rest.start(), rest);
            }
        }
    }

    /** The parts of the range that are in the set. */
    List<MemoryRange> inside(MemoryRange range) {
        return overlapping(range).stream()
                .flatMap(part -> part.intersection(range).stream())
                .toList();
    }

    /** The parts of the range that are not in the set. */
    List<MemoryRange> outside(MemoryRange range) {
        List<MemoryRange> rest = new ArrayList<>();
        long at = range.start();
        for (MemoryRange part : inside(range)) {
            if (at < part.start()) {
                rest.add(new MemoryRange(at, part.start()));
            }
            at = part.end();
        }
        if (at < range.end()) {
            rest.add(new MemoryRange(at, range.end()));
        }
        return rest;
    }

    List<MemoryRange> all() {
        return List.copyOf(byStart.values());
    }

    private List<MemoryRange> overlapping(MemoryRange range) {
        Map.Entry<Long, MemoryRange> before = byStart.floorEntry(range.start());
        long from = before != null && before.getValue().overlaps(range) ? before.getKey() : range.start();
        return List.copyOf(byStart.subMap(from, range.end()).values());
    }
}
