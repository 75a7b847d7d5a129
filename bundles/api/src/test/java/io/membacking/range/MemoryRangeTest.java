package io.membacking.range;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.BitSet;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class MemoryRangeTest {
    private static final int PAGE = MemoryRange.PAGE_SIZE;

    @Test
    void printsAsHalfOpenHexadecimal() {
        assertEquals("0x0-0x80000000", new MemoryRange(0, 0x80000000L).toString());
        assertEquals("0xffffffff00000000-0xfffffffffffff000", new MemoryRange(-1L << 32, -4096).toString());
    }

    @Test
    void whatIsNoRangeIsRefusedWithItsBounds() {
        for (long[] bounds :
                new long[][] {{0, 0}, {0x1000, 0}, {1, 0x1000}, {0, 0x1001}, {-4096, 0x1000}, {-4096, 0}}) {
            String message = assertThrows(IllegalArgumentException.class, () -> new MemoryRange(bounds[0], bounds[1]))
                    .getMessage();
            assertTrue(message.contains("0x" + Long.toHexString(bounds[0])), message);
        }
        for (long[] parts : new long[][] {{0, 0}, {0, -4096}, {-4096, 8192}, {0, 1}}) {
            assertThrows(IllegalArgumentException.class, () -> MemoryRange.ofLength(parts[0], parts[1]));
        }
        assertThrows(IllegalArgumentException.class, () -> new MemoryRange(-8192, -4096).shift(4096));
    }

    @Test
    void comparesUnsigned() {
        MemoryRange low = new MemoryRange(0x1000, 0x2000);
        MemoryRange high = new MemoryRange(-8192, -4096);
        assertTrue(low.compareTo(high) < 0);
        assertTrue(high.contains(-4097));
        assertTrue(new MemoryRange(0, -4096).contains(high));
    }

    /** Every operation against sets of pages, around 0 and around the sign bit. */
    @Test
    void operationsAgreeWithSetsOfPages() {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        for (int i = 0; i < 20_000; i++) {
            long base = random.nextBoolean() ? 0 : Long.MIN_VALUE - 16L * PAGE;
            MemoryRange a = random(random, base);
            MemoryRange b = random(random, base);
            BitSet pagesA = pages(a, base);
            BitSet both = pages(a, base);
            both.and(pages(b, base));
            BitSet onlyA = pages(a, base);
            onlyA.andNot(pages(b, base));
            String message = "seed " + seed + ": " + a + " and " + b;

            assertEquals(!both.isEmpty(), a.overlaps(b), message);
            assertEquals(both, a.intersection(b).map(r -> pages(r, base)).orElseGet(BitSet::new), message);
            assertEquals(onlyA, union(a.minus(b), base), message);
            assertEquals(both.equals(pages(b, base)), a.contains(b), message);
            assertEquals(pagesA.cardinality(), a.pages(), message);
            assertEquals(pagesA.get(17), a.contains(base + 17L * PAGE + 123), message);
        }
    }

    private static MemoryRange random(Random random, long base) {
        long start = random.nextInt(31);
        long end = start + 1 + random.nextInt((int) (32 - start));
        return new MemoryRange(base + start * PAGE, base + end * PAGE);
    }

    private static BitSet pages(MemoryRange range, long base) {
        BitSet pages = new BitSet();
        pages.set((int) ((range.start() - base) / PAGE), (int) ((range.end() - base) / PAGE));
        return pages;
    }

    private static BitSet union(List<MemoryRange> ranges, long base) {
        BitSet pages = new BitSet();
        ranges.forEach(r -> pages.or(pages(r, base)));
        return pages;
    }
}
