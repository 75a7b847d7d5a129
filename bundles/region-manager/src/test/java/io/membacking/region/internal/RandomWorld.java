package io.membacking.region.internal;

import static io.membacking.region.internal.World.PAGE;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.range.MemoryRange;
import io.membacking.region.Change;
import io.membacking.region.MapParameters;
import io.membacking.region.RegionId;
import io.membacking.region.RegionKind;
import io.membacking.region.RegionOperation;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Random;

/** A guest with random regions, seen by partitions that follow the host and that do not, one at an alias, and a DMA target. */
final class RandomWorld {
    static final int PAGES = 32;
    static final long ALIAS = PAGES * PAGE;

    final Random random;
    final World world;
    Oracle oracle = new Oracle(PAGES);
    private final double privateShare;
    private final boolean prefetches;

    RandomWorld(long seed, double privateShare, boolean prefetches) throws Exception {
        this(seed, privateShare, prefetches, new World(PAGES));
    }

    RandomWorld(long seed, double privateShare, boolean prefetches, World world) throws Exception {
        this.random = new Random(seed);
        this.world = world;
        this.privateShare = privateShare;
        this.prefetches = prefetches;
        attach();
    }

    void attach() throws Exception {
        world.attach("p0", World.following(), 0, OptionalLong.empty(), random.nextBoolean());
        world.attach("p1", World.notFollowing(), 0, OptionalLong.empty(), random.nextBoolean());
        world.attach(
                "p2",
                RecordingPartition.capabilities(random.nextBoolean(), true, true, true, 40),
                2,
                OptionalLong.of(ALIAS),
                random.nextBoolean());
        world.register("dma", privateShare == 0);
    }

    /** A change of one to four operations that may be. */
    Change randomChange() {
        Change change = world.manager.change("random");
        Map<RegionId, Integer> lengths = new HashMap<>();
        oracle.regions.values().forEach(region -> lengths.put(region.id, region.pages.length));
        int operations = 1 + random.nextInt(4);
        for (int i = 0; i < operations; i++) {
            if (lengths.isEmpty() || (lengths.size() < 7 && random.nextInt(4) == 0)) {
                int start = random.nextInt(PAGES - 1);
                int length = 1 + random.nextInt(Math.min(12, PAGES - start));
                RegionId id = change.add(
                        "r",
                        MemoryRange.ofLength(start * PAGE, length * PAGE),
                        random.nextInt(3),
                        random.nextBoolean() ? RegionKind.RAM : RegionKind.DEVICE);
                lengths.put(id, length);
                if (random.nextInt(4) > 0) {
                    addMapping(change, id, 0, length);
                }
                if (random.nextInt(4) > 0) {
                    change.map(id, access());
                }
                continue;
            }
            List<RegionId> ids = new ArrayList<>(lengths.keySet());
            ids.sort((a, b) -> a.number() - b.number());
            RegionId id = ids.get(random.nextInt(ids.size()));
            int length = lengths.get(id);
            int from = random.nextInt(length);
            int to = from + 1 + random.nextInt(length - from);
            switch (random.nextInt(8)) {
                case 0, 1 -> change.map(id, access());
                case 2 -> change.unmap(id);
                case 3 -> change.move(id, random.nextInt(PAGES - length + 1) * PAGE);
                case 4, 5 -> addMapping(change, id, from, to);
                case 6 -> change.removeMappings(id, World.pages(from, to));
                default -> {
                    if (random.nextInt(3) == 0) {
                        change.remove(id);
                        lengths.remove(id);
                    } else {
                        change.map(id, access());
                    }
                }
            }
        }
        return change;
    }

    private void addMapping(Change change, RegionId id, int from, int to) {
        int which = random.nextDouble() < privateShare ? 2 : random.nextInt(2);
        long backing = world.backings.get(which).id();
        // Few offsets, so that neighbours are contiguous and different regions show the same memory now and then.
        long offset = random.nextInt(3) > 0 ? from : random.nextInt(8);
        change.addMapping(id, World.pages(from, to), backing, offset * PAGE, random.nextInt(5) > 0);
    }

    private MapParameters access() {
        return new MapParameters(random.nextInt(3) > 0, random.nextInt(4) > 0, prefetches && random.nextInt(4) == 0);
    }

    /** What the guest of each partition is to see. */
    static Map<Long, RecordingPartition.Seen> view(Oracle oracle, RecordingPartition partition) {
        return partition.name().equals("p2") ? oracle.view(0, ALIAS) : oracle.view(0);
    }

    /** Every view is what the rules say. */
    void check(String message) {
        assertEquals(List.of(), oracle.differences(world.manager, world.anySpace), message);
        GuestState state = world.manager.state();
        for (Run.Grain grain : Run.Grain.values()) {
            assertEquals(Run.of(state.flat().values(), grain), state.runs(grain).values(), message + ", " + grain);
        }
        for (RecordingPartition partition : world.partitions) {
            assertEquals(view(oracle, partition), partition.view(), message + ", " + partition.name());
        }
        for (RecordingTarget target : world.targets) {
            Map<Long, RecordingPartition.Seen> seen = new HashMap<>();
            target.mappings().forEach(mapping -> {
                for (long at = 0; at < mapping.range().length(); at += PAGE) {
                    seen.put(
                            mapping.range().start() + at,
                            new RecordingPartition.Seen(
                                    mapping.backing(), mapping.backingOffset() + at, mapping.writable(), false));
                }
            });
            Map<Long, RecordingPartition.Seen> expected = new HashMap<>();
            oracle.view(0)
                    .forEach((gpa, s) -> expected.put(
                            gpa, new RecordingPartition.Seen(s.backing(), s.backingOffset(), s.writable(), false)));
            assertEquals(expected, seen, message + ", DMA");
        }
        for (RecordingPartition partition : world.partitions) {
            var attachment = (GuestAttachment) world.manager.attachments().stream()
                    .filter(a -> a.info().name().equals(partition.name()))
                    .findFirst()
                    .orElseThrow();
            for (long address : partition.view().keySet()) {
                switch (attachment.view().pinning()) {
                    case PARTITION -> assertTrue(partition.isPinned(address), message + ": not pinned");
                    case HOST_MEMORY -> assertTrue(world.anySpace.isLocked(address % ALIAS), message + ": not locked");
                    case NONE -> {}
                }
            }
        }
        try {
            world.checkClean();
        } catch (AssertionError e) {
            throw new AssertionError(message + ": " + e.getMessage(), e);
        }
    }

    Oracle next(List<RegionOperation> operations) {
        return oracle.after(operations);
    }
}
