package io.membacking.memory.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.error.BuildException;
import io.membacking.error.LayoutException;
import io.membacking.error.MembackingException;
import io.membacking.host.Backing;
import io.membacking.host.BackingKind;
import io.membacking.host.HostCapabilities;
import io.membacking.memory.BackingChoice;
import io.membacking.memory.MemoryLayout;
import io.membacking.memory.RamRange;
import io.membacking.memory.internal.BuildPlan.Placement;
import io.membacking.memory.internal.BuildRequest.Own;
import io.membacking.range.MemoryRange;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

class BuildPlannerTest {
    private static final long MIB = 1L << 20;
    private static final long GIB = 1L << 30;
    private static final int PAGE = MemoryRange.PAGE_SIZE;
    private static final HostCapabilities HOST =
            new HostCapabilities("linux", PAGE, Set.of(2 * MIB, GIB), Set.of(0, 1), 64 * GIB, 40, true, true);

    @Test
    void everyPageOfRamIsOncePackedInOrderInItsBackingAndOnceInARegion() throws MembackingException {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        for (int i = 0; i < 3_000; i++) {
            BuildRequest request = randomRequest(random);
            BuildPlan plan = BuildPlanner.plan(request, HOST);
            String message = "seed " + seed + " run " + i + ": " + request;

            // The oracle hands out backing pages one by one.
            List<MemoryRange> ram = ram(request.layout());
            boolean rest = ram.stream().anyMatch(range -> owner(request, range) < 0);
            long[] next = new long[request.own().size() + 1];
            TreeMap<Long, String> expected = new TreeMap<>();
            for (MemoryRange range : ram) {
                int backing = owner(request, range) + (rest ? 1 : 0);
                for (long page = range.start(); page < range.end(); page += PAGE) {
                    expected.put(page, backing + ":" + next[backing]);
                    next[backing] += PAGE;
                }
            }
            assertEquals(expected, pages(plan.ranges()), message);
            assertEquals(expected, pages(plan.regions()), message);
            assertEquals(ram, plan.ranges().stream().map(Placement::range).toList(), message);
            assertEquals(request.own().size() + (rest ? 1 : 0), plan.backings().size(), message);
            for (int b = 0; b < plan.backings().size(); b++) {
                assertEquals(next[b], plan.backings().get(b).size(), message);
            }
            assertEquals(expectedBorders(request, ram), borders(plan.regions()), message);
            assertEquals(request.layout().end(), plan.size(), message);
        }
    }

    private static Map<Long, String> pages(List<Placement> placements) {
        Map<Long, String> pages = new TreeMap<>();
        for (Placement placement : placements) {
            for (long offset = 0; offset < placement.range().length(); offset += PAGE) {
                String twice = pages.put(
                        placement.range().start() + offset, placement.backing() + ":" + (placement.offset() + offset));
                assertEquals(null, twice, "two placements hold 0x" + Long.toHexString(offset));
            }
        }
        return pages;
    }

    private static Set<Long> borders(List<Placement> placements) {
        Set<Long> borders = new TreeSet<>();
        placements.forEach(placement -> {
            borders.add(placement.range().start());
            borders.add(placement.range().end());
        });
        return borders;
    }

    private static Set<Long> expectedBorders(BuildRequest request, List<MemoryRange> ram) {
        Set<Long> borders = new TreeSet<>();
        ram.forEach(range -> {
            borders.add(range.start());
            borders.add(range.end());
        });
        if (request.x86LegacySupport()) {
            borders.addAll(List.of(0xa0000L, 0xc0000L, 0xc4000L, 0xc8000L, 0xcc000L, 0xd0000L, 0xd4000L));
            borders.addAll(List.of(0xd8000L, 0xdc000L, 0xe0000L, 0xe4000L, 0xe8000L, 0xec000L, 0xf0000L, 0x100000L));
        }
        return borders;
    }

    private static int owner(BuildRequest request, MemoryRange range) {
        for (int i = 0; i < request.own().size(); i++) {
            if (request.own().get(i).ranges().contains(range)) {
                return i;
            }
        }
        return -1;
    }

