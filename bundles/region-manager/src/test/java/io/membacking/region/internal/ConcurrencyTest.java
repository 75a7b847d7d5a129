package io.membacking.region.internal;

import static io.membacking.region.internal.World.OTHER;
import static io.membacking.region.internal.World.READ_ONLY;
import static io.membacking.region.internal.World.WRITABLE;
import static io.membacking.region.internal.World.pages;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.region.FlatPiece;
import io.membacking.region.RegionId;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;

class ConcurrencyTest {
    @Test
    void manyThreadsCommitLookAndCheckWithoutADriftOrATornView() throws Exception {
        World world = new World(64);
        GuestRegionManager manager = world.manager;
        world.attach("kvm", World.following());
        world.attach("whp", World.notFollowing());
        world.register("iommu", true);
        List<RegionId> regions = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            regions.add(world.region("r" + i, pages(i * 8, i * 8 + 12), i, 1 + i % 2, 0, WRITABLE));
        }
        // Two regions that are shown and hidden together: whoever looks sees both or neither.
        RegionId left = world.region("left", pages(40, 44), 9, OTHER, 0, WRITABLE);
        RegionId right = world.region("right", pages(50, 54), 9, OTHER, 0, WRITABLE);

        AtomicBoolean stop = new AtomicBoolean();
        ExecutorService threads = Executors.newCachedThreadPool();
        List<Future<Integer>> committing = new ArrayList<>();
        List<Future<Integer>> looking = new ArrayList<>();
        for (RegionId region : regions) {
            committing.add(threads.submit(() -> {
                for (int i = 0; i < 100; i++) {
                    manager.change("a")
                            .map(region, i % 2 == 0 ? READ_ONLY : WRITABLE)
                            .commit();
                    manager.change("b").unmap(region).commit();
                }
                return 1;
            }));
        }
        committing.add(threads.submit(() -> {
            for (int i = 0; i < 100; i++) {
                manager.change("both").unmap(left).unmap(right).commit();
                manager.change("both").map(left, WRITABLE).map(right, WRITABLE).commit();
            }
            return 1;
        }));
        looking.add(threads.submit(until(stop, () -> {
            List<FlatPiece> flat = manager.flatView();
            assertEquals(shows(flat, left), shows(flat, right));
        })));
        looking.add(threads.submit(until(stop, () -> {
            manager.explain(0x8000);
            manager.journal();
            manager.attachments().get(0).mappings();
        })));
        looking.add(threads.submit(until(
                stop,
                () -> assertTrue(
                        manager.checkDrift().clean(), () -> manager.checkDrift().toString()))));
        for (Future<Integer> future : committing) {
            future.get(60, TimeUnit.SECONDS);
        }
        stop.set(true);
        for (Future<Integer> future : looking) {
            assertTrue(future.get(60, TimeUnit.SECONDS) > 0);
        }
        threads.shutdown();
        world.checkClean();
        assertEquals(
                5 + 4 * 200,
                manager.counters().committed.get() + manager.counters().failed.get());
    }

    private static boolean shows(List<FlatPiece> flat, RegionId region) {
        return flat.stream().anyMatch(piece -> piece.region().equals(region));
    }

    private static Callable<Integer> until(AtomicBoolean stop, Runnable look) {
        return () -> {
            int looks = 0;
            while (!stop.get() || looks == 0) {
                look.run();
                looks++;
            }
            return looks;
        };
    }

    @Test
    void costOfAChangeFollowsWhatChangesAndNotHowMuchThereIs() throws Exception {
        long few = nanosOfAChange(16);
        long many = nanosOfAChange(8192);
        // A cost that followed the number of regions would be 512 times as high.
        assertTrue(many < 8 * few, "with 16 regions " + few + " ns, with 8,192 " + many + " ns");
    }

    private static long nanosOfAChange(int others) throws Exception {
        World world = new World(4 * 8192 + 64);
        world.attach("kvm", World.following());
        for (int i = 0; i < others; i++) {
            world.region("other", pages(64 + 4 * i, 66 + 4 * i), 0, OTHER, 0, null);
            if (i % 1024 == 0) {
                world.faults.none();
            }
        }
        // All of them mapped in one change.
        var change = world.manager.change("map all");
        world.manager.regions().forEach(region -> change.map(region.id(), WRITABLE));
        change.commit();
        RegionId ram = world.ram(0, 16);
        Faults faults = world.faults;
        long best = Long.MAX_VALUE;
        for (int i = 0; i < 300; i++) {
            faults.none();
            long begin = System.nanoTime();
            world.manager.plan(world.manager.change("hide").unmap(ram).operations());
            best = Math.min(best, System.nanoTime() - begin);
        }
        return best;
    }
}
