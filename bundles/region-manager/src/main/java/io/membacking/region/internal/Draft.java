package io.membacking.region.internal;

import io.membacking.error.Failure;
import io.membacking.error.LayoutException;
import io.membacking.range.MemoryRange;
import io.membacking.region.MapParameters;
import io.membacking.region.RegionId;
import io.membacking.region.RegionInfo.MappingInfo;
import io.membacking.region.RegionOperation;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The table of regions as a change would leave it, and where that can make a difference. Operations that cannot be are refused by
 * name; the table it began with is never touched.
 */
final class Draft {
    private final RegionTable before;
    private final Backings backings;
    private final List<AddressLimit> limits;
    private final Map<Integer, Touch> touched = new LinkedHashMap<>();
    private final Set<Integer> prefetched = new LinkedHashSet<>();
    private RegionTable table;

    Draft(RegionTable before, Backings backings, List<AddressLimit> limits) {
        this.before = before;
        this.table = before;
        this.backings = backings;
        this.limits = List.copyOf(limits);
    }

    /** A region that an operation named: as it was, and which of its offsets got other mappings. */
    private record Touch(@Nullable Region before, List<MemoryRange> edits) {}

    /** Private memory that the change may have given another place. */
    record PrivateMove(PrivateSpot from, PrivateSpot to) {}

    /** @param memory guest-physical range and backing range of private memory, equally long */
    record PrivateSpot(Region region, MemoryRange memory) {}

    void apply(RegionOperation operation) throws LayoutException {
        if (operation instanceof RegionOperation.Add add) {
            add(add);
        } else if (operation instanceof RegionOperation.Remove remove) {
            remove(remove);
        } else if (operation instanceof RegionOperation.Map map) {
            map(map);
        } else if (operation instanceof RegionOperation.Unmap unmap) {
            Region region = region("unmap region", unmap.region());
            replace(region, region.withMapped(null));
        } else if (operation instanceof RegionOperation.Move move) {
            move(move);
        } else if (operation instanceof RegionOperation.AddMapping add) {
            addMapping(add);
        } else if (operation instanceof RegionOperation.RemoveMappings remove) {
            String verb = "unmap memory of region " + remove.region();
            Region region = region("unmap memory of region", remove.region());
            checkOffsets(verb, region, remove.offsets());
            replace(region, edit(verb, region, remove.offsets(), null));
        }
    }

    /** The table as the operations so far leave it. */
    RegionTable table() {
        return table;
    }

    /** Whether the regions are as before. */
    boolean changesNothing() {
        return touched.entrySet().stream()
                .allMatch(t -> same(t.getValue(), table.find(t.getKey()).orElse(null)));
    }

    /** Where the flat view, or what the VA space has reason to hold, may be other than before: disjoint, in order. */
    List<MemoryRange> window() {
        List<MemoryRange> window = new ArrayList<>();
        touched.forEach((number, touch) -> {
            Region was = touch.before;
            Region is = table.find(number).orElse(null);
            if (was != null && is != null && sameOutside(was, is)) {
                touch.edits.forEach(edit -> window.add(is.at(edit)));
            } else {
                addRange(was, window);
                addRange(is, window);
            }
        });
        return Pieces.union(window);
    }

    /** Where mapped regions lie whose mapping asked for prefetch: disjoint, in order. */
    List<Region> prefetched() {
        return prefetched.stream()
                .flatMap(number -> table.find(number).stream())
                .filter(region -> region.mapped() != null)
                .toList();
    }

    /** Whether a mapping of private memory was added, or a region with such mappings. */
    boolean addsPrivateMemory() {
        return table.hasPrivateMemory()
                && touched.keySet().stream().anyMatch(n -> !privateMappings(n).isEmpty());
    }

