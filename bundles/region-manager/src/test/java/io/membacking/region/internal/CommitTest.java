package io.membacking.region.internal;

import static io.membacking.region.internal.World.OTHER;
import static io.membacking.region.internal.World.PAGE;
import static io.membacking.region.internal.World.READ_ONLY;
import static io.membacking.region.internal.World.SHARED;
import static io.membacking.region.internal.World.WRITABLE;
import static io.membacking.region.internal.World.pages;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.error.LayoutException;
import io.membacking.mapping.AccessPiece;
import io.membacking.range.MemoryRange;
import io.membacking.region.Attachment;
import io.membacking.region.Change;
import io.membacking.region.FlatPiece;
import io.membacking.region.JournalEntry;
import io.membacking.region.MapParameters;
import io.membacking.region.Plan;
import io.membacking.region.RegionId;
import io.membacking.region.RegionKind;
import io.membacking.region.Step;
import java.time.Duration;
import java.util.List;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;

class CommitTest {
    private final World world = new World(64);
    private final GuestRegionManager manager = world.manager;

    @Test
    void mappedRegionShowsEverywhere() throws Exception {
        world.attach("kvm", World.following());
        world.attach("other", World.notFollowing());
        world.register("iommu", true);
        RegionId ram = world.ram(0, 16);

        assertEquals(
                List.of(new FlatPiece(pages(0, 16), ram, RegionKind.RAM, SHARED, 0, true, true)), manager.flatView());
        assertEquals(List.of(new AccessPiece(pages(0, 16), AccessPiece.Access.READ_WRITE)), world.space.snapshot());
        assertEquals(1, world.partitions.get(0).mappings().size());
        assertEquals(1, world.targets.get(0).mappings().size());
        world.checkClean();
    }

    @Test
    void hidingChangesSnapshotAndPartitionsButNotTheVaSpace() throws Exception {
        world.attach("kvm", World.following());
        RegionId ram = world.ram(0, 16);

        JournalEntry entry = manager.change("hide").unmap(ram).commit();

        assertEquals(
                List.of(
                        new Step.DrainReaders(List.of(pages(0, 16))),
                        new Step.PartitionUnmap("kvm", pages(0, 16), 0, true, true),
                        new Step.PublishSnapshot(List.of(new AccessPiece(pages(0, 16), AccessPiece.Access.NONE)))),
                entry.plan().steps());
        assertEquals(1, world.space.held().size());
        world.checkClean();
    }

    @Test
    void hiddenMemoryComesBackWhenWhatHidesItGoes() throws Exception {
        world.region("device", pages(4, 8), 0, OTHER, 0, WRITABLE);
        RegionId ram = world.ram(0, 16);
        assertEquals(1, manager.flatView().size());

        manager.change("uncover").unmap(ram).commit();
        assertEquals(pages(4, 8), manager.flatView().get(0).range());
        assertEquals(OTHER, world.space.page(5 * PAGE).backing());
        assertEquals(SHARED, world.space.page(3 * PAGE).backing(), "what only went out of sight stays");

        manager.change("cover").map(ram, WRITABLE).commit();
        assertEquals(SHARED, world.space.page(5 * PAGE).backing());
        world.checkClean();
    }

    @Test
    void mappedRegionHidesWhatIsBeneathEvenWhereItHasNoMemory() throws Exception {
        world.region("below", pages(0, 8), 0, OTHER, 0, WRITABLE);
        RegionId above = world.ram(2, 6);

        manager.change("hole").removeMappings(above, pages(1, 2)).commit();

        assertEquals(
                List.of(pages(0, 2), pages(2, 3), pages(4, 6), pages(6, 8)),
                manager.flatView().stream().map(FlatPiece::range).toList());
        var explanation = manager.explain(3 * PAGE);
        assertTrue(explanation.visible().isEmpty());
        assertEquals(above, explanation.winner().orElseThrow().id());
        assertEquals("below", explanation.hidden().get(0).id().name());
        world.checkClean();
    }

    @Test
    void changeThatChangesNothingCallsNobodyAndLeavesNoTrace() throws Exception {
        world.attach("kvm", World.following());
        RegionId ram = world.ram(0, 16);
        int entries = manager.journal().size();
        world.faults.none();

        assertTrue(manager.change("again").map(ram, WRITABLE).commit().plan().isEmpty());
        Change both = manager.change("add and remove");
        RegionId id = both.add("brief", pages(20, 30), 3, RegionKind.DEVICE);
        both.addMapping(id, pages(0, 10), SHARED, 0, true).map(id, WRITABLE).remove(id);
        assertTrue(both.commit().plan().isEmpty());
        assertTrue(manager.change("the same memory")
                .addMapping(ram, pages(2, 4), SHARED, 2 * PAGE, true)
                .commit()
                .plan()
                .isEmpty());
        assertTrue(manager.change("hide and show")
                .unmap(ram)
                .map(ram, WRITABLE)
                .commit()
                .plan()
                .isEmpty());

        assertEquals(List.of(), world.faults.calls());
        assertEquals(1, manager.regions().size());
        assertEquals(entries, manager.journal().size());
    }

