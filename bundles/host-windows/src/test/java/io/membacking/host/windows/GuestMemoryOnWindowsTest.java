package io.membacking.host.windows;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.access.GuestMemory;
import io.membacking.error.GuestAccessException;
import io.membacking.error.MembackingException;
import io.membacking.host.Backing;
import io.membacking.host.BackingRequest;
import io.membacking.mapping.MappingManager;
import io.membacking.mapping.internal.GuestMappingManagers;
import io.membacking.range.MemoryRange;
import io.membacking.region.Change;
import io.membacking.region.MapParameters;
import io.membacking.region.RegionId;
import io.membacking.region.RegionKind;
import io.membacking.region.RegionManager;
import io.membacking.region.internal.GuestRegionManagers;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** A guest's memory above this host: where a view is cut, nobody meets the addresses that are inaccessible meanwhile. */
class GuestMemoryOnWindowsTest {
    private static final int PAGES = 64;

    private final WindowsHostMemory host = OnWindows.here() ? new WindowsHostMemory() : null;
    private final GuestMappingManagers spaces = host == null ? null : new GuestMappingManagers(host);
    private final long page = host == null ? 0 : host.capabilities().mappingGranularity();

    @BeforeAll
    static void onWindows() {
        OnWindows.require(GuestMemoryOnWindowsTest.class);
    }

    @AfterEach
    void close() {
        spaces.close();
        host.close();
    }

    private MemoryRange pages(long from, long count) {
        return MemoryRange.ofLength(from * page, count * page);
    }

    private Backing marked(String name, long mark) throws Exception {
        Backing backing = host.allocate(BackingRequest.shared(name, PAGES * page));
        for (int i = 0; i < PAGES; i++) {
            backing.write(i * page, new byte[] {(byte) (mark + i)}, 0, 1);
        }
        return backing;
    }

    @Test
    void whatWouldBeInaccessibleMustBeInTransition() throws Exception {
        try (MappingManager space = spaces.create("g", PAGES * page);
                Backing ram = marked("ram", 0)) {
            space.map(pages(0, 16), ram, 0);
            var shown = space.begin(List.of(), java.time.Duration.ofSeconds(1));
            shown.publish(List.of(new io.membacking.mapping.AccessPiece(
                    pages(0, 16), io.membacking.mapping.AccessPiece.Access.READ_WRITE)));
            assertEquals(pages(0, 16), space.disturbed(pages(4, 1)));
            var change = space.begin(List.of(pages(4, 1)), java.time.Duration.ofSeconds(1));
            assertThrows(IllegalStateException.class, () -> space.map(pages(4, 1), ram, 0));
            change.abandon();
            assertEquals(7, space.memory().readByte(7 * page));
        }
    }

    /** Without placeholders: regions smaller than what can be mapped alone are one mapping, and other memory cannot come there. */
    @Test
    void smallRegionsOfOneBackingNeedNoPlaceholders() throws Exception {
        long small = 0x4000;
        try (WindowsHostMemory older = new WindowsHostMemory(HostFacts::withoutPlaceholders);
                GuestMappingManagers olderSpaces = new GuestMappingManagers(older);
                RegionManager guest = new GuestRegionManagers(olderSpaces).create("g", 0x100000);
                Backing ram = older.allocate(BackingRequest.shared("ram", 0x100000))) {
            guest.addBacking(ram);
            Change build = guest.change("build");
            List<RegionId> segments = new ArrayList<>();
            for (long at = 0; at < 0x100000; at += small) {
                RegionId id = build.add("ram", MemoryRange.ofLength(at, small), 0, RegionKind.RAM);
                build.addMapping(id, MemoryRange.ofLength(0, small), ram.id(), at, true)
                        .map(id, MapParameters.RAM);
                segments.add(id);
            }
            build.commit();
            guest.memory().writeByte(0xc4000, (byte) 5);
            guest.change("hide").unmap(segments.get(0xc4000 / (int) small)).commit();
            assertThrows(GuestAccessException.class, () -> guest.memory().readByte(0xc4000));
            guest.change("show")
                    .map(segments.get(0xc4000 / (int) small), MapParameters.RAM)
                    .commit();
            assertEquals(5, guest.memory().readByte(0xc4000));
            Change over = guest.change("over");
            RegionId device = over.add("device", MemoryRange.ofLength(0xc4000, small), 255, RegionKind.DEVICE);
            over.addMapping(device, MemoryRange.ofLength(0, small), ram.id(), 0, true)
                    .map(device, MapParameters.RAM);
            String refused =
                    assertThrows(MembackingException.class, over::commit).getMessage();
            assertTrue(refused.contains("has no placeholders"), refused);
            assertEquals(5, guest.memory().readByte(0xc4000));
            assertTrue(guest.checkDrift().clean());
        }
    }

