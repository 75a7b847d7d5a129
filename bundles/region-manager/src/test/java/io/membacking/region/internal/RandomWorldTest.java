package io.membacking.region.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import io.membacking.error.LayoutException;
import io.membacking.error.MembackingException;
import io.membacking.region.Change;
import io.membacking.region.JournalEntry;
import io.membacking.region.RegionId;
import io.membacking.region.RegionKind;
import io.membacking.region.RegionOperation;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** Properties of changes over random worlds, against the page-by-page oracle. A failure names the seed. */
class RandomWorldTest {
    private static final List<Faults.Kind> KINDS = List.of(Faults.Kind.values());
    private static final long SEED = Long.getLong("seed", System.nanoTime());

    @Test
    void everyViewIsWhatTheOracleSaysAndNoGuestSeesAMixture() throws Exception {
        for (int round = 0; round < 20; round++) {
            long seed = SEED + round;
            RandomWorld random = new RandomWorld(seed, 0, true);
            for (int i = 0; i < 40; i++) {
                String message = "seed " + seed + ", change " + i;
                Change change = random.randomChange();
                Oracle next = random.next(change.operations());
                Watch watch = new Watch(random, next);
                random.world.faults.observe(watch::look);
                JournalEntry entry;
                try {
                    entry = change.commit();
                } catch (MembackingException e) {
                    throw new AssertionError(message + ": " + change.operations(), e);
                }
                random.world.faults.observe(() -> {});
                assertEquals(List.of(), watch.mixtures, message + ": " + entry.plan());
                watch.checkHeldOnlyWhenNeeded(message + ": " + entry.plan());
                random.oracle = next;
                random.check(message + ": " + entry.plan());
            }
        }
    }

    @Test
    void whatIsInaccessibleBesideAChangeIsNobodysMeanwhile() throws Exception {
        int disturbed = 0;
        for (int round = 0; round < 60; round++) {
            long seed = SEED + round;
            RandomWorld random = new RandomWorld(seed, 0, true, new World(RandomWorld.PAGES, false));
            List<Long> pages = new ArrayList<>();
            random.world.space.onDisturbed(gpa -> {
                pages.add(gpa);
                checkNobodyHas(gpa, random.world);
            });
            for (int i = 0; i < 12; i++) {
                String message = "seed " + seed + ", change " + i;
                Change change = i == 0 ? everything(random.world) : random.randomChange();
                Oracle next = random.next(change.operations());
                String before = random.world.picture();
                int failing = i == 0 ? 1000 : random.random.nextInt(40);
                random.world.faults.failAt(failing, Faults.Kind.CHECKED);
                try {
                    change.commit();
                    random.oracle = next;
                } catch (MembackingException e) {
                    assertEquals(before, random.world.picture(), message + ", call " + failing + " fails");
                }
                random.world.faults.none();
                random.check(message);
            }
            disturbed += pages.size();
        }
        assertTrue(disturbed > 500, "only " + disturbed + " pages were disturbed: the test has lost its point");
    }

    /** One piece of memory for others to be cut into. */
    private static Change everything(World world) {
        Change change = world.manager.change("everything");
        RegionId id = change.add("all", World.pages(0, RandomWorld.PAGES), 0, RegionKind.RAM);
        return change.addMapping(id, World.pages(0, RandomWorld.PAGES), World.SHARED, 0, true)
                .map(id, World.WRITABLE);
    }

    private static void checkNobodyHas(long gpa, World world) {
        for (int i = 0; i < world.partitions.size(); i++) {
            RecordingPartition partition = world.partitions.get(i);
            boolean mapped = partition.mappings().stream().anyMatch(mapping -> io.membacking.range.MemoryRange.ofLength(
                            mapping.memoryGpa(), mapping.range().length())
                    .contains(gpa));
            boolean safe = partition.capabilities().followsHostRemapping()
                    ? world.gates.get(i).isHeld()
                    : !mapped;
            if (mapped && !safe) {
                throw world.faults.violated(partition.name() + " has 0x" + Long.toHexString(gpa) + " meanwhile");
            }
        }
        for (RecordingTarget target : world.targets) {
            if (target.mappings().stream().anyMatch(mapping -> mapping.range().contains(gpa))) {
                throw world.faults.violated(target.name() + " has 0x" + Long.toHexString(gpa) + " meanwhile");
            }
        }
    }

