package io.membacking.region.internal;

import static io.membacking.region.internal.World.PAGE;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.access.GuestMemory;
import io.membacking.error.GuestAccessException;
import io.membacking.error.LayoutException;
import io.membacking.error.MembackingException;
import io.membacking.host.Backing;
import io.membacking.host.BackingKind;
import io.membacking.host.BackingRequest;
import io.membacking.host.linux.LinuxHostMemory;
import io.membacking.mapping.MappingManager;
import io.membacking.mapping.internal.GuestMappingManagers;
import io.membacking.region.Attachment;
import io.membacking.region.Change;
import io.membacking.region.RegionId;
import io.membacking.region.RegionKind;
import io.membacking.region.RegionManager;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

/** Over the real VA space of a Linux host: what the plans say is what the monitor reads. */
@EnabledOnOs(OS.LINUX)
class RealMemoryTest {
    private static final long SEED = Long.getLong("seed", System.nanoTime());

    private final LinuxHostMemory host = new LinuxHostMemory();
    private final GuestMappingManagers spaces = new GuestMappingManagers(host);
    private final List<Backing> backings = backings();

    private List<Backing> backings() {
        try {
            List<Backing> all = List.of(
                    host.allocate(BackingRequest.shared("one", 64 * PAGE)),
                    host.allocate(BackingRequest.shared("two", 64 * PAGE)),
                    host.allocate(new BackingRequest(
                            "private", BackingKind.PRIVATE, 64 * PAGE, 0, false, OptionalInt.empty())));
            for (Backing backing : all.subList(0, 2)) {
                for (int page = 0; page < 64; page++) {
                    byte[] mark = ByteBuffer.allocate(8)
                            .order(ByteOrder.LITTLE_ENDIAN)
                            .putLong(mark(backing.id(), page * PAGE))
                            .array();
                    backing.write(page * PAGE, mark, 0, 8);
                }
            }
            return all;
        } catch (MembackingException e) {
            throw new IllegalStateException(e);
        }
    }

    private static long mark(long backing, long offset) {
        return backing << 32 | offset;
    }

    @AfterEach
    void close() {
        spaces.close();
        backings.forEach(Backing::close);
        host.close();
    }

    @Test
    void everyFailureOfEveryStepLeavesContentsAndAccessAsTheyWere() throws Exception {
        int injected = 0;
        for (int round = 0; round < 6; round++) {
            long seed = SEED + round;
            MappingManager space = spaces.create("g" + round, RandomWorld.PAGES * PAGE);
            RandomWorld random = new RandomWorld(seed, 0, true, new World(space, backings));
            for (int i = 0; i < 8; i++) {
                Change change = random.randomChange();
                Oracle next = random.next(change.operations());
                boolean committed = false;
                for (int failing = 0; !committed; failing++) {
                    String message = "seed " + seed + ", change " + i + ", call " + failing;
                    random.world.faults.failAt(failing, Faults.Kind.CHECKED);
                    try {
                        change.commit();
                        committed = true;
                        random.oracle = next;
                    } catch (MembackingException e) {
                        injected++;
                    }
                    random.world.faults.none();
                    checkContents(random, message);
                }
                random.check("seed " + seed + ", change " + i);
            }
            random.world.manager.close();
        }
        assertTrue(injected > 50, "only " + injected + " failures: the test has lost its point");
    }

    private static void checkContents(RandomWorld random, String message) {
        GuestMemory memory = random.world.manager.memory();
        for (int page = 0; page < RandomWorld.PAGES; page++) {
            Oracle.Shown shown = random.oracle.shown(page);
            long gpa = page * PAGE;
            if (shown == null) {
                assertThrows(GuestAccessException.class, () -> memory.readLong(gpa), message + ", page " + page);
                continue;
            }
            long expected = mark(shown.memory().backing(), shown.memory().offset());
            assertEquals(expected, memory.readLong(gpa), message + ", page " + page);
            if (shown.writable()) {
                memory.writeLong(gpa, expected);
            } else {
                assertThrows(GuestAccessException.class, () -> memory.writeLong(gpa, 0), message + ", page " + page);
            }
        }
    }