    /** The private memory whose guest-physical address is another than before. */
    List<PrivateMove> privateMoves() {
        List<PrivateMove> moves = new ArrayList<>();
        if (!before.hasPrivateMemory() || !table.hasPrivateMemory()) {
            return moves;
        }
        for (int number : touched.keySet()) {
            for (MappingInfo mapping : privateMappings(number)) {
                Region to = table.find(number).orElseThrow();
                MemoryRange now = RegionTable.backingRange(mapping);
                for (RegionTable.PrivatePlace place : before.privatePlaces(mapping.backing(), now)) {
                    Region from = before.find(place.region()).orElseThrow();
                    MemoryRange common = place.backingRange().intersection(now).orElseThrow();
                    MemoryRange fromGpa = gpa(from, place.mapping(), common);
                    MemoryRange toGpa = gpa(to, mapping, common);
                    if (!fromGpa.equals(toGpa)) {
                        moves.add(new PrivateMove(new PrivateSpot(from, fromGpa), new PrivateSpot(to, toGpa)));
                    }
                }
            }
        }
        return moves;
    }

    private static MemoryRange gpa(Region region, MappingInfo mapping, MemoryRange backingRange) {
        return region.at(backingRange.shift(mapping.offsets().start() - mapping.backingOffset()));
    }

    /** The mappings of private memory of a touched region that are new or may have moved. */
    private List<MappingInfo> privateMappings(int number) {
        Touch touch = Objects.requireNonNull(touched.get(number));
        Region is = table.find(number).orElse(null);
        if (is == null) {
            return List.of();
        }
        List<MappingInfo> candidates = new ArrayList<>();
        if (touch.before != null && touch.before.range().equals(is.range())) {
            Pieces.union(touch.edits).forEach(edit -> is.mappings()
                    .overlapping(edit)
                    .forEach(mapping -> candidates.add(Pieces.clip(mapping, edit))));
        } else {
            candidates.addAll(is.mappings().values());
        }
        candidates.removeIf(mapping -> !backings.isPrivate(mapping.backing()));
        return candidates;
    }

    private void add(RegionOperation.Add add) throws LayoutException {
        String verb = "add region " + add.region();
        int number = add.region().number();
        if (table.find(number).isPresent()) {
            throw refused(verb, add.range(), "a region has this number already", "let Change.add give the number");
        }
        checkLimits(verb, add.range());
        Region region = new Region(add.region(), add.range(), add.priority(), add.kind(), null, RangeTree.empty());
        touched.computeIfAbsent(number, n -> new Touch(null, new ArrayList<>()));
        table = table.replace(null, region);
    }

    private void remove(RegionOperation.Remove remove) throws LayoutException {
        Region region = region("remove region", remove.region());
        MemoryRange whole = MemoryRange.ofLength(0, region.range().length());
        touch(region).edits.add(whole);
        for (MappingInfo mapping : region.mappings().values()) {
            if (backings.isPrivate(mapping.backing())) {
                table = table.withoutPrivatePlace(mapping);
            }
        }
        table = table.replace(region, null);
    }

    private void map(RegionOperation.Map map) throws LayoutException {
        Region region = region("map region", map.region());
        MapParameters asked = map.parameters();
        if (asked.prefetch()) {
            touch(region);
            prefetched.add(region.id().number());
        }
        replace(region, region.withMapped(new MapParameters(asked.writable(), asked.executable(), false)));
    }

    private void move(RegionOperation.Move move) throws LayoutException {
        String verb = "move region " + move.region() + " to 0x" + Long.toHexString(move.start());
        Region region = region("move region", move.region());
        MemoryRange range;
        try {
            range = MemoryRange.ofLength(move.start(), region.range().length());
        } catch (IllegalArgumentException e) {
            throw refused(verb, region.range(), "it would wrap around the address space", "choose a lower address");
        }
        checkLimits(verb, range);
        for (MappingInfo mapping : region.mappings().values()) {
            checkHugePages(verb, mapping.offsets().shift(range.start()), mapping.backing(), range.start());
        }
        replace(region, region.withRange(range));
    }

