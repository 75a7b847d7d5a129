package io.membacking.region.internal;

import static io.membacking.region.internal.World.PAGE;

import io.membacking.mapping.AccessPiece;
import io.membacking.range.MemoryRange;
import io.membacking.region.MapParameters;
import io.membacking.region.RegionId;
import io.membacking.region.RegionOperation;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;

/** What the rules say, page by page, as simply as can be. */
final class Oracle {
    /** A page of a backing. */
    record Memory(long backing, long offset) {}

    /** What a region holds in one of its pages. */
    record Mapped(Memory memory, boolean writable) {}

    /** What shows in a page. */
    record Shown(RegionId region, Memory memory, boolean writable, boolean executable) {}

    static final class NaiveRegion {
        final RegionId id;
        final int priority;
        final Mapped[] pages;
        int start;
        MapParameters access;

        NaiveRegion(RegionId id, int priority, int start, int pages) {
            this.id = id;
            this.priority = priority;
            this.start = start;
            this.pages = new Mapped[pages];
        }

        NaiveRegion(NaiveRegion other) {
            this.id = other.id;
            this.priority = other.priority;
            this.start = other.start;
            this.pages = other.pages.clone();
            this.access = other.access;
        }

        boolean covers(int page) {
            return page >= start && page < start + pages.length;
        }

        Mapped at(int page) {
            return pages[page - start];
        }
    }

    final int pages;
    final TreeMap<Integer, NaiveRegion> regions = new TreeMap<>();
    final Memory[] held;

    Oracle(int pages) {
        this.pages = pages;
        this.held = new Memory[pages];
    }

    /** As after these operations; this one stays as it is. */
    Oracle after(List<RegionOperation> operations) {
        Oracle next = new Oracle(pages);
        regions.forEach((number, region) -> next.regions.put(number, new NaiveRegion(region)));
        operations.forEach(next::apply);
        for (int page = 0; page < pages; page++) {
            Shown shown = next.shown(page);
            if (shown != null) {
                next.held[page] = shown.memory();
            } else {
                next.held[page] = next.wants(page, held[page]) ? held[page] : null;
            }
        }
        return next;
    }

    private boolean wants(int page, Memory memory) {
        return memory != null
                && regions.values().stream()
                        .anyMatch(r -> r.covers(page)
                                && r.at(page) != null
                                && r.at(page).memory().equals(memory));
    }

    private void apply(RegionOperation operation) {
        if (operation instanceof RegionOperation.Add add) {
            regions.put(
                    add.region().number(),
                    new NaiveRegion(
                            add.region(), add.priority(), page(add.range().start()), (int)
                                    add.range().pages()));
            return;
        }
        NaiveRegion region = regions.get(operation.region().number());
        if (operation instanceof RegionOperation.Remove) {
            regions.remove(region.id.number());
        } else if (operation instanceof RegionOperation.Map map) {
            region.access = map.parameters();
        } else if (operation instanceof RegionOperation.Unmap) {
            region.access = null;
        } else if (operation instanceof RegionOperation.Move move) {
            region.start = page(move.start());
        } else if (operation instanceof RegionOperation.AddMapping add) {
            for (int i = 0; i < add.offsets().pages(); i++) {
                region.pages[page(add.offsets().start()) + i] =
                        new Mapped(new Memory(add.backing(), add.backingOffset() + i * PAGE), add.writable());
            }
        } else if (operation instanceof RegionOperation.RemoveMappings remove) {
            MemoryRange offsets = remove.offsets();
            Arrays.fill(region.pages, page(offsets.start()), page(offsets.end()), null);
        }
    }

    Shown shown(int page) {
        NaiveRegion winner = null;
        for (NaiveRegion region : regions.values()) {
            if (region.access != null && region.covers(page) && (winner == null || region.priority > winner.priority)) {
                winner = region;
            }
        }
        if (winner == null || winner.at(page) == null) {
            return null;
        }
        Mapped mapped = winner.at(page);
        return new Shown(
                winner.id, mapped.memory(), mapped.writable() && winner.access.writable(), winner.access.executable());
    }

    /** What a partition's guest is to see, page by page; twice with an alias. */
    Map<Long, RecordingPartition.Seen> view(long... offsets) {
        Map<Long, RecordingPartition.Seen> view = new TreeMap<>();
        for (int page = 0; page < pages; page++) {
            Shown shown = shown(page);
            if (shown != null) {
                for (long offset : offsets) {
                    view.put(
                            offset + page * PAGE,
                            new RecordingPartition.Seen(
                                    shown.memory().backing(),
                                    shown.memory().offset(),
                                    shown.writable(),
                                    shown.executable()));
                }
            }
        }
        return view;
    }

    /** Where the flat view, the VA space and the snapshot are other than they should be. */
    List<String> differences(GuestRegionManager manager, TestSpace space) {
        List<String> differences = new ArrayList<>();
        RangeTree<String> readers = RangeTree.empty();
        for (AccessPiece piece : space.snapshot()) {
            readers = readers.with(piece.range(), piece.access().toString());
        }
        for (int page = 0; page < pages; page++) {
            MemoryRange range = MemoryRange.ofLength(page * PAGE, PAGE);
            Shown expected = shown(page);
            Shown found = manager.flatView(range).stream()
                    .map(p -> Pieces.clip(p, range))
                    .map(p -> new Shown(
                            p.region(), new Memory(p.backing(), p.backingOffset()), p.writable(), p.executable()))
                    .findFirst()
                    .orElse(null);
            if (!Objects.equals(expected, found)) {
                differences.add("flat view at page " + page + ": " + found + " and not " + expected);
            }
            var holds = space.page(page * PAGE);
            Memory memory = holds == null ? null : new Memory(holds.backing(), holds.backingOffset());
            if (!Objects.equals(held[page], memory)) {
                differences.add("VA space at page " + page + ": " + memory + " and not " + held[page]);
            }
            String access = expected == null ? "NONE" : expected.writable() ? "READ_WRITE" : "READ";
            List<String> granted = readers.overlapping(range);
            String may = granted.isEmpty() ? "NONE" : granted.get(0);
            if (!access.equals(may)) {
                differences.add("snapshot at page " + page + ": " + may + " and not " + access);
            }
        }
        return differences;
    }

    private static int page(long address) {
        return (int) (address / PAGE);
    }
}
