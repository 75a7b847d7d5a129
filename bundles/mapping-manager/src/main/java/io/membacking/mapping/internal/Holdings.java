package io.membacking.mapping.internal;

import io.membacking.mapping.HeldMemory;
import io.membacking.range.MemoryRange;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** The book of what a VA space holds: disjoint pieces, contiguous neighbours of one backing as one. Thread-safe. */
final class Holdings {
    /** By start; guest-physical addresses of a VA space are never negative. */
    private final TreeMap<Long, HeldMemory> pieces = new TreeMap<>();

    /** Enters a piece in place of what is there. */
    synchronized void put(MemoryRange range, long backing, long backingOffset) {
        remove(range);
        HeldMemory piece = new HeldMemory(range, backing, backingOffset);
        Map.Entry<Long, HeldMemory> below = pieces.lowerEntry(range.start());
        if (below != null && continues(below.getValue(), piece)) {
            piece = joined(below.getValue(), piece);
        }
        HeldMemory above = pieces.get(range.end());
        if (above != null && continues(piece, above)) {
            pieces.remove(range.end());
            piece = joined(piece, above);
        }
        pieces.put(piece.range().start(), piece);
    }

    /** Strikes out a range; what reaches beyond it stays. */
    synchronized void remove(MemoryRange range) {
        Map.Entry<Long, HeldMemory> entry = pieces.lowerEntry(range.end());
        while (entry != null && entry.getValue().range().end() > range.start()) {
            HeldMemory piece = entry.getValue();
            pieces.remove(entry.getKey());
            for (MemoryRange rest : piece.range().minus(range)) {
                long offset =
                        piece.backingOffset() + (rest.start() - piece.range().start());
                pieces.put(rest.start(), new HeldMemory(rest, piece.backing(), offset));
            }
            entry = pieces.lowerEntry(entry.getKey());
        }
    }

    /** The parts of a range that hold nothing, in order. */
    synchronized List<MemoryRange> gaps(MemoryRange range) {
        List<MemoryRange> gaps = new ArrayList<>();
        Map.Entry<Long, HeldMemory> first = pieces.floorEntry(range.start());
        long at = range.start();
        if (first != null) {
            at = Math.max(at, first.getValue().range().end());
        }
        for (HeldMemory piece :
                pieces.subMap(range.start(), false, range.end(), false).values()) {
            if (at < piece.range().start()) {
                gaps.add(new MemoryRange(at, piece.range().start()));
            }
            at = piece.range().end();
        }
        if (at < range.end()) {
            gaps.add(new MemoryRange(at, range.end()));
        }
        return gaps;
    }

    synchronized List<HeldMemory> list() {
        return List.copyOf(pieces.values());
    }

    private static boolean continues(HeldMemory below, HeldMemory above) {
        return below.range().end() == above.range().start()
                && below.backing() == above.backing()
                && below.backingOffset() + below.range().length() == above.backingOffset();
    }

    private static HeldMemory joined(HeldMemory below, HeldMemory above) {
        return new HeldMemory(
                new MemoryRange(below.range().start(), above.range().end()), below.backing(), below.backingOffset());
    }
}
