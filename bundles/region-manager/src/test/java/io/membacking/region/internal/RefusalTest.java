package io.membacking.region.internal;

import static io.membacking.region.internal.World.OTHER;
import static io.membacking.region.internal.World.PAGE;
import static io.membacking.region.internal.World.PRIVATE;
import static io.membacking.region.internal.World.READ_ONLY;
import static io.membacking.region.internal.World.SHARED;
import static io.membacking.region.internal.World.WRITABLE;
import static io.membacking.region.internal.World.pages;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.error.AttachException;
import io.membacking.error.LayoutException;
import io.membacking.host.BackingKind;
import io.membacking.region.Change;
import io.membacking.region.JournalEntry;
import io.membacking.region.RegionId;
import io.membacking.region.RegionKind;
import java.util.List;
import java.util.OptionalLong;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

/** What cannot be is refused by name before anything is touched. */
class RefusalTest {
    private final World world = new World(64);
    private final GuestRegionManager manager = world.manager;

    private LayoutException refused(Consumer<Change> operations, String... words) {
        String before = world.picture();
        world.faults.none();
        Change change = manager.change("refused");
        operations.accept(change);
        LayoutException planned = assertThrows(LayoutException.class, change::plan);
        LayoutException e = assertThrows(LayoutException.class, change::commit);
        assertEquals(planned.getMessage(), e.getMessage());
        for (String word : words) {
            assertTrue(e.getMessage().contains(word), "'" + word + "' is missing in: " + e.getMessage());
        }
        assertEquals(List.of(), world.faults.calls(), "nobody is called");
        assertEquals(before, world.picture());
        List<JournalEntry> journal = manager.journal();
        assertEquals(e.getMessage(), journal.get(journal.size() - 1).failure().orElseThrow());
        return e;
    }

    @Test
    void regionBeyondTheVaSpaceOrAPartitionsAddresses() throws Exception {
        refused(c -> c.add("high", pages(60, 65), 0, RegionKind.RAM), "high#1", "0x3c000-0x41000", "VA space of guest");
        RegionId ram = world.ram(0, 4);
        refused(c -> c.move(ram, 61 * PAGE), "move region ram", "VA space");
        refused(c -> c.move(ram, -8 * PAGE), "VA space");
        refused(c -> c.move(ram, -PAGE), "wrap");

        world.attach("small", RecordingPartition.capabilities(true, true, false, false, 17));
        refused(c -> c.add("high", pages(30, 33), 0, RegionKind.RAM), "17-bit", "'small'");
        refused(c -> c.move(ram, 30 * PAGE), "17-bit", "'small'");
    }

    @Test
    void aliasedEndBeyondAPartitionsAddresses() throws Exception {
        world.attach(
                "vtl2",
                RecordingPartition.capabilities(true, true, false, false, 19),
                2,
                OptionalLong.of(100 * PAGE),
                false);
        refused(c -> c.add("high", pages(27, 29), 0, RegionKind.RAM), "alias offset 0x64000");
        world.ram(0, 28);
        world.checkClean();
    }

    @Test
    void unknownRegionsAndBackings() throws Exception {
        RegionId nobody = new RegionId(77, "nobody");
        refused(c -> c.map(nobody, WRITABLE), "map region nobody#77", "no such region");
        refused(c -> c.unmap(nobody), "nobody#77");
        refused(c -> c.remove(nobody), "nobody#77");
        refused(c -> c.removeMappings(nobody, pages(0, 1)), "nobody#77");
        RegionId ram = world.ram(0, 4);
        manager.change("remove").remove(ram).commit();
        refused(c -> c.map(ram, WRITABLE), "no such region");
        RegionId other = world.ram(0, 4);
        refused(c -> c.addMapping(other, pages(0, 1), 99, 0, true), "backing 99", "addBacking");
        refused(
                c -> c.apply(
                        List.of(new io.membacking.region.RegionOperation.Add(other, pages(8, 9), 0, RegionKind.RAM))),
                "has this number already");
    }

    @Test
    void offsetsOutOfTheRegionOrTheBacking() throws Exception {
        RegionId ram = world.ram(0, 4);
        refused(c -> c.addMapping(ram, pages(3, 5), SHARED, 0, true), "0x3000-0x5000", "0x4000 bytes long");
        refused(c -> c.removeMappings(ram, pages(3, 5)), "0x4000 bytes long");
        refused(c -> c.addMapping(ram, pages(0, 4), SHARED, 1021 * PAGE, true), "backing 'b1'", "0x400000 bytes");
        refused(c -> c.addMapping(ram, pages(0, 4), SHARED, Long.MAX_VALUE & -PAGE, true), "backing 'b1'");
    }

    @Test
    void argumentsThatCanNeverBeAreRefusedAtOnce() throws Exception {
        RegionId ram = world.ram(0, 4);
        Change change = manager.change("never");
        assertThrows(IllegalArgumentException.class, () -> change.move(ram, 5));
        assertThrows(IllegalArgumentException.class, () -> change.addMapping(ram, pages(0, 1), SHARED, 5, true));
        assertThrows(IllegalArgumentException.class, () -> change.addMapping(ram, pages(0, 1), SHARED, -PAGE, true));
        assertThrows(IllegalArgumentException.class, () -> change.add("r", pages(0, 1), 256, RegionKind.RAM));
        assertEquals(List.of(), change.operations());
        assertThrows(
                IllegalArgumentException.class,
                () -> manager.addBacking(new TestBacking(SHARED, BackingKind.SHARED, PAGE)));
    }

