package io.membacking.mapping.internal;

import static io.membacking.mapping.internal.TestGuest.LONG;
import static io.membacking.mapping.internal.TestGuest.range;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.error.GuestAccessException;
import io.membacking.error.HostMappingException;
import io.membacking.host.Backing;
import io.membacking.host.BackingKind;
import io.membacking.host.BackingRequest;
import io.membacking.mapping.AccessPiece;
import io.membacking.mapping.AccessPiece.Access;
import io.membacking.mapping.HeldMemory;
import io.membacking.mapping.MappingManager;
import io.membacking.range.MemoryRange;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class GuestMappingManagerTest {
    private static final long SIZE = 16 << 20;
    private static final MemoryRange LOW = range(0, 0x10000);
    private static final MemoryRange HIGH = range(0x10000, 0x20000);
    private static final Duration SHORT = Duration.ofMillis(30);

    private final TestGuest guest = new TestGuest(SIZE);
    private final GuestMappingManager manager = guest.manager;

    @AfterEach
    void close() {
        guest.close();
    }

    @Test
    void neighboursOfContiguousBackingAreOneAndTheHostAgrees() {
        Backing ram = guest.backing("ram", SIZE);
        guest.show(LOW, ram, 0, Access.READ_WRITE);
        guest.show(HIGH, ram, 0x10000, Access.READ);
        guest.show(range(0x40000, 0x80000), ram, 0, Access.READ);
        guest.take(range(0x50000, 0x51000));

        assertEquals(
                List.of(
                        new HeldMemory(range(0, 0x20000), ram.id(), 0),
                        new HeldMemory(range(0x40000, 0x50000), ram.id(), 0),
                        new HeldMemory(range(0x51000, 0x80000), ram.id(), 0x11000)),
                manager.held());
        assertEquals(manager.held(), manager.observe());
        assertEquals(
                List.of(
                        new AccessPiece(LOW, Access.READ_WRITE),
                        new AccessPiece(HIGH, Access.READ),
                        new AccessPiece(range(0x40000, 0x50000), Access.READ),
                        new AccessPiece(range(0x51000, 0x80000), Access.READ)),
                manager.snapshot());
    }

    @Test
    void privateMemoryIsObservedWithTheOffsetsOfTheBook() throws Exception {
        Backing ram = guest.host.allocate(
                new BackingRequest("private", BackingKind.PRIVATE, 0x40000, 0, false, OptionalInt.empty()));
        guest.show(LOW, ram, 0x20000, Access.READ_WRITE);
        guest.show(range(0x40000, 0x50000), ram, 0, Access.READ_WRITE);
        guest.memory.writeLong(0x8, 42);
        assertEquals(42, guest.memory.readLong(0x8));
        assertEquals(
                List.of(new HeldMemory(LOW, ram.id(), 0x20000), new HeldMemory(range(0x40000, 0x50000), ram.id(), 0)),
                manager.held());
        assertEquals(manager.held(), manager.observe());
    }

    @Test
    void theSpaceIsAlignedForTheHugePagesThatFitIn() throws Exception {
        assertEquals(0, manager.base() % (2 << 20));
        try (MappingManager large = new GuestMappingManagers(guest.host).create("large", 3L << 30)) {
            assertEquals(0, large.base() % (1 << 30));
        }
    }

    @Test
    void hiddenMemoryKeepsItsContentsAndIsNotSeen() {
        guest.show(LOW, guest.backing("ram", SIZE), 0, Access.READ_WRITE);
        guest.memory.writeLong(0x100, 7);
        guest.allow(LOW, Access.NONE);
        assertThrows(GuestAccessException.class, () -> guest.memory.readLong(0x100));
        assertEquals(1, manager.held().size());
        guest.allow(LOW, Access.READ);
        assertEquals(7, guest.memory.readLong(0x100));
        assertThrows(GuestAccessException.class, () -> guest.memory.writeLong(0x100, 8));
    }

    @Test
    void anAccessToAPieceInTransitionWaitsForTheCommit() throws Exception {
        Backing old = guest.backing("old", SIZE);
        Backing young = guest.backing("young", SIZE);
        guest.show(LOW, old, 0, Access.READ_WRITE);
        guest.show(HIGH, old, 0x10000, Access.READ_WRITE);

        MappingManager.Transition transition = manager.begin(List.of(LOW), LONG);
        CompletableFuture<Void> writer = async(() -> guest.memory.writeLong(0xfffc, 0x1122334455667788L));
        awaitWaits(1);
        guest.memory.writeLong(0x10008, 5); // what is not in transition goes on
        assertFalse(writer.isDone());
        manager.map(LOW, young, 0);
        transition.publish(List.of(new AccessPiece(LOW, Access.READ_WRITE)));
        writer.get(20, TimeUnit.SECONDS);

        assertEquals(0, longAt(old, 0xfff8));
        assertEquals(0x5566778800000000L, longAt(young, 0xfff8));
        assertEquals(0x11223344, (int) longAt(old, 0x10000));
    }

    @Test
    void aWaitingAccessGoesOnWhenTheTransitionIsAbandonedAndFailsWhenThePieceIsGone() throws Exception {
        guest.show(LOW, guest.backing("ram", SIZE), 0, Access.READ_WRITE);
        MappingManager.Transition transition = manager.begin(List.of(LOW), LONG);
        CompletableFuture<Long> reader = asyncGet(() -> guest.memory.readLong(0));
        awaitWaits(1);
        transition.abandon();
        assertEquals(0L, reader.get(20, TimeUnit.SECONDS));

        transition = manager.begin(List.of(LOW), LONG);
        CompletableFuture<Boolean> refused = asyncGet(() -> {
            assertThrows(GuestAccessException.class, () -> guest.memory.read(0x8, new byte[8], 0, 8));
            return true;
        });
        awaitWaits(2);
        manager.release(LOW);
        transition.publish(List.of(new AccessPiece(LOW, Access.NONE)));
        assertTrue(refused.get(20, TimeUnit.SECONDS));
    }

    @Test
    void theCommittingThreadIsRefusedAndNotLeftWaitingForItself() throws Exception {
        guest.show(LOW, guest.backing("ram", SIZE), 0, Access.READ_WRITE);
        MappingManager.Transition transition = manager.begin(List.of(LOW), LONG);
        IllegalStateException e = assertThrows(IllegalStateException.class, () -> guest.memory.readByte(0));
        assertTrue(e.getMessage().contains("this very thread"), e.getMessage());
        assertThrows(IllegalStateException.class, () -> guest.memory.fill(0, 1, (byte) 0));
        transition.publish(List.of());
        assertEquals(0, guest.memory.readByte(0));
    }

    @Test
    void readersThatDoNotLeaveInTimeFailTheTransitionAndNothingHasChanged() throws Exception {
        Backing ram = guest.backing("ram", SIZE);
        guest.show(LOW, ram, 0, Access.READ_WRITE);
        StalledMemory stalled = new StalledMemory(manager);
        CompletableFuture<Void> writer = async(() -> stalled.writeLong(0, 9));
        stalled.awaitArrival();

        HostMappingException e = assertThrows(HostMappingException.class, () -> manager.begin(List.of(LOW), SHORT));
        assertEquals(LOW, e.failure().range().orElseThrow());
        assertTrue(e.getMessage().contains("30 ms"), e.getMessage());
        assertEquals(0, guest.memory.readLong(0x8));
        // What no reader can be in needs no wait.
        manager.begin(List.of(HIGH), SHORT).abandon();

        stalled.release();
        writer.get(20, TimeUnit.SECONDS);
        guest.take(LOW);
        assertEquals(9, longAt(ram, 0));
    }

    @Test
    void aWriterStalledBeforeItsTouchHoldsTheChangeUpAndWritesToTheOldMemory() throws Exception {
        Backing old = guest.backing("old", SIZE);
        Backing young = guest.backing("young", SIZE);
        guest.show(LOW, old, 0, Access.READ_WRITE);
        StalledMemory stalled = new StalledMemory(manager);
        CompletableFuture<Void> writer = async(() -> stalled.writeLong(0x40, 9));
        stalled.awaitArrival();
        CompletableFuture<Void> change = async(() -> guest.show(LOW, young, 0, Access.READ));
        CompletableFuture<Long> reader = asyncGet(() -> {
            awaitTransitions(2);
            return guest.memory.readLong(0x40);
        });
        awaitWaits(1);
        assertFalse(change.isDone());
        stalled.release();
        writer.get(20, TimeUnit.SECONDS);
        change.get(20, TimeUnit.SECONDS);
        assertEquals(0, reader.get(20, TimeUnit.SECONDS));
        assertEquals(9, longAt(old, 0x40));
        assertEquals(0, longAt(young, 0x40));
    }

    /** Shows that the test above can fail: it is the wait for the readers that keeps the write out. */
    @Test
    void withoutTheWaitTheLateWriteReachesTheMemoryThatTookThePlace() throws Exception {
        try (TestGuest careless = new TestGuest(SIZE, true, false)) {
            GuestMappingManager unsafe = careless.manager;
            Backing old = careless.backing("old", SIZE);
            Backing rom = careless.backing("rom", SIZE);
            MappingManager.Transition transition = unsafe.begin(List.of(), LONG);
            unsafe.map(LOW, old, 0);
            transition.publish(List.of(new AccessPiece(LOW, Access.READ_WRITE)));
            StalledMemory stalled = new StalledMemory(unsafe);
            CompletableFuture<Void> writer = async(() -> stalled.writeLong(0x40, 9));
            stalled.awaitArrival();
            transition = unsafe.begin(List.of(LOW), LONG);
            unsafe.map(LOW, rom, 0);
            transition.publish(List.of(new AccessPiece(LOW, Access.READ)));
            stalled.release();
            writer.get(20, TimeUnit.SECONDS);
            assertEquals(9, longAt(rom, 0x40));
        }
    }

    @Test
    void aMapThatFailsLeavesWhatWasHeldAndTheTransitionCanBeAbandoned() throws Exception {
        GuestMappingManagers managers = new GuestMappingManagers(new ForwardingHost.FailingMap(guest.host, 2));
        try (MappingManager failing = managers.create("failing", SIZE)) {
            Backing ram = guest.backing("ram", SIZE);
            MappingManager.Transition first = failing.begin(List.of(), LONG);
            failing.map(LOW, ram, 0);
            first.publish(List.of(new AccessPiece(LOW, Access.READ_WRITE)));
            MappingManager.Transition second = failing.begin(List.of(LOW), LONG);
            assertThrows(HostMappingException.class, () -> failing.map(LOW, ram, 0x10000));
            second.abandon();
            assertEquals(List.of(new HeldMemory(LOW, ram.id(), 0)), failing.held());
            assertEquals(0, failing.memory().readLong(0));
            MappingManager.Transition third = failing.begin(List.of(LOW), LONG);
            failing.map(LOW, ram, 0x10000);
            third.publish(List.of());
            assertEquals(List.of(new HeldMemory(LOW, ram.id(), 0x10000)), failing.held());
        }
    }

    @Test
    void whatReadersCanSeeIsNeitherReplacedNorReleasedNorShownWithoutBeingHeld() throws Exception {
        Backing ram = guest.backing("ram", SIZE);
        guest.show(LOW, ram, 0, Access.READ);
        assertThrows(IllegalStateException.class, () -> manager.map(range(0xf000, 0x11000), ram, 0));
        assertThrows(IllegalStateException.class, () -> manager.release(LOW));
        MappingManager.Transition transition = manager.begin(List.of(), LONG);
        assertThrows(IllegalStateException.class, () -> manager.begin(List.of(), LONG));
        assertThrows(IllegalStateException.class, () -> transition.publish(List.of(new AccessPiece(LOW, Access.NONE))));
        assertThrows(
                IllegalStateException.class, () -> transition.publish(List.of(new AccessPiece(HIGH, Access.READ))));
        transition.publish(List.of(new AccessPiece(LOW, Access.READ_WRITE)));
        assertThrows(IllegalStateException.class, () -> transition.publish(List.of()));
        guest.memory.writeLong(0, 1);
    }

    @Test
    void whatAnUndoCouldNotBringBackIsNotShownAgain() throws Exception {
        guest.show(range(0, 0x20000), guest.backing("ram", SIZE), 0, Access.READ_WRITE);
        MappingManager.Transition transition = manager.begin(List.of(LOW), LONG);
        manager.release(range(0x1000, 0x2000));
        transition.abandon();
        assertEquals(
                List.of(
                        new AccessPiece(range(0, 0x1000), Access.READ_WRITE),
                        new AccessPiece(range(0x2000, 0x20000), Access.READ_WRITE)),
                manager.snapshot());
    }

    @Test
    void rangesBeyondTheSpaceAreRefused() {
        Backing ram = guest.backing("ram", SIZE);
        MemoryRange beyond = range(SIZE - 0x1000, SIZE + 0x1000);
        assertThrows(IllegalArgumentException.class, () -> manager.begin(List.of(beyond), LONG));
        assertThrows(IllegalArgumentException.class, () -> manager.map(beyond, ram, 0));
        assertThrows(IllegalArgumentException.class, () -> manager.release(range(-0x2000, -0x1000)));
    }

    @Test
    void closingInATransitionTellsWhoWaitsAndTheTransitionEndsQuietly() throws Exception {
        guest.show(LOW, guest.backing("ram", SIZE), 0, Access.READ_WRITE);
        MappingManager.Transition transition = manager.begin(List.of(LOW), LONG);
        CompletableFuture<IllegalStateException> reader =
                asyncGet(() -> assertThrows(IllegalStateException.class, () -> guest.memory.readLong(0)));
        awaitWaits(1);
        manager.close();
        assertTrue(reader.get(20, TimeUnit.SECONDS).getMessage().contains("closed"));
        assertThrows(IllegalStateException.class, () -> manager.map(LOW, guest.backing("late", SIZE), 0));
        transition.abandon();
        assertThrows(IllegalStateException.class, () -> guest.memory.readLong(0));
        assertThrows(IllegalStateException.class, manager::base);
        assertThrows(IllegalStateException.class, manager::held);
        assertThrows(IllegalStateException.class, () -> manager.begin(List.of(), LONG));
    }

    @Test
    void closingWaitsForTheReaderInside() throws Exception {
        Backing ram = guest.backing("ram", SIZE);
        guest.show(LOW, ram, 0, Access.READ_WRITE);
        StalledMemory stalled = new StalledMemory(manager);
        CompletableFuture<Void> writer = async(() -> stalled.writeLong(0, 9));
        stalled.awaitArrival();
        CompletableFuture<Void> closing = async(manager::close);
        assertThrows(TimeoutException.class, () -> closing.get(30, TimeUnit.MILLISECONDS));
        stalled.release();
        closing.get(20, TimeUnit.SECONDS);
        writer.get(20, TimeUnit.SECONDS);
        assertEquals(9, longAt(ram, 0));
    }

    @Test
    void aHundredGuestsLeaveNoMappingBehind() throws Exception {
        GuestMappingManagers managers = new GuestMappingManagers(guest.host);
        Backing ram = guest.backing("ram", SIZE);
        long before = mappingsOf("/memfd");
        for (int i = 0; i < 100; i++) {
            try (MappingManager each = managers.create("guest" + i, SIZE)) {
                MappingManager.Transition transition = each.begin(List.of(), LONG);
                each.map(LOW, ram, 0);
                each.map(range(0x20000, 0x30000), ram, 0x80000);
                transition.publish(List.of(new AccessPiece(LOW, Access.READ_WRITE)));
                each.memory().writeLong(0, i);
                assertEquals(before + 2, mappingsOf("/memfd"));
            }
        }
        assertEquals(before, mappingsOf("/memfd"));
    }

    @Test
    void closingTheManagersClosesEachAndRefusesNewOnes() throws Exception {
        int[] announced = {0, 0};
        GuestMappingManagers managers = new GuestMappingManagers(guest.host, created -> {
            announced[0]++;
            return () -> announced[1]++;
        });
        MappingManager one = managers.create("one", SIZE);
        MappingManager two = managers.create("two", SIZE);
        one.close();
        assertEquals(1, announced[1]);
        managers.close();
        assertEquals(2, announced[0]);
        assertEquals(2, announced[1]);
        assertThrows(IllegalStateException.class, two::base);
        assertThrows(IllegalStateException.class, () -> managers.create("three", SIZE));
        assertThrows(IllegalArgumentException.class, () -> managers.create("odd", 4097));
    }

    private static long mappingsOf(String name) throws IOException {
        try (var lines = Files.lines(Path.of("/proc/self/maps"))) {
            return lines.filter(line -> line.contains(name)).count();
        }
    }

    /** A thread of its own: some of these tasks wait for each other. */
    private static CompletableFuture<Void> async(Runnable task) {
        return CompletableFuture.runAsync(task, each -> new Thread(each).start());
    }

    private static <T> CompletableFuture<T> asyncGet(Supplier<T> task) {
        return CompletableFuture.supplyAsync(task, each -> new Thread(each).start());
    }

    private void awaitWaits(long count) {
        while (manager.counters().waits() < count) {
            Thread.onSpinWait();
        }
    }

    private void awaitTransitions(long count) {
        while (manager.counters().transitions() < count) {
            Thread.onSpinWait();
        }
    }

    private static long longAt(Backing backing, long position) {
        byte[] bytes = new byte[8];
        backing.read(position, bytes, 0, 8);
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong();
    }
}