    @Test
    void privateMemoryIsNeverLostButByRemovingItsMapping() throws Exception {
        int refused = 0;
        for (int round = 0; round < 20; round++) {
            long seed = SEED + round;
            RandomWorld random = new RandomWorld(seed, 0.3, false);
            for (int i = 0; i < 40; i++) {
                String message = "seed " + seed + ", change " + i;
                Change change = random.randomChange();
                Oracle next = random.next(change.operations());
                String before = random.world.picture();
                try {
                    change.commit();
                } catch (LayoutException e) {
                    refused++;
                    assertEquals(before, random.world.picture(), message);
                    random.check(message);
                    continue;
                }
                for (int page = 0; page < RandomWorld.PAGES; page++) {
                    Oracle.Memory was = random.oracle.held[page];
                    if (was != null && was.backing() == World.PRIVATE && !was.equals(next.held[page])) {
                        assertFalse(isMapped(next, was), message + ": page " + page + " lost " + was);
                        assertEquals(null, next.held[page], message + ": displaced");
                    }
                }
                random.oracle = next;
                random.check(message);
            }
        }
        assertTrue(refused > 20, "only " + refused + " changes were refused: the test has lost its point");
    }

    private static boolean isMapped(Oracle oracle, Oracle.Memory memory) {
        return oracle.regions.values().stream()
                .flatMap(region -> java.util.Arrays.stream(region.pages))
                .anyMatch(mapped -> mapped != null && mapped.memory().equals(memory));
    }

    @Test
    void everyStepThatFailsLeavesEverythingAsItWasAndTheNextTryWorks() throws Exception {
        int injected = 0;
        for (int round = 0; round < 10; round++) {
            long seed = SEED + round;
            RandomWorld random = new RandomWorld(seed, 0, false);
            for (int i = 0; i < 12; i++) {
                Change change = random.randomChange();
                Oracle next = random.next(change.operations());
                String before = random.world.picture();
                boolean committed = false;
                for (int failing = 0; !committed; failing++) {
                    Faults.Kind kind = KINDS.get(random.random.nextInt(KINDS.size()));
                    String message = "seed " + seed + ", change " + i + ", call " + failing + " fails, " + kind;
                    random.world.faults.failAt(failing, kind);
                    try {
                        change.commit();
                        committed = true;
                    } catch (MembackingException e) {
                        injected++;
                        assertTrue(e.getMessage().contains("injected"), message + ": " + e);
                        assertEquals(before, random.world.picture(), message);
                        assertEquals(
                                JournalEntry.Outcome.UNDONE,
                                last(random.world.manager).outcome(),
                                message);
                        random.world.faults.none();
                        random.check(message);
                    }
                    random.world.faults.none();
                }
                random.oracle = next;
                random.check("seed " + seed + ", change " + i + ", committed at last");
            }
        }
        assertTrue(injected > 500, "only " + injected + " failures: the test has lost its point");
    }

    @Test
    void undoThatFailsTakesThatConsumerAloneAndAttachingAgainMendsEverything() throws Exception {
        Map<String, Integer> losses = new HashMap<>();
        Set<String> mustBeMet = Set.of("p0 loses some", "p1 loses some", "dma loses some", "va loses some");
        // Which consumer a round fails, and whether that costs it anything, is chance: go on until each has been lost.
        for (int round = 0; round < 100 || (round < 5000 && !losses.keySet().containsAll(mustBeMet)); round++) {
            long seed = SEED + round;
            RandomWorld random = new RandomWorld(seed, 0, false);
            World world = random.world;
            for (int i = 0; i < 8; i++) {
                Change change = random.randomChange();
                random.oracle = random.next(change.operations());
                change.commit();
            }
            Change change = random.randomChange();
            String culprit = List.of("va", "p0", "p1", "p2", "dma").get(random.random.nextInt(5));
            String message = "seed " + seed + ", " + culprit + " fails";
            world.faults.failFrom(random.random.nextInt(8), call -> call.startsWith(culprit + " "));
            Oracle next = random.next(change.operations());
            boolean failed = false;
            try {
                change.commit();
                random.oracle = next;
            } catch (MembackingException e) {
                failed = true;
            }
            world.faults.none();
            Set<String> lost = lost(world);
            if (failed) {
                message += ", lost " + lost + ", " + last(world.manager);
                losses.merge(culprit + " loses " + (lost.isEmpty() ? "nobody" : "some"), 1, Integer::sum);
            }
            if (culprit.equals("va")) {
                forgetHidden(random);
            } else {
                assertTrue(Set.of(culprit).containsAll(lost), message);
            }
            checkRemaining(random, lost, message);

            // A partition that was lost is held, its run has a reason, and nothing is mapped in it any more if it let
            // go.
            for (int p = 0; p < world.partitions.size(); p++) {
                RecordingGate gate = world.gates.get(p);
                assertEquals(
                        lost.contains(world.partitions.get(p).name()),
                        !gate.detached().isEmpty(),
                        message);
                assertEquals(lost.contains(world.partitions.get(p).name()), gate.isHeld(), message);
            }
            List.copyOf(world.manager.attachments()).forEach(io.membacking.region.Attachment::close);
            List.copyOf(world.manager.targets()).forEach(GuestTarget::close);
            world.partitions.clear();
            world.gates.clear();
            world.targets.clear();
            random.attach();
            random.check(message + ", attached again");
        }
        assertTrue(losses.keySet().containsAll(mustBeMet), losses.toString());
    }