    @Test
    void backingIsForgottenOnlyWhenNoMappingUsesIt() throws Exception {
        RegionId ram = world.ram(0, 4);
        assertThrows(IllegalStateException.class, () -> manager.removeBacking(SHARED));
        manager.change("remove").remove(ram).commit();
        manager.removeBacking(SHARED);
        assertTrue(manager.backing(SHARED).isEmpty());
    }

    @Test
    void privateMemoryHasOnePlaceAndKeepsIt() throws Exception {
        RegionId ram = world.region("ram", pages(0, 16), 1, PRIVATE, 0, WRITABLE);
        RegionId other = world.region("other", pages(20, 24), 2, OTHER, 0, null);

        refused(c -> c.addMapping(other, pages(0, 1), PRIVATE, 3 * PAGE, true), "private memory", "ram#1 already");
        refused(c -> c.move(ram, 32 * PAGE), "ram#1", "0x0-0x10000 already");
        refused(c -> c.addMapping(ram, pages(2, 3), OTHER, 0, true), "displace private memory");
        refused(c -> c.addMapping(ram, pages(2, 3), PRIVATE, 8 * PAGE, true), "displace private memory");
        refused(c -> c.move(other, 4 * PAGE).map(other, WRITABLE), "displace private memory", "other#2");
        // In one change the old contents could not come back if the change failed.
        refused(c -> c.removeMappings(ram, pages(2, 3)).addMapping(ram, pages(2, 3), OTHER, 0, true), "displace");
        refused(
                c -> c.removeMappings(ram, pages(2, 3)).addMapping(other, pages(0, 1), PRIVATE, 2 * PAGE, true),
                "place private memory of region other#2");

        // The same again, or only its access, is no other memory.
        manager.change("read-only")
                .addMapping(ram, pages(2, 3), PRIVATE, 2 * PAGE, false)
                .commit();
        assertEquals(PRIVATE, world.space.page(2 * PAGE).backing());
        // Hidden beside shared memory that never shows above it, it stays.
        manager.change("hide").unmap(ram).commit();
        refused(c -> c.move(ram, 32 * PAGE), "ram#1");
        assertEquals(1, world.space.held().size());
        manager.change("remove").remove(ram).commit();
        assertEquals(List.of(), world.space.held());
        world.checkClean();
    }

    @Test
    void privateMemoryThatNeverShowedMayMove() throws Exception {
        RegionId ram = world.region("ram", pages(0, 4), 1, PRIVATE, 0, null);
        manager.change("move").move(ram, 8 * PAGE).commit();
        manager.change("map").map(ram, WRITABLE).commit();
        assertEquals(PRIVATE, world.space.page(8 * PAGE).backing());
        world.checkClean();
    }

    @Test
    void privateMemoryAndATargetThatNeedsDescriptorsInEitherOrder() throws Exception {
        world.register("iommu", true);
        RegionId ram = world.ram(0, 4);
        refused(c -> c.addMapping(ram, pages(0, 1), PRIVATE, 0, true), "'iommu'", "descriptor");

        World other = new World(64);
        other.region("ram", pages(0, 4), 1, PRIVATE, 0, WRITABLE);
        AttachException e = assertThrows(AttachException.class, () -> other.register("iommu", true));
        assertEquals(AttachException.Stage.REQUEST, e.stage());
        assertTrue(e.getMessage().contains("private memory"), e.getMessage());
        other.register("any", false);
        other.checkClean();
    }

    @Test
    void readOnlyMemoryOnABackendWithoutIt() throws Exception {
        world.attach("plain", RecordingPartition.capabilities(true, false, false, false, 40));
        RegionId ram = world.ram(0, 4);
        refused(c -> c.map(ram, READ_ONLY), "read-only", "'plain'");
        refused(c -> c.addMapping(ram, pages(0, 1), SHARED, 0, false), "read-only", "'plain'");
    }

    @Test
    void hugePagesAreNotCut() throws Exception {
        long huge = 9;
        manager.addBacking(new TestBacking(huge, BackingKind.HUGETLB, 64 * PAGE, 4 * PAGE));
        Change add = manager.change("add");
        RegionId ram = add.add("ram", pages(0, 16), 1, RegionKind.RAM);
        RegionId odd = add.add("odd", pages(18, 30), 1, RegionKind.RAM);
        add.addMapping(ram, pages(0, 16), huge, 0, true).map(ram, WRITABLE).commit();
        refused(c -> c.addMapping(ram, pages(0, 8), huge, PAGE, true), "pages of 0x4000");
        refused(c -> c.addMapping(odd, pages(0, 4), huge, 0, true), "pages of 0x4000");
        refused(c -> c.addMapping(ram, pages(1, 2), SHARED, 0, true), "pages of 0x4000");
        refused(c -> c.removeMappings(ram, pages(0, 2)), "pages of 0x4000");
        refused(c -> c.move(ram, 2 * PAGE), "pages of 0x4000");
        manager.change("cut")
                .removeMappings(ram, pages(4, 8))
                .move(ram, 4 * PAGE)
                .commit();
        world.checkClean();
    }
}
