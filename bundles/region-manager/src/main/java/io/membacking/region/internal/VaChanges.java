package io.membacking.region.internal;

import io.membacking.error.Failure;
import io.membacking.error.LayoutException;
import io.membacking.mapping.HeldMemory;
import io.membacking.range.MemoryRange;
import io.membacking.region.FlatPiece;
import io.membacking.region.RegionInfo.MappingInfo;
import io.membacking.region.Step;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What has to change in the VA space. It holds more than what shows: hidden memory stays until other memory takes its place or no
 * region has a mapping for it there any more.
 *
 * @param changes what must show and is not held, in order
 * @param releases what no region wants any more, in order
 */
record VaChanges(List<Step.ChangeVa> changes, List<Step.ReleaseVa> releases) {

    /**
     * @param held what the VA space holds
     * @param coming what is to show where something else did, in order
     * @param showing what is to show in the window, in order
     * @param window disjoint, in order
     * @param regions as they are to be
     * @throws LayoutException if private memory would be displaced
     */
    static VaChanges of(
            RangeTree<HeldMemory> held,
            List<FlatPiece> coming,
            List<FlatPiece> showing,
            List<MemoryRange> window,
            RegionTable regions,
            Backings backings)
            throws LayoutException {
        return new VaChanges(changes(held, coming, backings), releases(held, showing, window, regions));
    }

    /** What must come so that the VA space holds what shows. */
    static List<Step.ChangeVa> changes(RangeTree<HeldMemory> held, List<FlatPiece> showing, Backings backings)
            throws LayoutException {
        List<Step.ChangeVa> changes = new ArrayList<>();
        for (FlatPiece piece : showing) {
            HeldMemory wanted = Pieces.memory(piece);
            long at = wanted.range().start();
            for (HeldMemory old : held.overlapping(wanted.range())) {
                HeldMemory before = Pieces.clip(old, wanted.range());
                if (at != before.range().start()) {
                    add(new MemoryRange(at, before.range().start()), null, wanted, changes);
                }
                if (!before.equals(Pieces.clip(wanted, before.range()))) {
                    checkDisplaced(before, piece, backings);
                    add(before.range(), before, wanted, changes);
                }
                at = before.range().end();
            }
            if (at != wanted.range().end()) {
                add(new MemoryRange(at, wanted.range().end()), null, wanted, changes);
            }
        }
        return changes;
    }

    private static void checkDisplaced(HeldMemory before, FlatPiece piece, Backings backings) throws LayoutException {
        if (backings.isPrivate(before.backing())) {
            throw new LayoutException(Failure.of(
                    "show region " + piece.region(),
                    before.range(),
                    "it would displace private memory of " + backings.name(before.backing())
                            + ", whose contents would be lost",
                    "use shared memory there, or remove its mapping in a change of its own"));
        }
    }

    private static void add(
            MemoryRange range, @Nullable HeldMemory before, HeldMemory wanted, List<Step.ChangeVa> changes) {
        HeldMemory after = Pieces.clip(wanted, range);
        Step.ChangeVa last = changes.isEmpty() ? null : changes.get(changes.size() - 1);
        if (last != null
                && continues(last.before(), before)
                && continues(last.after(), after)
                && last.range().end() == range.start()) {
            MemoryRange whole = new MemoryRange(last.range().start(), range.end());
            changes.set(
                    changes.size() - 1,
                    new Step.ChangeVa(whole, resized(last.before(), whole), resized(last.after(), whole)));
        } else {
            changes.add(new Step.ChangeVa(range, before, after));
        }
    }

    private static boolean continues(@Nullable HeldMemory first, @Nullable HeldMemory second) {
        if (first == null || second == null) {
            return first == null && second == null;
        }
        return Pieces.contiguous(first, second);
    }

    private static @Nullable HeldMemory resized(@Nullable HeldMemory memory, MemoryRange range) {
        return memory == null ? null : new HeldMemory(range, memory.backing(), memory.backingOffset());
    }

    private static List<Step.ReleaseVa> releases(
            RangeTree<HeldMemory> held, List<FlatPiece> showing, List<MemoryRange> window, RegionTable regions) {
        List<MemoryRange> shown = showing.stream().map(FlatPiece::range).toList();
        List<Step.ReleaseVa> releases = new ArrayList<>();
        for (MemoryRange part : window) {
            for (HeldMemory memory : held.overlapping(part)) {
                HeldMemory clipped = Pieces.clip(memory, part);
                for (MemoryRange hidden : Pieces.subtract(List.of(clipped.range()), shown)) {
                    unwanted(Pieces.clip(clipped, hidden), regions)
                            .forEach(range -> releases.add(new Step.ReleaseVa(Pieces.clip(clipped, range))));
                }
            }
        }
        return releases;
    }

    /** Where no region, mapped or not, has a mapping of this memory at this address. */
    private static List<MemoryRange> unwanted(HeldMemory memory, RegionTable regions) {
        List<MemoryRange> wanted = new ArrayList<>();
        for (Region region : regions.overlapping(memory.range())) {
            MemoryRange common = region.range().intersection(memory.range()).orElseThrow();
            for (MappingInfo mapping : region.mappings().overlapping(region.offsets(common))) {
                MappingInfo part = Pieces.clip(mapping, region.offsets(common));
                MemoryRange range = region.at(part.offsets());
                HeldMemory there = new HeldMemory(range, part.backing(), part.backingOffset());
                if (there.equals(Pieces.clip(memory, range))) {
                    wanted.add(range);
                }
            }
        }
        return Pieces.subtract(List.of(memory.range()), Pieces.union(wanted));
    }

    /** Where the VA space held nothing and is to hold something, in order. */
    List<MemoryRange> filled() {
        return changes.stream()
                .filter(change -> change.before() == null)
                .map(Step.ChangeVa::range)
                .toList();
    }

    RangeTree<HeldMemory> applyTo(RangeTree<HeldMemory> held) {
        RangeTree<HeldMemory> result = held;
        for (Step.ChangeVa change : changes) {
            result = set(result, change.range(), change.after());
        }
        for (Step.ReleaseVa release : releases) {
            result = set(result, release.memory().range(), null);
        }
        return result;
    }

    /** With other memory, or none, in a range, joined with neighbours that continue it. */
    static RangeTree<HeldMemory> set(RangeTree<HeldMemory> held, MemoryRange range, @Nullable HeldMemory memory) {
        RangeTree<HeldMemory> result = held;
        HeldMemory joined = memory;
        for (HeldMemory old : held.touching(range)) {
            if (old.range().overlaps(range)) {
                result = result.without(old.range());
                for (MemoryRange rest : old.range().minus(range)) {
                    HeldMemory part = Pieces.clip(old, rest);
                    result = result.with(rest, part);
                }
            }
        }
        if (joined == null) {
            return result;
        }
        for (HeldMemory neighbour : result.touching(range)) {
            boolean before = neighbour.range().end() == range.start();
            if (before && Pieces.contiguous(neighbour, joined)) {
                result = result.without(neighbour.range());
                joined = Pieces.join(neighbour, joined);
            } else if (!before && Pieces.contiguous(joined, neighbour)) {
                result = result.without(neighbour.range());
                joined = Pieces.join(joined, neighbour);
            }
        }
        return result.with(joined.range(), joined);
    }
}
