package io.membacking.mapping.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.membacking.mapping.HeldMemory;
import io.membacking.range.MemoryRange;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Against a naive oracle: what each page holds. */
class HoldingsTest {
    private static final int PAGE = MemoryRange.PAGE_SIZE;
    private static final int PAGES = 64;

    private final long seed = System.nanoTime();
    private final Random random = new Random(seed);

    /** For each page, 0 or the backing; and the page of the backing. */
    private final long[] backings = new long[PAGES];

    private final long[] offsets = new long[PAGES];

    @Test
    void theBookAgreesWithWhatEachPageHolds() {
        Holdings holdings = new Holdings();
        for (int round = 0; round < 20_000; round++) {
            int start = random.nextInt(PAGES);
            int end = start + 1 + random.nextInt(Math.min(PAGES - start, 12));
            MemoryRange range = range(start, end);
            long backing = random.nextInt(3);
            // Often the page of its own number, so that neighbours are contiguous.
            long offset = random.nextBoolean() ? start : random.nextInt(8);
            if (backing == 0) {
                holdings.remove(range);
            } else {
                holdings.put(range, backing, offset * PAGE);
            }
            for (int page = start; page < end; page++) {
                backings[page] = backing;
                offsets[page] = offset + page - start;
            }
            assertEquals(oracle(), holdings.list(), () -> "seed " + seed);
            MemoryRange asked = range(random.nextInt(PAGES / 2), PAGES / 2 + 1 + random.nextInt(PAGES / 2));
            assertEquals(oracleGaps(asked), holdings.gaps(asked), () -> "seed " + seed + " at " + asked);
        }
    }

    private List<HeldMemory> oracle() {
        List<HeldMemory> held = new ArrayList<>();
        int start = 0;
        for (int page = 1; page <= PAGES; page++) {
            boolean same = page < PAGES
                    && backings[page] == backings[start]
                    && (backings[page] == 0 || offsets[page] - offsets[start] == page - start);
            if (!same) {
                if (backings[start] != 0) {
                    held.add(new HeldMemory(range(start, page), backings[start], offsets[start] * PAGE));
                }
                start = page;
            }
        }
        return held;
    }

    private List<MemoryRange> oracleGaps(MemoryRange range) {
        List<MemoryRange> gaps = new ArrayList<>();
        long gap = -1;
        for (long page = range.start() / PAGE; page <= range.end() / PAGE; page++) {
            boolean empty = page < range.end() / PAGE && backings[(int) page] == 0;
            if (empty && gap < 0) {
                gap = page;
            } else if (!empty && gap >= 0) {
                gaps.add(range((int) gap, (int) page));
                gap = -1;
            }
        }
        return gaps;
    }

    private static MemoryRange range(int startPage, int endPage) {
        return new MemoryRange((long) startPage * PAGE, (long) endPage * PAGE);
    }
}
