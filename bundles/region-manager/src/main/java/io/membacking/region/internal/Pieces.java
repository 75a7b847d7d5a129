package io.membacking.region.internal;

import io.membacking.mapping.HeldMemory;
import io.membacking.range.MemoryRange;
import io.membacking.region.FlatPiece;
import io.membacking.region.RegionInfo.MappingInfo;
import java.util.ArrayList;
import java.util.List;

/** Cutting pieces of memory and putting them together: arithmetic on values. */
final class Pieces {
    private Pieces() {}

    /** The part of a piece that lies in a range, which it overlaps. */
    static FlatPiece clip(FlatPiece piece, MemoryRange range) {
        MemoryRange part = piece.range().intersection(range).orElseThrow();
        return part.equals(piece.range())
                ? piece
                : new FlatPiece(
                        part,
                        piece.region(),
                        piece.kind(),
                        piece.backing(),
                        piece.backingOffset() + (part.start() - piece.range().start()),
                        piece.writable(),
                        piece.executable());
    }

    static HeldMemory clip(HeldMemory memory, MemoryRange range) {
        MemoryRange part = memory.range().intersection(range).orElseThrow();
        return part.equals(memory.range())
                ? memory
                : new HeldMemory(
                        part,
                        memory.backing(),
                        memory.backingOffset() + (part.start() - memory.range().start()));
    }

    static MappingInfo clip(MappingInfo mapping, MemoryRange offsets) {
        MemoryRange part = mapping.offsets().intersection(offsets).orElseThrow();
        return part.equals(mapping.offsets())
                ? mapping
                : new MappingInfo(
                        part,
                        mapping.backing(),
                        mapping.backingOffset()
                                + (part.start() - mapping.offsets().start()),
                        mapping.writable());
    }

    static HeldMemory memory(FlatPiece piece) {
        return new HeldMemory(piece.range(), piece.backing(), piece.backingOffset());
    }

    /** Whether two pieces that cover one range are the same memory. */
    static boolean sameMemory(FlatPiece a, FlatPiece b) {
        return a.backing() == b.backing() && a.backingOffset() == b.backingOffset();
    }

    /** Whether the second begins, in address and backing, where the first ends. */
    static boolean contiguous(HeldMemory first, HeldMemory second) {
        return first.range().end() == second.range().start()
                && first.backing() == second.backing()
                && first.backingOffset() + first.range().length() == second.backingOffset();
    }

    static boolean contiguous(MappingInfo first, MappingInfo second) {
        return first.offsets().end() == second.offsets().start()
                && first.backing() == second.backing()
                && first.writable() == second.writable()
                && first.backingOffset() + first.offsets().length() == second.backingOffset();
    }

    /** The second follows the first without a gap. */
    static HeldMemory join(HeldMemory first, HeldMemory second) {
        return new HeldMemory(
                new MemoryRange(first.range().start(), second.range().end()), first.backing(), first.backingOffset());
    }

    /** Neighbours with contiguous backing as one. @param memory in order, disjoint */
    static List<HeldMemory> joined(List<HeldMemory> memory) {
        List<HeldMemory> result = new ArrayList<>();
        for (HeldMemory next : memory) {
            HeldMemory last = result.isEmpty() ? null : result.get(result.size() - 1);
            if (last != null && contiguous(last, next)) {
                result.set(result.size() - 1, join(last, next));
            } else {
                result.add(next);
            }
        }
        return result;
    }

    /** The union of ranges, disjoint and in order; what touches becomes one. */
    static List<MemoryRange> union(List<MemoryRange> ranges) {
        if (ranges.size() < 2) {
            return List.copyOf(ranges);
        }
        List<MemoryRange> result = new ArrayList<>();
        for (MemoryRange next : ranges.stream().sorted().toList()) {
            MemoryRange last = result.isEmpty() ? null : result.get(result.size() - 1);
            if (last == null || Long.compareUnsigned(last.end(), next.start()) < 0) {
                result.add(next);
            } else if (Long.compareUnsigned(last.end(), next.end()) < 0) {
                result.set(result.size() - 1, new MemoryRange(last.start(), next.end()));
            }
        }
        return result;
    }

    /** What is left of the ranges without the others. Both in order and disjoint. */
    static List<MemoryRange> subtract(List<MemoryRange> ranges, List<MemoryRange> others) {
        List<MemoryRange> result = new ArrayList<>();
        int next = 0;
        for (MemoryRange range : ranges) {
            while (next < others.size() && Long.compareUnsigned(others.get(next).end(), range.start()) <= 0) {
                next++;
            }
            long start = range.start();
            for (int i = next; i < others.size(); i++) {
                MemoryRange other = others.get(i);
                if (Long.compareUnsigned(other.start(), range.end()) >= 0) {
                    break;
                }
                if (Long.compareUnsigned(start, other.start()) < 0) {
                    result.add(new MemoryRange(start, other.start()));
                }
                start = other.end();
            }
            if (Long.compareUnsigned(start, range.end()) < 0) {
                result.add(new MemoryRange(start, range.end()));
            }
        }
        return result;
    }
}
