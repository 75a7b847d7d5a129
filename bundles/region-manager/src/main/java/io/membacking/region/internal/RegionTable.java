package io.membacking.region.internal;

import io.membacking.range.MemoryRange;
import io.membacking.region.RegionInfo.MappingInfo;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The regions of a guest, mapped or not, and where each page of private memory has its one place. Immutable: a change gives a new
 * table. Finding what overlaps a range costs what is found, not how many regions there are.
 */
final class RegionTable {
    static final RegionTable EMPTY = new RegionTable(RangeTree.empty(), RangeTree.empty(), RangeTree.empty());

    private final RangeTree<Region> byNumber;
    private final RangeTree<Region> byRange;
    private final RangeTree<RangeTree<PrivatePlace>> privatePlaces;

    private RegionTable(
            RangeTree<Region> byNumber, RangeTree<Region> byRange, RangeTree<RangeTree<PrivatePlace>> privatePlaces) {
        this.byNumber = byNumber;
        this.byRange = byRange;
        this.privatePlaces = privatePlaces;
    }

    /** Where a part of a private backing is: in one mapping of one region. */
    record PrivatePlace(int region, MappingInfo mapping) {
        MemoryRange backingRange() {
            return RegionTable.backingRange(mapping);
        }
    }

    Optional<Region> find(int number) {
        return byNumber.get(number, 0);
    }

    /** In the order of creation. */
    List<Region> all() {
        return byNumber.values();
    }

    List<Region> overlapping(MemoryRange range) {
        return byRange.overlapping(range);
    }

    List<Region> containing(long gpa) {
        return byRange.containing(gpa);
    }

    int size() {
        return byNumber.size();
    }

    /** The end of the region that reaches highest. */
    long end() {
        return byRange.maxEnd();
    }

    boolean hasPrivateMemory() {
        return !privatePlaces.isEmpty();
    }

    /** Where the parts of a private backing are that overlap this range of it. */
    List<PrivatePlace> privatePlaces(long backing, MemoryRange backingRange) {
        return privatePlaces
                .get(backing, 0)
                .map(p -> p.overlapping(backingRange))
                .orElse(List.of());
    }

    /** With one region in place of another with the same number, or with one more or one less. */
    RegionTable replace(@Nullable Region before, @Nullable Region after) {
        RangeTree<Region> numbers = byNumber;
        RangeTree<Region> ranges = byRange;
        if (before != null) {
            ranges = ranges.without(before.range().start(), before.id().number());
            if (after == null) {
                numbers = numbers.without(before.id().number(), 0);
            }
        }
        if (after != null) {
            int number = after.id().number();
            numbers = numbers.with(number, number + 1L, 0, after);
            ranges = ranges.with(after.range().start(), after.range().end(), number, after);
        }
        return new RegionTable(numbers, ranges, privatePlaces);
    }

    RegionTable withPrivatePlace(int region, MappingInfo mapping) {
        long id = mapping.backing();
        MemoryRange range = backingRange(mapping);
        RangeTree<PrivatePlace> places = privatePlaces.get(id, 0).orElse(RangeTree.empty());
        places = places.with(range, new PrivatePlace(region, mapping));
        return new RegionTable(byNumber, byRange, privatePlaces.with(id, id + 1, 0, places));
    }

    RegionTable withoutPrivatePlace(MappingInfo mapping) {
        long id = mapping.backing();
        RangeTree<PrivatePlace> places =
                privatePlaces.get(id, 0).orElse(RangeTree.empty()).without(backingRange(mapping));
        return new RegionTable(
                byNumber,
                byRange,
                places.isEmpty() ? privatePlaces.without(id, 0) : privatePlaces.with(id, id + 1, 0, places));
    }

    static MemoryRange backingRange(MappingInfo mapping) {
        return MemoryRange.ofLength(mapping.backingOffset(), mapping.offsets().length());
    }
}
