package io.membacking.region.internal;

import io.membacking.range.MemoryRange;
import io.membacking.region.FlatPiece;
import io.membacking.region.MapParameters;
import io.membacking.region.RegionInfo.MappingInfo;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.PriorityQueue;
import org.jspecify.annotations.Nullable;

/**
 * What the guest sees of its regions: a pure function.
 *
 * <p>A mapped region wins or loses as a whole: where it wins and has no mapping, accesses exit, and what lies beneath stays
 * hidden. So what a device unmaps from its memory never shows RAM that happens to lie under it.
 */
final class FlatView {
    private FlatView() {}

    /**
     * The pieces that show in the window, in order, clipped to it, neighbours that {@link #joins join} as one.
     *
     * @param regions all mapped regions that overlap the window, in any order; unmapped ones are ignored
     * @param window disjoint, in order
     */
    static List<FlatPiece> render(List<Region> regions, List<MemoryRange> window) {
        List<Region> mapped = regions.stream()
                .filter(r -> r.mapped() != null)
                .sorted(Comparator.comparing(Region::range))
                .toList();
        List<FlatPiece> pieces = new ArrayList<>();
        int from = 0;
        PriorityQueue<Region> present = new PriorityQueue<>((a, b) -> a.beats(b) ? -1 : b.beats(a) ? 1 : 0);
        for (MemoryRange part : window) {
            long at = part.start();
            while (Long.compareUnsigned(at, part.end()) < 0) {
                while (from < mapped.size()
                        && Long.compareUnsigned(mapped.get(from).range().start(), at) <= 0) {
                    present.add(mapped.get(from++));
                }
                Region top = present.peek();
                if (top != null && Long.compareUnsigned(top.range().end(), at) <= 0) {
                    present.remove();
                    continue;
                }
                long until =
                        top == null ? part.end() : min(part.end(), top.range().end());
                if (from < mapped.size()) {
                    until = min(until, mapped.get(from).range().start());
                }
                if (top != null) {
                    show(top, new MemoryRange(at, until), pieces);
                }
                at = until;
            }
        }
        return pieces;
    }

    private static void show(Region region, MemoryRange part, List<FlatPiece> pieces) {
        MemoryRange offsets = region.offsets(part);
        for (MappingInfo mapping : region.mappings().overlapping(offsets)) {
            add(piece(region, Pieces.clip(mapping, offsets)), pieces);
        }
    }

    private static FlatPiece piece(Region region, MappingInfo mapping) {
        MapParameters access = java.util.Objects.requireNonNull(region.mapped());
        return new FlatPiece(
                region.at(mapping.offsets()),
                region.id(),
                region.kind(),
                mapping.backing(),
                mapping.backingOffset(),
                access.writable() && mapping.writable(),
                access.executable());
    }

    private static void add(FlatPiece next, List<FlatPiece> pieces) {
        FlatPiece last = pieces.isEmpty() ? null : pieces.get(pieces.size() - 1);
        if (last != null && joins(last, next)) {
            pieces.set(
                    pieces.size() - 1,
                    new FlatPiece(
                            new MemoryRange(last.range().start(), next.range().end()),
                            last.region(),
                            last.kind(),
                            last.backing(),
                            last.backingOffset(),
                            last.writable(),
                            last.executable()));
        } else {
            pieces.add(next);
        }
    }

    /** Whether two pieces are one: the second follows the first in address, region, backing and access. */
    static boolean joins(FlatPiece first, FlatPiece second) {
        return sameRegionAndAccess(first, second) && Pieces.contiguous(Pieces.memory(first), Pieces.memory(second));
    }

    /** Whether the second follows the first in address, region and access, from whatever backing. */
    static boolean sameRegionAndAccess(@Nullable FlatPiece first, FlatPiece second) {
        return first != null
                && first.range().end() == second.range().start()
                && first.region().equals(second.region())
                && first.writable() == second.writable()
                && first.executable() == second.executable();
    }

    private static long min(long a, long b) {
        return Long.compareUnsigned(a, b) <= 0 ? a : b;
    }
}