    @Test
    void dryRunTouchesNothing() throws Exception {
        world.attach("kvm", World.following());
        RegionId ram = world.ram(0, 16);
        String before = world.picture();
        world.faults.none();

        Plan plan = manager.change("hide").unmap(ram).plan();

        assertFalse(plan.isEmpty());
        assertEquals(List.of(), world.faults.calls());
        assertEquals(before, world.picture());
        assertTrue(plan.toString().contains("1. "), plan.toString());
    }

    @Test
    void spentChangeIsRefused() throws Exception {
        Change change = manager.change("once");
        change.add("r", pages(0, 1), 0, RegionKind.RAM);
        change.commit();
        assertThrows(IllegalStateException.class, change::commit);
    }

    @Test
    void accessChangesInPlaceUnderHeldProcessors() throws Exception {
        world.attach("kvm", World.following());
        RegionId ram = world.ram(0, 16);
        Plan plan = manager.change("read only").map(ram, READ_ONLY).commit().plan();
        assertTrue(plan.steps().contains(new Step.HoldProcessors("kvm")), plan.toString());
        assertEquals(1, world.gates.get(0).holds());
        assertFalse(world.gates.get(0).isHeld());
        world.checkClean();
    }

    @Test
    void replacingMemoryUnderAFollowingPartitionIsOneAtomicStepWithoutHolding() throws Exception {
        world.attach("kvm", World.following());
        RegionId ram = world.ram(0, 16);
        Plan plan = manager.change("replace")
                .addMapping(ram, pages(4, 8), OTHER, 0, true)
                .commit()
                .plan();
        assertEquals(
                List.of(Step.DrainReaders.class, Step.ChangeVa.class, Step.PublishSnapshot.class),
                plan.steps().stream().map(Object::getClass).toList());
        assertEquals(0, world.gates.get(0).holds());
        assertEquals(1, world.partitions.get(0).mappings().size());
        world.checkClean();
    }

    @Test
    void replacingMemoryHoldsWhereTheHostCannotReplaceInPlace() throws Exception {
        World windows = new World(64, false);
        windows.attach("x", World.following());
        RegionId ram = windows.ram(0, 16);
        windows.manager
                .change("replace")
                .addMapping(ram, pages(4, 8), OTHER, 0, true)
                .commit();
        assertEquals(1, windows.gates.get(0).holds());
    }

    @Test
    void partitionThatDoesNotFollowTheHostIsToldOfReplacedMemory() throws Exception {
        world.attach("whp", World.notFollowing());
        RegionId ram = world.ram(0, 16);
        manager.change("replace").addMapping(ram, pages(4, 8), OTHER, 0, true).commit();
        assertEquals(
                List.of(pages(0, 4), pages(4, 8), pages(8, 16)),
                world.partitions.get(0).mappings().stream().map(m -> m.range()).toList());
        assertEquals(1, world.gates.get(0).holds());
        world.checkClean();
    }

    @Test
    void regionMovesInOneChange() throws Exception {
        world.attach("kvm", World.following());
        RegionId device = world.region("device", pages(4, 8), 0, OTHER, 0, WRITABLE);
        manager.change("move").move(device, 20 * PAGE).commit();
        assertEquals(pages(20, 24), manager.flatView().get(0).range());
        assertEquals(1, world.space.held().size());
        assertEquals(1, world.gates.get(0).holds());
        world.checkClean();
    }

    @Test
    void prefetchIsDoneWhenAskedForAndNeverADifference() throws Exception {
        Attachment kvm = world.attach("kvm", World.following());
        Attachment whp = world.attach("whp", World.notFollowing());
        RegionId ram = world.ram(0, 16);
        JournalEntry entry = manager.change("prefetch")
                .map(ram, new MapParameters(true, true, true))
                .commit();
        assertEquals(
                List.of(new Step.Prefetch(null, pages(0, 16)), new Step.Prefetch("whp", pages(0, 16))),
                entry.plan().steps());
        assertEquals(Attachment.Achieved.HOST_MEMORY, kvm.info().prefetch().achieved());
        assertEquals(Attachment.Achieved.PARTITION, whp.info().prefetch().achieved());

        world.faults.failAll(call -> call.contains("prefetch"));
        JournalEntry failed = manager.change("prefetch")
                .map(ram, new MapParameters(true, true, true))
                .commit();
        assertEquals(2, failed.warnings().size(), failed.toString());
        assertEquals(Attachment.Achieved.NOTHING, kvm.info().prefetch().achieved());
    }

