package io.membacking.region.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.range.MemoryRange;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class RangeTreeTest {
    private record Entry(long start, long end, long tie) {}

    @Test
    void findsWhatAListFindsThroughRandomChangesAndLeavesOldTreesAlone() {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        List<Entry> list = new ArrayList<>();
        RangeTree<Entry> tree = RangeTree.empty();
        for (int i = 0; i < 3000; i++) {
            RangeTree<Entry> old = tree;
            List<Entry> oldList = List.copyOf(list);
            if (random.nextInt(3) > 0 || list.isEmpty()) {
                long start = random.nextInt(100) * 4096L + (random.nextBoolean() ? 0 : 0xffff_ffff_0000_0000L);
                Entry entry = new Entry(start, start + (1 + random.nextInt(20)) * 4096L, random.nextInt(3));
                list.removeIf(e -> e.start == entry.start && e.tie == entry.tie);
                list.add(entry);
                tree = tree.with(entry.start, entry.end, entry.tie, entry);
            } else {
                Entry entry = list.remove(random.nextInt(list.size()));
                tree = tree.without(entry.start, entry.tie);
            }
            MemoryRange asked = MemoryRange.ofLength(random.nextInt(110) * 4096L, (1 + random.nextInt(5)) * 4096L);
            String message = "seed " + seed + ", change " + i;
            assertEquals(sorted(list), tree.values(), message);
            assertEquals(list.size(), tree.size(), message);
            assertEquals(
                    sorted(list.stream().filter(e -> range(e).overlaps(asked)).toList()),
                    tree.overlapping(asked),
                    message);
            assertEquals(
                    sorted(list.stream()
                            .filter(e -> range(e).overlaps(asked) || e.end == asked.start() || e.start == asked.end())
                            .toList()),
                    tree.touching(asked),
                    message);
            assertEquals(
                    sorted(list.stream()
                            .filter(e -> range(e).contains(asked.start()))
                            .toList()),
                    tree.containing(asked.start()),
                    message);
            assertEquals(sorted(oldList), old.values(), message);
        }
    }

    @Test
    void costOfFindingFollowsWhatIsFound() {
        int[] looked = new int[2];
        int[] sizes = {16, 8192};
        for (int s = 0; s < 2; s++) {
            RangeTree<Integer> tree = RangeTree.empty();
            for (int i = 0; i < sizes[s]; i++) {
                tree = tree.with(i * 8192L, i * 8192L + 4096, 0, i);
            }
            // One large one over all: it must not make the small ones be looked at.
            tree = tree.with(0, sizes[s] * 8192L, 1, -1);
            for (int i = 0; i < sizes[s]; i++) {
                List<Integer> found = new ArrayList<>();
                looked[s] = Math.max(looked[s], tree.collect(i * 8192L, i * 8192L + 4095, found));
                assertTrue(found.contains(i) && found.contains(-1) && found.size() == 2);
            }
        }
        assertTrue(looked[1] < 100, "looked at " + looked[1] + " of 8193 entries; at " + looked[0] + " of 17");
    }

    private static MemoryRange range(Entry entry) {
        return new MemoryRange(entry.start, entry.end);
    }

    private static List<Entry> sorted(List<Entry> entries) {
        return entries.stream()
                .sorted(Comparator.<Entry, Long>comparing(Entry::start, Long::compareUnsigned)
                        .thenComparing(Entry::tie))
                .toList();
    }
}