    /** What the host could not put back, but nobody saw, is missing without harm: it is mapped when it shows. */
    private static void forgetHidden(RandomWorld random) {
        for (int page = 0; page < RandomWorld.PAGES; page++) {
            if (random.oracle.shown(page) == null && random.world.anySpace.page(page * World.PAGE) == null) {
                random.oracle.held[page] = null;
            }
        }
    }

    private static Set<String> lost(World world) {
        Set<String> lost = new HashSet<>();
        world.manager.attachments().stream()
                .filter(a -> !a.info().attached())
                .forEach(a -> lost.add(a.info().name()));
        if (world.manager.targets().isEmpty()) {
            lost.add("dma");
        }
        return lost;
    }

    /** Who was not lost sees what was there before; readers too, or nothing where the host could not put it back. */
    private static void checkRemaining(RandomWorld random, Set<String> lost, String message) {
        World world = random.world;
        for (RecordingPartition partition : world.partitions) {
            if (!lost.contains(partition.name())) {
                assertEquals(
                        RandomWorld.view(random.oracle, partition),
                        partition.view(),
                        message + ", " + partition.name());
            }
        }
        List<String> differences = new ArrayList<>(random.oracle.differences(world.manager, world.anySpace));
        boolean emptied = !last(world.manager).warnings().stream()
                .filter(warning -> warning.contains("the VA space holds nothing"))
                .toList()
                .isEmpty();
        if (emptied) {
            differences.removeIf(difference ->
                    difference.contains(difference.startsWith("VA space") ? ": null and not" : ": NONE and not"));
        }
        assertEquals(List.of(), differences, message);
        assertEquals(List.of(), world.faults.violations(), message);
        assertFalse(world.anySpace.inTransition(), message);
        if (emptied) {
            assertFalse(world.manager.checkDrift().clean(), message + ": the loss is seen");
        }
    }

    @Test
    void journalReplayedIntoAFreshGuestGivesTheSameRegionsAndFlatView() throws Exception {
        for (int round = 0; round < 20; round++) {
            long seed = SEED + round;
            RandomWorld random = new RandomWorld(seed, 0.1, true);
            for (int i = 0; i < 50; i++) {
                try {
                    random.randomChange().commit();
                } catch (LayoutException e) {
                    // Private memory: refused, and in the journal as such.
                }
                random.oracle = oracleOf(random);
            }
            World fresh = new World(RandomWorld.PAGES);
            for (JournalEntry entry : random.world.manager.journal()) {
                if (entry.outcome() == JournalEntry.Outcome.COMMITTED) {
                    fresh.manager.change("replay").apply(entry.operations()).commit();
                }
            }
            assertEquals(random.world.manager.flatView(), fresh.manager.flatView(), "seed " + seed);
            assertEquals(random.world.manager.regions(), fresh.manager.regions(), "seed " + seed);
            int next = fresh.manager.nextRegionNumber();
            assertTrue(fresh.manager.regions().stream().allMatch(r -> r.id().number() < next));
        }
    }

    /** The regions as they are, for what the next random change may do with them. */
    private static Oracle oracleOf(RandomWorld random) {
        Oracle oracle = new Oracle(RandomWorld.PAGES);
        random.world
                .manager
                .regions()
                .forEach(region -> oracle.regions.put(
                        region.id().number(),
                        new Oracle.NaiveRegion(
                                region.id(),
                                region.priority(),
                                (int) (region.range().start() / World.PAGE),
                                (int) region.range().pages())));
        return oracle;
    }