    @Test
    void pinningIsThePartitionsOrTheHosts() throws Exception {
        Attachment host = world.attach("host", World.following(), 0, OptionalLong.empty(), true);
        Attachment own = world.attach(
                "own", RecordingPartition.capabilities(true, true, true, false, 40), 0, OptionalLong.empty(), true);
        RegionId ram = world.ram(0, 16);
        assertEquals(Attachment.Achieved.HOST_MEMORY, host.info().pin().achieved());
        assertEquals(Attachment.Achieved.PARTITION, own.info().pin().achieved());
        assertTrue(world.space.isLocked(0));
        assertTrue(world.partitions.get(1).isPinned(0));

        manager.change("replace").addMapping(ram, pages(4, 8), OTHER, 0, true).commit();
        assertTrue(world.space.isLocked(4 * PAGE));
        assertTrue(world.partitions.get(1).isPinned(4 * PAGE));
        world.checkClean();

        host.close();
        assertFalse(world.space.isLocked(0));
    }

    @Test
    void oneAttachmentsUnlockingLeavesTheOthersLock() throws Exception {
        Attachment a = world.attach("a", World.following(), 0, OptionalLong.empty(), true);
        world.ram(0, 16);
        Attachment b = world.attach("b", World.following(), 0, OptionalLong.empty(), true);
        a.close();
        assertTrue(world.space.isLocked(3 * PAGE));
        b.close();
        assertFalse(world.space.isLocked(3 * PAGE));
    }

    @Test
    void vtl2SeesEverythingTwice() throws Exception {
        long alias = 64 * PAGE;
        Attachment vtl2 = world.attach("vtl2", World.following(), 2, OptionalLong.of(alias), true);
        RegionId ram = world.ram(0, 16);
        assertEquals(
                List.of(pages(0, 16), pages(64, 80)),
                world.partitions.get(0).mappings().stream().map(m -> m.range()).toList());
        assertEquals(2, vtl2.mappings().size());
        world.checkClean();
        manager.change("hide").unmap(ram).commit();
        assertEquals(2, world.gates.get(0).holds(), "two steps are a mixture");
        assertEquals(List.of(), world.partitions.get(0).mappings());
    }

    @Test
    void journalTellsWhatHappened() throws Exception {
        RegionId ram = world.ram(0, 16);
        assertThrows(
                LayoutException.class,
                () -> manager.change("too far").move(ram, 60 * PAGE).commit());
        List<JournalEntry> journal = manager.journal();
        assertEquals(2, journal.size());
        assertEquals(JournalEntry.Outcome.COMMITTED, journal.get(0).outcome());
        assertEquals(JournalEntry.Outcome.UNDONE, journal.get(1).outcome());
        assertEquals(2, journal.get(1).sequence());
        assertTrue(journal.get(1).failure().orElseThrow().contains("VA space"));
        assertEquals(1, manager.explain(0).lastChange().orElseThrow().sequence());
    }

    @Test
    void journalIsBounded() throws Exception {
        RegionId ram = world.ram(0, 16);
        for (int i = 0; i < 300; i++) {
            manager.change("flip").map(ram, i % 2 == 0 ? READ_ONLY : WRITABLE).commit();
        }
        assertEquals(256, manager.journal().size());
        assertEquals(301, manager.journal().get(255).sequence());
    }

    @Test
    void afterCloseEveryCallSaysClosed() throws Exception {
        Attachment kvm = world.attach("kvm", World.following());
        RegionId ram = world.ram(0, 16);
        Change change = manager.change("late").unmap(ram);
        manager.close();
        manager.close();
        assertTrue(world.space.isClosed());
        assertEquals(List.of(), world.partitions.get(0).mappings());
        assertFalse(kvm.info().attached());
        kvm.close();
        assertTrue(assertThrows(IllegalStateException.class, change::commit)
                .getMessage()
                .contains("closed"));
        assertThrows(IllegalStateException.class, manager::flatView);
        assertThrows(IllegalStateException.class, manager::checkDrift);
        assertThrows(IllegalStateException.class, () -> manager.change("x"));
    }

    @Test
    void deadlineIsSharedByWhoWaits() throws Exception {
        world.attach("kvm", World.following());
        world.attach("other", World.following());
        RegionId ram = world.ram(0, 16);
        world.faults.interlope(() -> {
            if (world.faults.calls().isEmpty()) { // the processors of the first take their time to leave
                long end = System.nanoTime() + 30_000_000;
                while (System.nanoTime() < end) {
                    Thread.onSpinWait();
                }
            }
        });
        world.faults.none();
        manager.change("flip").map(ram, READ_ONLY).commit(Duration.ofMillis(700));
        Duration left = world.gates.get(1).lastDeadline();
        assertTrue(left.compareTo(Duration.ofMillis(670)) <= 0, left.toString());
    }

    @Test
    void anyAddressOf64BitsCanBeExplained() throws Exception {
        world.ram(0, 16);
        assertTrue(manager.explain(-1L).visible().isEmpty());
        assertTrue(manager.explain(Long.MIN_VALUE).winner().isEmpty());
        assertEquals(
                MemoryRange.ofLength(0, 16 * PAGE),
                manager.explain(1).visible().orElseThrow().range());
    }
}
