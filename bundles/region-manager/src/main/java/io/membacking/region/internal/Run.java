package io.membacking.region.internal;

import io.membacking.mapping.HeldMemory;
import io.membacking.range.MemoryRange;
import io.membacking.region.FlatPiece;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What one map call gives a consumer: neighbouring pieces of one region with one access.
 *
 * @param memory the memory, for consumers that must be told when it is replaced; null for those that follow what the host
 *     address holds
 * @param executable false for DMA targets, which do not care
 */
record Run(MemoryRange range, @Nullable HeldMemory memory, boolean writable, boolean executable) {

    /** How a consumer wants the flat view cut. What every consumer of one grain holds is a function of the flat view alone. */
    enum Grain {
        /** One region, one access, any backing: for partitions that follow what the host address holds. */
        ACCESS,
        /** One region, one access, one backing without a break: for other partitions. */
        BACKING,
        /** As {@link #BACKING}, without regard to who may execute. */
        DMA;

        boolean joins(FlatPiece first, FlatPiece second) {
            return this == ACCESS ? FlatView.sameRegionAndAccess(first, second) : FlatView.joins(first, second);
        }

        Run run(FlatPiece piece) {
            return new Run(
                    piece.range(),
                    this == ACCESS ? null : Pieces.memory(piece),
                    piece.writable(),
                    this != DMA && piece.executable());
        }
    }

    /** The runs of pieces in order. */
    static List<Run> of(List<FlatPiece> pieces, Grain grain) {
        List<Run> runs = new ArrayList<>();
        FlatPiece last = null;
        for (FlatPiece piece : pieces) {
            if (last != null && grain.joins(last, piece)) {
                runs.set(
                        runs.size() - 1,
                        runs.get(runs.size() - 1).until(piece.range().end()));
            } else {
                runs.add(grain.run(piece));
            }
            last = piece;
        }
        return runs;
    }

    /** Longer or shorter, with the same start. */
    private Run until(long end) {
        MemoryRange longer = new MemoryRange(range.start(), end);
        return new Run(
                longer,
                memory == null ? null : new HeldMemory(longer, memory.backing(), memory.backingOffset()),
                writable,
                executable);
    }

    private Run part(MemoryRange part) {
        return new Run(part, memory == null ? null : Pieces.clip(memory, part), writable, executable);
    }

    /** The runs that go and those that come, each in order. */
    record Change(List<Run> gone, List<Run> come) {
        boolean isEmpty() {
            return gone.isEmpty() && come.isEmpty();
        }

        /** With what stays of some ranges going and coming, too: the host address under it is nothing's for a moment. */
        Change renewing(List<MemoryRange> disturbed, RangeTree<Run> runs) {
            Set<Run> renewed = new LinkedHashSet<>();
            disturbed.forEach(range -> renewed.addAll(runs.overlapping(range)));
            gone.forEach(renewed::remove);
            return renewed.isEmpty() ? this : new Change(joined(gone, renewed), joined(come, renewed));
        }

        private static List<Run> joined(List<Run> some, Set<Run> others) {
            List<Run> all = new ArrayList<>(some);
            all.addAll(others);
            all.sort((a, b) -> a.range().compareTo(b.range()));
            return all;
        }

        RangeTree<Run> applyTo(RangeTree<Run> runs) {
            RangeTree<Run> result = runs;
            for (Run run : gone) {
                result = result.without(run.range());
            }
            for (Run run : come) {
                result = result.with(run.range(), run);
            }
            return result;
        }
    }

    /**
     * The change of runs that new pieces in a window make. Cost follows the window, however long the runs that it cuts.
     *
     * @param runs what there is
     * @param window disjoint, in order, not touching each other; at each of its bounds the pieces on either side, if there are
     *     any, are as before
     * @param pieces what is to show in the window
     */
    static Change change(RangeTree<Run> runs, List<MemoryRange> window, List<FlatPiece> pieces, Grain grain) {
        List<Run> old = new ArrayList<>();
        for (MemoryRange part : window) {
            for (Run run : runs.touching(part)) {
                if (old.isEmpty() || !old.get(old.size() - 1).equals(run)) {
                    old.add(run);
                }
            }
        }
        List<Run> parts = new ArrayList<>(of(pieces, grain));
        for (Run run : old) {
            for (MemoryRange outside : Pieces.subtract(List.of(run.range()), window)) {
                parts.add(run.part(outside));
            }
        }
        parts.sort((a, b) -> a.range().compareTo(b.range()));
        List<Run> now = new ArrayList<>();
        int cut = 0;
        for (Run part : parts) {
            Run last = now.isEmpty() ? null : now.get(now.size() - 1);
            long border = part.range().start();
            while (cut < old.size() && Long.compareUnsigned(old.get(cut).range().end(), border) <= 0) {
                cut++;
            }
            // Pieces at a bound of the window are as before, so they are one run now if they were; inside, runs are
            // whole.
            if (last != null
                    && last.range().end() == border
                    && isBound(window, border)
                    && cut < old.size()
                    && Long.compareUnsigned(old.get(cut).range().start(), border) < 0) {
                now.set(now.size() - 1, last.until(part.range().end()));
            } else {
                now.add(part);
            }
        }
        if (old.isEmpty() || now.isEmpty()) {
            return new Change(old, now);
        }
        Set<Run> unchanged = new HashSet<>(old);
        unchanged.retainAll(new HashSet<>(now));
        return new Change(
                old.stream().filter(run -> !unchanged.contains(run)).toList(),
                now.stream().filter(run -> !unchanged.contains(run)).toList());
    }

    private static boolean isBound(List<MemoryRange> window, long address) {
        // Only bounds of the window separate what lies outside from what lies inside.
        int low = 0;
        int high = window.size() - 1;
        while (low <= high) {
            int middle = (low + high) >>> 1;
            MemoryRange part = window.get(middle);
            if (part.start() == address || part.end() == address) {
                return true;
            }
            if (Long.compareUnsigned(part.end(), address) < 0) {
                low = middle + 1;
            } else {
                high = middle - 1;
            }
        }
        return false;
    }
}
