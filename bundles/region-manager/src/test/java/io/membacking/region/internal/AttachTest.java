package io.membacking.region.internal;

import static io.membacking.region.internal.World.OTHER;
import static io.membacking.region.internal.World.PAGE;
import static io.membacking.region.internal.World.READ_ONLY;
import static io.membacking.region.internal.World.WRITABLE;
import static io.membacking.region.internal.World.pages;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.error.AttachException;
import io.membacking.error.AttachException.Stage;
import io.membacking.error.HostMappingException;
import io.membacking.partition.Capabilities;
import io.membacking.region.AttachRequest;
import io.membacking.region.Attachment;
import io.membacking.region.Change;
import io.membacking.region.JournalEntry;
import io.membacking.region.RegionId;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class AttachTest {
    private final World world = new World(64);
    private final GuestRegionManager manager = world.manager;
    private RegionId ram;

    @BeforeEach
    void fill() throws Exception {
        ram = world.ram(0, 16);
        world.region("rom", pages(20, 24), 1, OTHER, 0, READ_ONLY);
        world.region("device", pages(30, 34), 1, OTHER, 8 * PAGE, WRITABLE);
    }

    private AttachException refused(AttachRequest request, String... words) {
        String before = world.picture();
        world.faults.none();
        AttachException e = assertThrows(AttachException.class, () -> manager.attach(request));
        assertEquals(Stage.REQUEST, e.stage(), e.getMessage());
        for (String word : words) {
            assertTrue(e.getMessage().contains(word), "'" + word + "' is missing in: " + e.getMessage());
        }
        assertEquals(before, world.picture());
        assertEquals(List.of(), world.faults.calls());
        return e;
    }

    private AttachRequest request(Capabilities capabilities, int vtl, OptionalLong alias, OptionalLong process) {
        return new AttachRequest(
                "p",
                new RecordingPartition(world.faults, world.space, "p", capabilities),
                new RecordingGate(world.faults, "p"),
                vtl,
                alias,
                false,
                process);
    }

    @Test
    void requestsThatCannotBeAreRefusedByName() throws Exception {
        OptionalLong none = OptionalLong.empty();
        refused(request(World.following(), 2, OptionalLong.of(64 * PAGE + 8), none), "not aligned");
        refused(request(World.following(), 2, OptionalLong.of(63 * PAGE), none), "lies within", "0x40000 or higher");
        refused(request(World.following(), 0, OptionalLong.of(64 * PAGE), none), "VTL 2");
        refused(request(World.following(), 0, none, OptionalLong.of(1)), "another process");
        refused(
                request(RecordingPartition.capabilities(true, true, false, false, 17), 0, none, none),
                "region device#3",
                "17-bit",
                "0x1e000-0x22000");
        refused(
                request(
                        RecordingPartition.capabilities(true, true, false, false, 18),
                        2,
                        OptionalLong.of(64 * PAGE),
                        none),
                "18-bit");
        refused(
                request(RecordingPartition.capabilities(true, false, false, false, 40), 0, none, none),
                "region rom#2",
                "no read-only memory");
        AttachRequest closed = request(World.following(), 0, none, none);
        closed.partition().close();
        refused(closed, "closed");
        world.attach("p", World.following());
        refused(request(World.following(), 0, none, none), "this name already");
        manager.attach(new AttachRequest(
                "edge",
                new RecordingPartition(world.faults, world.space, "edge", World.following()),
                new RecordingGate(world.faults, "edge"),
                2,
                OptionalLong.of(64 * PAGE),
                false,
                none));
        world.checkClean();
    }

    @Test
    void attachingIsAllOrNothing() throws Exception {
        for (int vtl : new int[] {0, 2}) {
            boolean attached = false;
            for (int failing = 0; !attached; failing++) {
                world.partitions.clear();
                world.gates.clear();
                world.faults.failAt(failing, Faults.Kind.CHECKED);
                OptionalLong alias = vtl == 2 ? OptionalLong.of(64 * PAGE) : OptionalLong.empty();
                try {
                    world.attach("vtl" + vtl, World.notFollowing(), vtl, alias, true);
                    attached = true;
                    assertTrue(failing > 3, "calls: " + failing);
                } catch (AttachException e) {
                    assertEquals(e.getMessage().contains("pin memory") ? Stage.VA_SPACE : Stage.PARTITION, e.stage());
                    assertEquals("vtl" + vtl, e.consumer());
                    assertEquals("EIO", e.failure().nativeErrorOrNull().name());
                    assertEquals(List.of(), world.partitions.get(0).mappings());
                    assertEquals(vtl == 2, world.space.isLocked(0), "only the other's lock is left");
                    assertEquals("", world.gates.get(0).detached(), "it never was attached");
                }
            }
            world.faults.none();
            world.checkClean();
        }
    }

    @Test
    void registeringIsAllOrNothing() throws Exception {
        boolean registered = false;
        for (int failing = 0; !registered; failing++) {
            RecordingTarget target = new RecordingTarget(world.faults, "iommu", true);
            world.faults.failAt(failing, Faults.Kind.RUNTIME);
            try {
                manager.addDmaTarget(target);
                registered = true;
                assertEquals(3, failing);
                assertEquals(3, target.mappings().size());
            } catch (AttachException e) {
                assertEquals(Stage.DMA_TARGET, e.stage());
                assertEquals(List.of(), target.mappings());
            }
        }
        world.faults.none();
        world.checkClean();
    }

    @Test
    void closedRegistrationGivesEverythingBack() throws Exception {
        RecordingTarget target = new RecordingTarget(world.faults, "iommu", true);
        var registration = manager.addDmaTarget(target);
        registration.close();
        registration.close();
        assertEquals(List.of(), target.mappings());
        manager.change("hide").unmap(ram).commit();
        assertEquals(List.of(), target.mappings());
    }

    @Test
    void detachingUnmapsEverythingAndTheNameIsFreeAgain() throws Exception {
        Attachment kvm = world.attach("kvm", World.following());
        assertEquals(3, kvm.mappings().size());
        kvm.close();
        kvm.close();
        assertEquals(List.of(), kvm.mappings());
        assertFalse(kvm.info().attached());
        assertEquals(List.of(), world.partitions.get(0).mappings());
        assertEquals(List.of(), manager.attachments());
        world.attach("kvm", World.following());
        manager.change("hide").unmap(ram).commit();
        assertEquals(List.of(), world.partitions.get(0).mappings());
        assertEquals(2, world.partitions.get(1).mappings().size());
    }

    @Test
    void vanishedPartitionIsSkippedAndIsNoError() throws Exception {
        Attachment kvm = world.attach("kvm", World.following(), 0, OptionalLong.empty(), true);
        world.attach("other", World.following());
        world.partitions.get(0).close();
        assertTrue(manager.change("hide").unmap(ram).commit().warnings().isEmpty());
        assertFalse(kvm.info().attached());
        assertEquals("its partition was closed", kvm.info().detachedReason());
        assertFalse(world.space.isLocked(0));
        assertEquals(2, world.partitions.get(1).mappings().size());
        world.checkClean();
        kvm.close();
        assertEquals(1, manager.attachments().size());
    }

    @Test
    void partitionThatVanishesInTheMiddleOfACommitIsSkipped() throws Exception {
        world.attach("kvm", World.following());
        world.attach("other", World.following());
        world.faults.interlope(() -> {
            if (world.faults.calls().stream().anyMatch(call -> call.startsWith("kvm unmap"))) {
                world.partitions.get(0).close();
            }
        });
        manager.change("read only").map(ram, READ_ONLY).commit();
        world.faults.interlope(() -> {});
        assertEquals(3, world.partitions.get(1).mappings().size());
        assertTrue(manager.checkDrift().clean());
    }

    @Test
    void processorsThatDoNotLeaveFailTheCommitAndAreNotHeld() throws Exception {
        world.attach("kvm", World.following());
        world.attach("other", World.following());
        String before = world.picture();
        world.faults.failAll(call -> call.equals("other hold"));
        Change change = manager.change("read only").map(ram, READ_ONLY);
        AttachException e = assertThrows(AttachException.class, change::commit);
        assertEquals("other", e.consumer());
        assertEquals(before, world.picture());
        assertFalse(world.gates.get(0).isHeld());
        world.faults.none();
        change.commit();
        world.checkClean();
    }

    @Test
    void readersThatDoNotLeaveFailTheCommit() throws Exception {
        String before = world.picture();
        world.faults.failAll(call -> call.equals("begin"));
        Change change = manager.change("hide").unmap(ram);
        assertThrows(HostMappingException.class, change::commit);
        assertEquals(before, world.picture());
        JournalEntry entry = manager.journal().get(manager.journal().size() - 1);
        assertEquals(5, entry.errorCode());
        assertFalse(entry.plan().isEmpty());
        world.faults.none();
        change.commit();
        world.checkClean();
    }

    @Test
    void stepThatCallsBackIsRefused() throws Exception {
        Attachment kvm = world.attach("kvm", World.following());
        List<String> refusals = new ArrayList<>();
        world.faults.interlope(() -> {
            for (Runnable call : List.<Runnable>of(
                    () -> commit(manager.change("re-entry").unmap(ram)),
                    manager::checkDrift,
                    manager::close,
                    kvm::close)) {
                refusals.add(
                        assertThrows(IllegalStateException.class, call::run).getMessage());
            }
            assertFalse(manager.explain(0).visible().isEmpty(), "looking is allowed");
        });
        manager.change("hide").unmap(ram).commit();
        world.faults.interlope(() -> {});
        assertFalse(refusals.isEmpty());
        assertTrue(refusals.stream().allMatch(text -> text.contains("from within a change")), refusals.toString());
        world.checkClean();
    }

    private static void commit(Change change) {
        try {
            change.commit();
        } catch (io.membacking.error.MembackingException e) {
            throw new AssertionError(e);
        }
    }

    @Test
    void ownerMayCloseAnAttachmentThatIsLostWhenItIsTold() throws Exception {
        Attachment kvm = world.attach("kvm", World.following());
        world.gates.get(0).onDetached(kvm::close);
        world.faults.failFrom(3, call -> call.startsWith("kvm map"));
        assertThrows(
                AttachException.class,
                () -> manager.change("two").map(ram, READ_ONLY).commit());
        world.faults.none();
        assertFalse(kvm.info().attached());
        assertFalse(world.gates.get(0).detached().isEmpty());
        JournalEntry entry = manager.journal().get(manager.journal().size() - 1);
        assertEquals(JournalEntry.Outcome.UNDONE_WITH_LOSS, entry.outcome());
        assertTrue(entry.warnings().toString().contains("'kvm'"), entry.toString());
        world.attach("kvm", World.following());
        assertEquals(1, manager.attachments().size());
    }

    @Test
    void driftIsSeenAndNamed() throws Exception {
        world.attach("kvm", World.following());
        world.partitions.get(0).lose(0);
        var report = manager.checkDrift();
        assertEquals(1, report.differences().size());
        assertEquals("attachment kvm", report.differences().get(0).where());
        assertEquals(pages(0, 16), report.differences().get(0).range());
        assertEquals("nothing", report.differences().get(0).found());

        World other = new World(64);
        other.ram(0, 16);
        other.space.lose(3 * PAGE);
        assertTrue(other.manager.checkDrift().differences().stream()
                .anyMatch(d -> d.where().startsWith("VA space") && d.range().contains(3 * PAGE)));
    }
}
