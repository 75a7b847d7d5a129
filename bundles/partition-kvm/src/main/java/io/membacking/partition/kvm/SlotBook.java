package io.membacking.partition.kvm;

import io.membacking.partition.PartitionMapping;
import io.membacking.range.MemoryRange;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** Which memory slot holds what, in order of address. Every operation costs the logarithm of their number. Not thread-safe. */
final class SlotBook {
    /** A memory slot in use. */
    record Slot(int id, PartitionMapping mapping) {}

    private final int capacity;
    private final TreeMap<MemoryRange, Slot> slots = new TreeMap<>();
    private final Deque<Integer> freed = new ArrayDeque<>();
    private int next;

    SlotBook(int capacity) {
        this.capacity = capacity;
    }

    boolean isFull() {
        return slots.size() == capacity;
    }

    /** Some mapping that has a page in common with the range. */
    Optional<PartitionMapping> overlapping(MemoryRange range) {
        // Disjoint and ordered: only the last that starts at or below the range's start, and the first above, can
        // overlap.
        Map.Entry<MemoryRange, Slot> below = slots.floorEntry(range);
        if (below != null && below.getKey().overlaps(range)) {
            return Optional.of(below.getValue().mapping());
        }
        Map.Entry<MemoryRange, Slot> above = slots.higherEntry(range);
        return above != null && above.getKey().overlaps(range)
                ? Optional.of(above.getValue().mapping())
                : Optional.empty();
    }

    /** The slots that have a page in common with the range, in order of address. */
    List<Slot> within(MemoryRange range) {
        List<Slot> within = new ArrayList<>();
        Map.Entry<MemoryRange, Slot> next = slots.floorEntry(range);
        if (next == null || !next.getKey().overlaps(range)) {
            next = slots.higherEntry(range);
        }
        while (next != null && next.getKey().overlaps(range)) {
            within.add(next.getValue());
            next = slots.higherEntry(next.getKey());
        }
        return within;
    }

    /** The slot that holds exactly this range. */
    Optional<Slot> exactly(MemoryRange range) {
        return Optional.ofNullable(slots.get(range));
    }

    /** Whether every page of the range is mapped. */
    boolean covers(MemoryRange range) {
        long at = range.start();
        while (Long.compareUnsigned(at, range.end()) < 0) {
            Optional<PartitionMapping> mapping = overlapping(MemoryRange.ofLength(at, MemoryRange.PAGE_SIZE));
            if (mapping.isEmpty()) {
                return false;
            }
            at = mapping.get().range().end();
        }
        return true;
    }

    /** Enters a mapping that overlaps none, under an id that is free. */
    Slot add(PartitionMapping mapping) {
        Integer reused = freed.poll();
        Slot slot = new Slot(reused != null ? reused : next++, mapping);
        slots.put(mapping.range(), slot);
        return slot;
    }

    void remove(Slot slot) {
        slots.remove(slot.mapping().range());
        freed.push(slot.id());
    }

    void clear() {
        slots.clear();
        freed.clear();
        next = 0;
    }

    List<PartitionMapping> mappings() {
        List<PartitionMapping> mappings = new ArrayList<>(slots.size());
        slots.values().forEach(slot -> mappings.add(slot.mapping()));
        return mappings;
    }
}