    private static List<MemoryRange> ram(MemoryLayout layout) {
        List<MemoryRange> ram = new ArrayList<>();
        layout.ram().forEach(range -> ram.add(range.range()));
        layout.vtl2().ifPresent(ram::add);
        return ram;
    }

    private static BuildRequest randomRequest(Random random) throws MembackingException {
        boolean x86 = random.nextBoolean();
        List<RamRange> ram = new ArrayList<>();
        long at = 0;
        if (x86) {
            long pages = 256L + (random.nextBoolean() ? 0 : random.nextInt(4));
            ram.add(RamRange.of(MemoryRange.ofLength(0, pages * PAGE)));
            at = pages * PAGE;
        }
        int count = (x86 ? 0 : 1) + random.nextInt(4);
        Optional<MemoryRange> vtl2 = Optional.empty();
        List<MemoryRange> mmio = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            at += random.nextInt(3) * (long) PAGE;
            MemoryRange range = MemoryRange.ofLength(at, (1 + random.nextInt(5)) * (long) PAGE);
            at = range.end();
            int kind = i == 0 && !x86 ? 0 : random.nextInt(4);
            if (kind == 1 && vtl2.isEmpty()) {
                vtl2 = Optional.of(range);
            } else if (kind == 2) {
                mmio.add(range);
            } else {
                ram.add(RamRange.of(range));
            }
        }
        MemoryLayout layout = MemoryLayout.of(ram, mmio, vtl2);
        List<MemoryRange> all = ram(layout);
        List<Own> own = new ArrayList<>();
        Set<MemoryRange> named = new HashSet<>();
        for (int i = random.nextInt(3); i > 0; i--) {
            Set<MemoryRange> ranges = new HashSet<>();
            for (MemoryRange range : all) {
                if (random.nextInt(3) == 0 && named.add(range)) {
                    ranges.add(range);
                }
            }
            if (!ranges.isEmpty()) {
                own.add(new Own(ranges, BackingChoice.SHARED));
            }
        }
        return new BuildRequest("g", layout, BackingChoice.SHARED, own, OptionalLong.empty(), false, x86);
    }

    @Test
    void theVaSpaceEndsWhereRamMmioOrVtl2EndLast() throws MembackingException {
        assertEquals(GIB, plan(layout(GIB)).size());
        assertEquals(
                4 * GIB,
                plan(MemoryLayout.of(
                                List.of(RamRange.of(MemoryRange.ofLength(0, GIB))),
                                List.of(new MemoryRange(3 * GIB, 4 * GIB)),
                                Optional.empty()))
                        .size());
        assertEquals(
                9 * GIB,
                plan(MemoryLayout.of(
                                List.of(RamRange.of(MemoryRange.ofLength(0, GIB))),
                                List.of(),
                                Optional.of(new MemoryRange(8 * GIB, 9 * GIB))))
                        .size());
    }

    @Test
    void anAliasOffsetBelowTheEndOrUnalignedIsRefusedAndOneAtTheEndIsNot() throws MembackingException {
        LayoutException below = assertThrows(LayoutException.class, () -> alias(GIB - PAGE));
        assertTrue(below.getMessage().contains("below the end of the layout, 0x40000000"), below.getMessage());
        LayoutException unaligned = assertThrows(LayoutException.class, () -> alias(2 * GIB + 1));
        assertTrue(unaligned.getMessage().contains("not page aligned"), unaligned.getMessage());
        assertEquals(OptionalLong.of(GIB), alias(GIB).aliasMapOffset());
        long high = 1L << 63; // unsigned above
        assertEquals(OptionalLong.of(high), alias(high).aliasMapOffset());
    }

    private static BuildPlan alias(long offset) throws MembackingException {
        return BuildPlanner.plan(
                new BuildRequest(
                        "g", layout(GIB), BackingChoice.SHARED, List.of(), OptionalLong.of(offset), false, false),
                HOST);
    }

    @Test
    void legacySupportNeedsRamFromZeroToOneMib() throws MembackingException {
        for (MemoryRange first : List.of(new MemoryRange(0, MIB - PAGE), new MemoryRange(PAGE, 2 * MIB))) {
            MemoryLayout layout = MemoryLayout.of(List.of(RamRange.of(first)), List.of(), Optional.empty());
            LayoutException refused =
                    assertThrows(LayoutException.class, () -> plan(layout, BackingChoice.SHARED, true));
            assertTrue(refused.getMessage().contains("x86 legacy support needs"), refused.getMessage());
        }
        // Adjacent RAM is other RAM.
        MemoryLayout adjacent = MemoryLayout.of(
                List.of(RamRange.of(new MemoryRange(0, 0xa0000)), RamRange.of(new MemoryRange(0xa0000, GIB))),
                List.of(),
                Optional.empty());
        assertThrows(LayoutException.class, () -> plan(adjacent, BackingChoice.SHARED, true));
        assertEquals(15, plan(layout(MIB), BackingChoice.SHARED, true).regions().size());
        assertEquals(
                16,
                plan(layout(MIB + PAGE), BackingChoice.SHARED, true).regions().size());
    }

    @Test
    void aLayoutBeyondTheProcessorsAddressesIsRefused() throws MembackingException {
        long end = 1L << 40;
        MemoryLayout fits =
                MemoryLayout.of(List.of(RamRange.of(new MemoryRange(end - PAGE, end))), List.of(), Optional.empty());
        assertEquals(end, plan(fits).size());
        MemoryLayout beyond =
                MemoryLayout.of(List.of(RamRange.of(new MemoryRange(end, end + PAGE))), List.of(), Optional.empty());
        assertRefused("have 40 bits, to 0x10000000000", beyond, BackingChoice.SHARED);
        MemoryLayout top = MemoryLayout.of(
                List.of(RamRange.of(new MemoryRange(0, PAGE))),
                List.of(new MemoryRange(-2L * PAGE, -PAGE)),
                Optional.empty());
        assertRefused("have 40 bits", top, BackingChoice.SHARED);
    }

    @Test
    void moreRamThanTheHostHasIsRefusedWithTheSizes() throws MembackingException {
        assertRefused("64 GiB", layout(64 * GIB + PAGE), BackingChoice.SHARED);
        assertRefused("67108868 KiB", layout(64 * GIB + PAGE), BackingChoice.privateMemory());
        assertEquals(1, plan(layout(64 * GIB)).backings().size());
        Backing existing = existing(128 * GIB);
        assertEquals(
                128 * GIB,
                plan(layout(128 * GIB), BackingChoice.existing(existing), false).size());
    }

    @Test
    void hugetlbIsRefusedWithPrivateWithTransparentPagesAndWithASplit() {
        assertRefused(
                "hugetlb memory cannot be private",
                layout(GIB),
                new BackingChoice(BackingKind.PRIVATE, 2 * MIB, false, false, OptionalInt.empty(), null));
        assertRefused(
                "cannot have transparent huge pages",
                layout(GIB),
                BackingChoice.hugetlb(2 * MIB).withTransparentHugePages());
        assertRefused("cannot be split for x86 legacy", layout(GIB), BackingChoice.hugetlb(2 * MIB), true);
    }

    @Test
    void hugetlbIsRefusedWithAnExistingBacking() {
        BackingChoice choice =
                new BackingChoice(BackingKind.SHARED, 2 * MIB, false, false, OptionalInt.empty(), existing(GIB));
        assertRefused("hugetlb memory cannot be asked for with the existing backing", layout(GIB), choice);
        BackingChoice other =
                new BackingChoice(BackingKind.HUGETLB, 0, false, false, OptionalInt.empty(), existing(GIB));
        assertRefused("is SHARED, not HUGETLB", layout(GIB), other);
    }

    @Test
    void anExistingBackingOfHugePagesIsAdoptedWithTheRulesOfItsPages() throws MembackingException {
        Backing huge = new SizedBacking(7, "huge", BackingKind.HUGETLB, GIB, 2 * MIB);
        assertEquals(
                1,
                plan(layout(GIB), BackingChoice.existing(huge), false).regions().size());
        assertRefused("cannot be split for x86 legacy", layout(GIB), BackingChoice.existing(huge), true);
        assertRefused("pages of 2 MiB", layout(MIB), BackingChoice.existing(huge));
    }

    @Test
    void aSizeOrRangeThatIsNotAlignedToTheHugePageIsRefused() throws MembackingException {
        assertRefused("not aligned to its pages of 2 MiB", layout(GIB + MIB), BackingChoice.hugetlb(2 * MIB));
        MemoryLayout crooked =
                MemoryLayout.of(List.of(RamRange.of(MemoryRange.ofLength(MIB, 2 * MIB))), List.of(), Optional.empty());
        assertRefused("not aligned to its pages of 2 MiB", crooked, BackingChoice.hugetlb(2 * MIB));
        MemoryLayout vtl2 = MemoryLayout.of(
                List.of(RamRange.of(MemoryRange.ofLength(0, 2 * MIB))),
                List.of(),
                Optional.of(MemoryRange.ofLength(GIB, MIB)));
        assertRefused("0x40000000-0x40100000", vtl2, BackingChoice.hugetlb(2 * MIB));
        assertEquals(
                1,
                plan(layout(4 * MIB), BackingChoice.hugetlb(2 * MIB), false)
                        .regions()
                        .size());
    }

    @Test
    void aPageSizeThatIsNoneIsRefused() {
        assertRefused("3145728 is no power of two", layout(GIB), BackingChoice.hugetlb(3 * MIB));
        assertRefused("0 is no power of two", layout(GIB), BackingChoice.hugetlb(0));
        assertRefused("is no power of two", layout(GIB), BackingChoice.hugetlb(Long.MIN_VALUE));
        assertRefused("below the host's page", layout(GIB), BackingChoice.hugetlb(2048));
        assertRefused("no pool of huge pages of 16 MiB", layout(GIB), BackingChoice.hugetlb(16 * MIB));
        assertRefused(
                "not hugetlb",
                layout(GIB),
                new BackingChoice(BackingKind.SHARED, 2 * MIB, false, false, OptionalInt.empty(), null));
    }

    @Test
    void privateIsRefusedWithASplitAndWithAnExistingBacking() {
        assertRefused(
                "private memory cannot be split for x86 legacy", layout(GIB), BackingChoice.privateMemory(), true);
        BackingChoice adopted =
                new BackingChoice(BackingKind.PRIVATE, 0, false, false, OptionalInt.empty(), existing(GIB));
        assertRefused("private memory cannot be adopted", layout(GIB), adopted);
        Backing secret = new SizedBacking(8, "secret", BackingKind.PRIVATE, GIB, PAGE);
        assertRefused("private memory cannot be adopted", layout(GIB), BackingChoice.existing(secret));
    }

    @Test
    void onlyTheBackingOfTheSplitRamIsHeldToIt() throws MembackingException {
        MemoryRange low = new MemoryRange(0, 2 * MIB);
        MemoryRange high = new MemoryRange(GIB, 2 * GIB);
        MemoryLayout layout =
                MemoryLayout.of(List.of(RamRange.of(low), RamRange.of(high)), List.of(), Optional.empty());
        BuildPlan plan = BuildPlanner.plan(
                new BuildRequest(
                        "g",
                        layout,
                        BackingChoice.SHARED,
                        List.of(new Own(Set.of(high), BackingChoice.hugetlb(2 * MIB))),
                        OptionalLong.empty(),
                        false,
                        true),
                HOST);
        assertEquals(2, plan.backings().size());
        assertEquals(BackingKind.HUGETLB, plan.backings().get(1).choice().kind());
    }

    @Test
    void anUnknownNumaNodeIsRefused() {
        assertRefused("no NUMA node 2", layout(GIB), BackingChoice.SHARED.onHostNode(2));
        assertRefused("no NUMA node -1", layout(GIB), BackingChoice.SHARED.onHostNode(-1));
    }

    @Test
    void anExistingBackingThatIsTooSmallOrChosenTwiceOrToBeMadeOtherwiseIsRefused() throws MembackingException {
        assertRefused("holds 1 GiB and the RAM takes 2 GiB", layout(2 * GIB), BackingChoice.existing(existing(GIB)));
        assertRefused(
                "cannot be given a NUMA node or transparent huge pages",
                layout(GIB),
                BackingChoice.existing(existing(GIB)).withTransparentHugePages());
        assertRefused(
                "cannot be given a NUMA node or transparent huge pages",
                layout(GIB),
                BackingChoice.existing(existing(GIB)).onHostNode(0));
        assertEquals(
                1,
                plan(layout(GIB), BackingChoice.existing(existing(2 * GIB)), false)
                        .backings()
                        .size());
        MemoryRange low = new MemoryRange(0, MIB);
        MemoryRange high = new MemoryRange(GIB, GIB + MIB);
        MemoryLayout two = MemoryLayout.of(List.of(RamRange.of(low), RamRange.of(high)), List.of(), Optional.empty());
        Backing one = existing(GIB);
        assertRefused(
                "is chosen twice",
                two,
                BackingChoice.existing(one),
                new Own(Set.of(high), BackingChoice.existing(one)));
    }

    @Test
    void rangesOfAChoiceAreRamRangesOfTheLayoutAndHaveOneChoice() throws MembackingException {
        MemoryRange whole = new MemoryRange(0, GIB);
        MemoryRange half = new MemoryRange(0, GIB / 2);
        assertRefused("no RAM range", layout(GIB), BackingChoice.SHARED, new Own(Set.of(half), BackingChoice.SHARED));
        assertRefused(
                "two backings are chosen",
                layout(GIB),
                BackingChoice.SHARED,
                new Own(Set.of(whole), BackingChoice.SHARED),
                new Own(Set.of(whole), BackingChoice.privateMemory()));
        assertRefused(
                "has no RAM left",
                layout(GIB),
                BackingChoice.existing(existing(GIB)),
                new Own(Set.of(whole), BackingChoice.SHARED));
    }

    @Test
    void ramThatIsNotAlignedToALargerPageOfTheHostIsRefused() {
        HostCapabilities large = new HostCapabilities("linux", 65536, Set.of(), Set.of(0), 64 * GIB, 48, true, true);
        BuildException refused = assertThrows(
                BuildException.class,
                () -> BuildPlanner.plan(
                        new BuildRequest(
                                "g", layout(GIB), BackingChoice.SHARED, List.of(), OptionalLong.empty(), false, true),
                        large));
        assertTrue(refused.getMessage().contains("pages of 64 KiB"), refused.getMessage());
    }

    @Test
    void hostThatMapsInLargerPiecesWantsRamAlignedAndStillSplitsIt() throws Exception {
        HostCapabilities coarse =
                new HostCapabilities("windows", PAGE, 65536, Set.of(), Set.of(0), 64 * GIB, 48, false, false);
        assertTrue(BuildPlanner.plan(request(layout(GIB)), coarse).regions().size() > 10);
        BuildException refused =
                assertThrows(BuildException.class, () -> BuildPlanner.plan(request(layout(GIB + PAGE)), coarse));
        assertTrue(refused.getMessage().contains("maps multiples of 64 KiB only"), refused.getMessage());
    }

    private static BuildRequest request(MemoryLayout layout) {
        return new BuildRequest("g", layout, BackingChoice.SHARED, List.of(), OptionalLong.empty(), false, true);
    }

    private static Backing existing(long size) {
        return new SizedBacking(7, "old", BackingKind.SHARED, size, PAGE);
    }

    private static MemoryLayout layout(long size) {
        try {
            return MemoryLayout.flat(size);
        } catch (LayoutException e) {
            throw new AssertionError(e);
        }
    }

    private static BuildPlan plan(MemoryLayout layout) throws MembackingException {
        return plan(layout, BackingChoice.SHARED, false);
    }

    private static BuildPlan plan(MemoryLayout layout, BackingChoice choice, boolean x86, Own... own)
            throws MembackingException {
        return BuildPlanner.plan(
                new BuildRequest("g", layout, choice, List.of(own), OptionalLong.empty(), false, x86), HOST);
    }

    private static void assertRefused(String problem, MemoryLayout layout, BackingChoice choice, Own... own) {
        assertRefused(problem, layout, choice, false, own);
    }

    private static void assertRefused(
            String problem, MemoryLayout layout, BackingChoice choice, boolean x86, Own... own) {
        BuildException refused = assertThrows(BuildException.class, () -> plan(layout, choice, x86, own));
        assertTrue(refused.getMessage().contains(problem), refused.getMessage());
        assertTrue(refused.getMessage().contains("guest 'g'"), refused.getMessage());
    }
}