    @Test
    void privateMemoryKeepsItsContentsThroughHidingAndRefusals() throws Exception {
        try (RegionManager manager = new GuestRegionManagers(spaces).create("g", 32 * PAGE)) {
            backings.forEach(manager::addBacking);
            long secret = backings.get(2).id();
            Change build = manager.change("build");
            RegionId ram = build.add("ram", World.pages(0, 16), 255, RegionKind.RAM);
            build.addMapping(ram, World.pages(0, 16), secret, 0, true).map(ram, World.WRITABLE);
            build.commit();
            manager.memory().writeLong(8, 42);

            manager.change("hide").unmap(ram).commit();
            Change over = manager.change("over");
            RegionId device = over.add("device", World.pages(0, 4), 0, RegionKind.DEVICE);
            over.addMapping(device, World.pages(0, 4), backings.get(0).id(), 0, true)
                    .map(device, World.WRITABLE);
            LayoutException refused = assertThrows(LayoutException.class, over::commit);
            assertTrue(refused.getMessage().contains("would displace private memory"), refused.getMessage());
            assertThrows(
                    LayoutException.class,
                    () -> manager.change("move").move(ram, 16 * PAGE).commit());

            manager.change("show").map(ram, World.WRITABLE).commit();
            assertEquals(42, manager.memory().readLong(8));
            assertTrue(manager.checkDrift().clean(), manager.checkDrift().toString());

            manager.change("take away").removeMappings(ram, World.pages(0, 4)).commit();
            over.commit();
            assertEquals(mark(backings.get(0).id(), 0), readShown(manager, ram));
            assertTrue(manager.checkDrift().clean(), manager.checkDrift().toString());
        }
    }

    /** What shows at 0 once the RAM that wins there as a whole is out of the way. */
    private static long readShown(RegionManager manager, RegionId ram) throws MembackingException {
        manager.change("uncover").unmap(ram).commit();
        return manager.memory().readLong(0);
    }

    @Test
    void readersNeverSeeWrongMemoryWhileItIsReplacedHiddenAndShown() throws Exception {
        try (RegionManager manager = new GuestRegionManagers(spaces).create("g", 32 * PAGE)) {
            backings.forEach(manager::addBacking);
            long one = backings.get(0).id();
            long two = backings.get(1).id();
            Change build = manager.change("build");
            RegionId ram = build.add("ram", World.pages(0, 16), 255, RegionKind.RAM);
            build.addMapping(ram, World.pages(0, 16), one, 0, true).map(ram, World.WRITABLE);
            build.commit();
            AtomicBoolean stop = new AtomicBoolean();
            AtomicLong reads = new AtomicLong();
            AtomicLong wrong = new AtomicLong();
            Thread reader = new Thread(() -> {
                long gpa = 0;
                while (!stop.get()) {
                    gpa = (gpa + PAGE) % (16 * PAGE);
                    try {
                        long value = manager.memory().readLong(gpa);
                        if (value != mark(one, gpa) && value != mark(two, gpa)) {
                            wrong.incrementAndGet();
                        }
                    } catch (GuestAccessException e) {
                        // Hidden just then.
                    }
                    reads.incrementAndGet();
                }
            });
            reader.start();
            for (int i = 0; i < 300 || reads.get() < 20_000; i++) {
                manager.change("replace")
                        .addMapping(ram, World.pages(4, 8), i % 2 == 0 ? two : one, 4 * PAGE, true)
                        .commit();
                manager.change("hide").unmap(ram).commit();
                manager.change("show").map(ram, World.WRITABLE).commit();
            }
            stop.set(true);
            reader.join();
            assertEquals(0, wrong.get());
            assertTrue(manager.checkDrift().clean(), manager.checkDrift().toString());
        }
    }

    @Test
    void pinnedMemoryIsLockedAndUnlockedOnTheHost() throws Exception {
        World world = new World(spaces.create("g", 32 * PAGE), backings);
        RegionId ram =
                world.region("ram", World.pages(0, 4), 255, backings.get(0).id(), 0, World.WRITABLE);
        Attachment pinned = world.attach("p", World.following(), 0, java.util.OptionalLong.empty(), true);
        assertEquals(Attachment.Achieved.HOST_MEMORY, pinned.info().pin().achieved());
        world.manager
                .change("replace")
                .addMapping(ram, World.pages(1, 2), backings.get(1).id(), 0, true)
                .commit();
        pinned.close();
        world.checkClean();
        world.manager.close();
    }

    @Test
    void closingTheManagersClosesWhatTheyMade() throws Exception {
        int[] published = new int[2];
        GuestRegionManagers managers = new GuestRegionManagers(spaces, (manager, inspectable) -> {
            published[0]++;
            return () -> published[1]++;
        });
        RegionManager first = managers.create("a", 32 * PAGE);
        RegionManager second = managers.create("b", 32 * PAGE);
        first.close();
        managers.close();
        assertEquals(2, published[0]);
        assertEquals(2, published[1]);
        assertThrows(IllegalStateException.class, second::flatView);
        assertThrows(IllegalStateException.class, () -> managers.create("c", 32 * PAGE));
        assertThrows(IllegalStateException.class, () -> second.memory().readLong(0));
    }
}