    private void addMapping(RegionOperation.AddMapping add) throws LayoutException {
        String verb = "map memory into region " + add.region();
        Region region = region("map memory into region", add.region());
        checkOffsets(verb, region, add.offsets());
        KnownBacking backing = backings.require(verb, add.offsets(), add.backing());
        long length = add.offsets().length();
        if (add.backingOffset() < 0 || length > backing.size() - add.backingOffset()) {
            throw refused(
                    verb,
                    add.offsets(),
                    backing + " has 0x" + Long.toHexString(backing.size()) + " bytes and not 0x"
                            + Long.toHexString(length) + " at offset 0x" + Long.toHexString(add.backingOffset()),
                    "map less, or a larger backing");
        }
        checkHugePages(verb, add.offsets(), add.backing(), add.backingOffset());
        checkHugePages(verb, add.offsets(), add.backing(), region.range().start());
        replace(
                region,
                edit(
                        verb,
                        region,
                        add.offsets(),
                        new MappingInfo(add.offsets(), add.backing(), add.backingOffset(), add.writable())));
    }

    /** The region with exactly these offsets holding the mapping, or nothing: what reaches over their ends is cut. */
    private Region edit(String verb, Region region, MemoryRange offsets, @Nullable MappingInfo added)
            throws LayoutException {
        touch(region).edits.add(offsets);
        RangeTree<MappingInfo> mappings = region.mappings();
        MappingInfo joined = added;
        List<MappingInfo> gone = new ArrayList<>();
        List<MappingInfo> come = new ArrayList<>();
        for (MappingInfo old : mappings.touching(offsets)) {
            if (!old.offsets().overlaps(offsets)) {
                MappingInfo wider = joined == null ? null : join(old, joined);
                if (wider != null) {
                    gone.add(old);
                    joined = wider;
                }
                continue;
            }
            checkDisplaced(verb, region, old, offsets, added);
            gone.add(old);
            for (MemoryRange rest : old.offsets().minus(offsets)) {
                checkHugePages(verb, rest, old.backing(), 0);
                MappingInfo part = Pieces.clip(old, rest);
                MappingInfo wider = joined == null ? null : join(part, joined);
                if (wider != null) {
                    joined = wider;
                } else {
                    come.add(part);
                }
            }
        }
        if (joined != null) {
            come.add(joined);
        }
        for (MappingInfo mapping : gone) {
            mappings = mappings.without(mapping.offsets());
            if (backings.isPrivate(mapping.backing())) {
                table = table.withoutPrivatePlace(mapping);
            }
        }
        for (MappingInfo mapping : come) {
            mappings = mappings.with(mapping.offsets(), mapping);
            if (backings.isPrivate(mapping.backing())) {
                place(verb, region, mapping);
            }
        }
        return region.withMappings(mappings);
    }

    /** The two as one, whichever comes first, or null if they do not continue each other. */
    private static @Nullable MappingInfo join(MappingInfo a, MappingInfo b) {
        boolean inOrder = Long.compareUnsigned(a.offsets().start(), b.offsets().start()) < 0;
        MappingInfo first = inOrder ? a : b;
        MappingInfo second = inOrder ? b : a;
        return Pieces.contiguous(first, second)
                ? new MappingInfo(
                        new MemoryRange(
                                first.offsets().start(), second.offsets().end()),
                        first.backing(),
                        first.backingOffset(),
                        first.writable())
                : null;
    }

    /** Private memory has one place: in a second, its bytes would be others. */
    private void place(String verb, Region region, MappingInfo mapping) throws LayoutException {
        MemoryRange range = RegionTable.backingRange(mapping);
        List<RegionTable.PrivatePlace> others = table.privatePlaces(mapping.backing(), range);
        if (!others.isEmpty()) {
            RegionTable.PrivatePlace other = others.get(0);
            throw refused(
                    verb,
                    mapping.offsets(),
                    backings.name(mapping.backing()) + " is private memory and " + range + " of it is in region "
                            + table.find(other.region()).orElseThrow().id() + " already",
                    "use shared memory, or remove that mapping first and lose the contents");
        }
        table = table.withPrivatePlace(region.id().number(), mapping);
    }