    /** Cutting the guest's RAM anywhere, putting it back, hiding it: readers of all the rest go on without one wrong byte. */
    @Test
    void readersNeverMeetACutView() throws Exception {
        long seed = System.nanoTime();
        AtomicBoolean stop = new AtomicBoolean();
        AtomicLong reads = new AtomicLong();
        ExecutorService readers = Executors.newFixedThreadPool(2);
        try (RegionManager guest = new GuestRegionManagers(spaces).create("g", PAGES * page);
                Backing ram = marked("ram", 0);
                Backing device = marked("device", 100)) {
            guest.addBacking(ram);
            guest.addBacking(device);
            List<Future<?>> ends = new ArrayList<>();
            GuestMemory memory = guest.memory();
            long enough = System.nanoTime() + TimeUnit.SECONDS.toNanos(3);
            for (int round = 0; round < 12 || System.nanoTime() < enough; round++) {
                Change build = guest.change("build");
                RegionId whole = build.add("ram", pages(0, PAGES), 0, RegionKind.RAM);
                build.addMapping(whole, pages(0, PAGES), ram.id(), 0, true).map(whole, MapParameters.RAM);
                build.commit();
                if (ends.isEmpty()) {
                    for (int i = 0; i < 2; i++) {
                        Random random = new Random(seed + i);
                        ends.add(readers.submit(() -> {
                            while (!stop.get()) {
                                int at = random.nextInt(PAGES);
                                try {
                                    int seen = memory.readByte(at * page) & 0xff;
                                    if (seen != at && seen != 100 + at) {
                                        throw new AssertionError("page " + at + " reads " + seen + ", seed " + seed);
                                    }
                                    memory.writeByte(at * page + 8, (byte) at);
                                    reads.incrementAndGet();
                                } catch (GuestAccessException hidden) {
                                    // between two rounds there is nothing
                                }
                            }
                        }));
                    }
                }
                Random random = new Random(seed + 10 + round);
                List<RegionId> devices = new ArrayList<>();
                for (int i = 0; i < 6; i++) {
                    int from = random.nextInt(PAGES);
                    int count = 1 + random.nextInt(Math.min(8, PAGES - from));
                    Change over = guest.change("over");
                    if (devices.size() > 3) {
                        over.remove(devices.remove(random.nextInt(devices.size())));
                    }
                    RegionId id = over.add("device", pages(from, count), 255, RegionKind.DEVICE);
                    over.addMapping(id, pages(0, count), device.id(), from * page, true)
                            .map(id, MapParameters.RAM);
                    over.commit();
                    devices.add(id);
                    assertTrue(
                            guest.checkDrift().clean(), () -> guest.checkDrift().toString());
                }
                Change away = guest.change("away");
                devices.forEach(away::remove);
                away.remove(whole);
                away.commit();
                assertEquals(List.of(), guest.mappings().observe());
            }
            stop.set(true);
            for (Future<?> end : ends) {
                end.get(20, TimeUnit.SECONDS);
            }
            assertTrue(reads.get() > 1000, "only " + reads + " reads");
        } finally {
            stop.set(true);
            readers.shutdown();
        }
    }
}
