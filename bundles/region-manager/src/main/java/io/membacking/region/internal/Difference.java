package io.membacking.region.internal;

import io.membacking.mapping.AccessPiece;
import io.membacking.mapping.AccessPiece.Access;
import io.membacking.range.MemoryRange;
import io.membacking.region.FlatPiece;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * A piece of guest-physical space over which the flat view was one thing and is to be another.
 *
 * @param before what showed, clipped to the range, or null if nothing
 * @param after what is to show, clipped to the range, or null if nothing
 */
record Difference(
        MemoryRange range,
        @Nullable FlatPiece before,
        @Nullable FlatPiece after) {

    /** Where two lists of disjoint pieces in order differ in anything, in order. */
    static List<Difference> between(List<FlatPiece> before, List<FlatPiece> after) {
        TreeSet<Long> cuts = new TreeSet<>(Long::compareUnsigned);
        for (List<FlatPiece> pieces : List.of(before, after)) {
            for (FlatPiece piece : pieces) {
                cuts.add(piece.range().start());
                cuts.add(piece.range().end());
            }
        }
        List<Difference> differences = new ArrayList<>();
        int was = 0;
        int is = 0;
        Long start = null;
        for (long end : cuts) {
            if (start != null) {
                MemoryRange range = new MemoryRange(start, end);
                was = skip(before, was, range);
                is = skip(after, is, range);
                FlatPiece from = at(before, was, range);
                FlatPiece to = at(after, is, range);
                if (from == null ? to != null : !from.equals(to)) {
                    differences.add(new Difference(range, from, to));
                }
            }
            start = end;
        }
        return differences;
    }

    private static int skip(List<FlatPiece> pieces, int index, MemoryRange range) {
        int at = index;
        while (at < pieces.size() && Long.compareUnsigned(pieces.get(at).range().end(), range.start()) <= 0) {
            at++;
        }
        return at;
    }

    private static @Nullable FlatPiece at(List<FlatPiece> pieces, int index, MemoryRange range) {
        return index < pieces.size() && pieces.get(index).range().overlaps(range)
                ? Pieces.clip(pieces.get(index), range)
                : null;
    }

    boolean otherMemory() {
        return before == null || after == null || !Pieces.sameMemory(before, after);
    }

    Access accessBefore() {
        return access(before);
    }

    Access accessAfter() {
        return access(after);
    }

    static Access access(@Nullable FlatPiece piece) {
        if (piece == null) {
            return Access.NONE;
        }
        return piece.writable() ? Access.READ_WRITE : Access.READ;
    }

    /** Where readers lose access or would meet other memory: disjoint, in order. */
    static List<MemoryRange> transitions(List<Difference> differences) {
        return Pieces.union(differences.stream()
                .filter(d -> d.accessBefore() != Access.NONE)
                .filter(d -> d.accessAfter().compareTo(d.accessBefore()) < 0 || d.otherMemory())
                .map(Difference::range)
                .toList());
    }

    /**
     * The new access where it is another, neighbours with the same as one.
     *
     * @param filled where the VA space held nothing: if readers should have had access there, a failure had taken it from them
     */
    static List<AccessPiece> access(List<Difference> differences, List<MemoryRange> filled) {
        List<AccessPiece> pieces = new ArrayList<>();
        int next = 0;
        for (Difference difference : differences) {
            while (next < filled.size()
                    && Long.compareUnsigned(
                                    filled.get(next).end(), difference.range().start())
                            <= 0) {
                next++;
            }
            boolean back = next < filled.size() && filled.get(next).overlaps(difference.range());
            if (back || difference.accessBefore() != difference.accessAfter()) {
                addAccess(difference.range(), difference.accessAfter(), pieces);
            }
        }
        return pieces;
    }

    /** What readers may access of a flat view, neighbours with the same access as one. */
    static List<AccessPiece> accessOf(List<FlatPiece> flatView) {
        List<AccessPiece> pieces = new ArrayList<>();
        flatView.forEach(piece -> addAccess(piece.range(), access(piece), pieces));
        return pieces;
    }

    private static void addAccess(MemoryRange range, Access access, List<AccessPiece> pieces) {
        AccessPiece last = pieces.isEmpty() ? null : pieces.get(pieces.size() - 1);
        if (last != null && last.access() == access && last.range().end() == range.start()) {
            pieces.set(
                    pieces.size() - 1,
                    new AccessPiece(new MemoryRange(last.range().start(), range.end()), access));
        } else {
            pieces.add(new AccessPiece(range, access));
        }
    }
}