    private void checkDisplaced(
            String verb, Region region, MappingInfo old, MemoryRange offsets, @Nullable MappingInfo added)
            throws LayoutException {
        if (added == null || !backings.isPrivate(old.backing())) {
            return;
        }
        boolean same = added.backing() == old.backing()
                && added.backingOffset() - added.offsets().start()
                        == old.backingOffset() - old.offsets().start();
        if (!same) {
            throw refused(
                    verb,
                    offsets,
                    "it would displace private memory of " + backings.name(old.backing()) + " at "
                            + region.at(old.offsets()) + ", whose contents would be lost",
                    "remove that mapping first if they may be");
        }
    }

    private void checkOffsets(String verb, Region region, MemoryRange offsets) throws LayoutException {
        if (Long.compareUnsigned(offsets.end(), region.range().length()) > 0) {
            throw refused(
                    verb,
                    offsets,
                    "the region is 0x" + Long.toHexString(region.range().length()) + " bytes long",
                    "choose offsets within it");
        }
    }

    private void checkLimits(String verb, MemoryRange range) throws LayoutException {
        for (AddressLimit limit : limits) {
            if (Long.compareUnsigned(range.end(), limit.end()) > 0) {
                throw refused(
                        verb,
                        range,
                        "it reaches beyond " + limit.what() + ", which ends at 0x" + Long.toHexString(limit.end()),
                        "choose a lower address");
            }
        }
    }

    /** Huge pages are mapped and cut as a whole only. */
    private void checkHugePages(String verb, MemoryRange range, long id, long alsoAligned) throws LayoutException {
        KnownBacking backing = backings.require(verb, range, id);
        long mask = backing.pageSize() - 1;
        if (((range.start() | range.end() | alsoAligned) & mask) != 0) {
            throw refused(
                    verb,
                    range,
                    backing + " has pages of 0x" + Long.toHexString(backing.pageSize())
                            + " bytes, and a bound or an address is not aligned to them",
                    "align to its pages");
        }
    }

    private Region region(String verb, RegionId id) throws LayoutException {
        Region region = table.find(id.number()).orElse(null);
        if (region == null || !region.id().equals(id)) {
            throw new LayoutException(Failure.of(
                    verb + " " + id, null, "there is no such region", "it was removed, or belongs to another guest"));
        }
        return region;
    }

    private Touch touch(Region region) {
        return touched.computeIfAbsent(region.id().number(), n -> new Touch(region, new ArrayList<>()));
    }

    private void replace(Region was, Region is) {
        touch(was);
        table = table.replace(was, is);
    }

    private static void addRange(@Nullable Region region, List<MemoryRange> window) {
        // A mapped region without mappings shows nothing, but hides what is beneath.
        if (region != null && (region.mapped() != null || !region.mappings().isEmpty())) {
            window.add(region.range());
        }
    }

    private static boolean sameOutside(Region was, Region is) {
        return was.id().equals(is.id())
                && was.range().equals(is.range())
                && was.priority() == is.priority()
                && was.kind() == is.kind()
                && Objects.equals(was.mapped(), is.mapped());
    }

    private static boolean same(Touch touch, @Nullable Region is) {
        Region was = touch.before;
        if (was == null || is == null) {
            return was == null && is == null;
        }
        return sameOutside(was, is)
                && touch.edits.stream().allMatch(edit -> clipped(was, edit).equals(clipped(is, edit)));
    }

    private static List<MappingInfo> clipped(Region region, MemoryRange edit) {
        return region.mappings().overlapping(edit).stream()
                .map(mapping -> Pieces.clip(mapping, edit))
                .toList();
    }

    private static LayoutException refused(String operation, MemoryRange range, String problem, String remedy) {
        return new LayoutException(Failure.of(operation, range, problem, remedy));
    }
}