    @Test
    void flatViewIsWhatTheOracleSaysWholeAndInAnyWindow() {
        for (int round = 0; round < 2000; round++) {
            long seed = SEED + round;
            Random random = new Random(seed);
            Oracle oracle = new Oracle(RandomWorld.PAGES);
            List<RegionOperation> operations = new ArrayList<>();
            RegionTable table = RegionTable.EMPTY;
            Backings backings = new Backings();
            for (long id = 1; id <= 2; id++) {
                backings.add(
                        KnownBacking.of(new TestBacking(id, io.membacking.host.BackingKind.SHARED, 1024 * World.PAGE)));
            }
            int count = 1 + random.nextInt(6);
            for (int number = 1; number <= count; number++) {
                operations.addAll(randomRegion(number, random));
            }
            Draft draft = new Draft(table, backings, List.of());
            try {
                for (RegionOperation operation : operations) {
                    draft.apply(operation);
                }
            } catch (LayoutException e) {
                fail("seed " + seed, e);
            }
            oracle = oracle.after(operations);
            int from = random.nextInt(RandomWorld.PAGES - 1);
            var window = World.pages(from, from + 1 + random.nextInt(RandomWorld.PAGES - from));
            var pieces = FlatView.render(draft.table().all(), List.of(window));
            for (int i = 1; i < pieces.size(); i++) {
                assertTrue(
                        Long.compareUnsigned(
                                        pieces.get(i - 1).range().end(),
                                        pieces.get(i).range().start())
                                <= 0,
                        "seed " + seed + ": in order");
                assertFalse(FlatView.joins(pieces.get(i - 1), pieces.get(i)), "seed " + seed + ": joined");
            }
            for (int page = 0; page < RandomWorld.PAGES; page++) {
                var range = World.pages(page, page + 1);
                var found = pieces.stream()
                        .filter(p -> p.range().overlaps(range))
                        .map(p -> Pieces.clip(p, range))
                        .map(p -> new Oracle.Shown(
                                p.region(),
                                new Oracle.Memory(p.backing(), p.backingOffset()),
                                p.writable(),
                                p.executable()))
                        .findFirst()
                        .orElse(null);
                var expected = window.overlaps(range) ? oracle.shown(page) : null;
                assertTrue(Objects.equals(expected, found), "seed " + seed + ", page " + page);
            }
        }
    }

    private static List<RegionOperation> randomRegion(int number, Random random) {
        List<RegionOperation> operations = new ArrayList<>();
        int start = random.nextInt(RandomWorld.PAGES - 1);
        int length = 1 + random.nextInt(RandomWorld.PAGES - start);
        var id = new io.membacking.region.RegionId(number, "r");
        operations.add(new RegionOperation.Add(
                id, World.pages(start, start + length), random.nextInt(3), io.membacking.region.RegionKind.RAM));
        for (int i = random.nextInt(4); i >= 0; i--) {
            int from = random.nextInt(length);
            int to = from + 1 + random.nextInt(length - from);
            operations.add(
                    random.nextInt(4) == 0
                            ? new RegionOperation.RemoveMappings(id, World.pages(from, to))
                            : new RegionOperation.AddMapping(
                                    id,
                                    World.pages(from, to),
                                    1 + random.nextInt(2),
                                    random.nextBoolean() ? from * World.PAGE : 0,
                                    random.nextInt(3) > 0));
        }
        if (random.nextInt(5) > 0) {
            operations.add(new RegionOperation.Map(
                    id, new io.membacking.region.MapParameters(random.nextBoolean(), random.nextBoolean(), false)));
        }
        return operations;
    }

    private static JournalEntry last(GuestRegionManager manager) {
        List<JournalEntry> journal = manager.journal();
        return journal.get(journal.size() - 1);
    }

    /** Looks at every partition after each step: as its guest would. */
    private static final class Watch {
        final List<String> mixtures = new ArrayList<>();
        private final RandomWorld random;
        private final Map<String, Map<Long, RecordingPartition.Seen>> before = new HashMap<>();
        private final Map<String, Map<Long, RecordingPartition.Seen>> after = new HashMap<>();
        private final Set<String> mixedWhileHeld = new HashSet<>();
        private final Set<String> held = new HashSet<>();

        Watch(RandomWorld random, Oracle next) {
            this.random = random;
            random.world.partitions.forEach(p -> before.put(p.name(), p.view()));
            random.world.partitions.forEach(p -> after.put(p.name(), RandomWorld.view(next, p)));
        }

        void look() {
            for (int i = 0; i < random.world.partitions.size(); i++) {
                RecordingPartition partition = random.world.partitions.get(i);
                var view = partition.view();
                boolean mixture =
                        !view.equals(before.get(partition.name())) && !view.equals(after.get(partition.name()));
                if (random.world.gates.get(i).isHeld()) {
                    held.add(partition.name());
                    if (mixture) {
                        mixedWhileHeld.add(partition.name());
                    }
                } else if (mixture) {
                    mixtures.add(partition.name() + " sees " + view);
                }
            }
        }

        void checkHeldOnlyWhenNeeded(String message) {
            assertEquals(held, mixedWhileHeld, message + ": held without need");
        }
    }
}
