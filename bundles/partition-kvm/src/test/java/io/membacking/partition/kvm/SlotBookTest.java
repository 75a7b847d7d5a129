package io.membacking.partition.kvm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.partition.PartitionMapping;
import io.membacking.partition.contract.TestRam;
import io.membacking.range.MemoryRange;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;

class SlotBookTest {
    private static final int CAPACITY = 12;

    @Test
    void agreesWithAPlainListOverAnyAddsAndRemoves() {
        long seed = new Random().nextLong();
        Random random = new Random(seed);
        try (TestRam ram = new TestRam(0x1000)) {
            SlotBook book = new SlotBook(CAPACITY);
            List<SlotBook.Slot> plain = new ArrayList<>();
            for (int i = 0; i < 20_000; i++) {
                // At both ends of the address space, since the order is unsigned.
                long base = random.nextBoolean() ? 0x7ffffffffffff000L - 0x10000 : 0;
                MemoryRange range =
                        MemoryRange.ofLength(base + random.nextInt(40) * 0x1000L, (1 + random.nextInt(6)) * 0x1000L);
                boolean overlaps =
                        plain.stream().anyMatch(slot -> slot.mapping().range().overlaps(range));
                String where = "seed " + seed + " step " + i;
                assertEquals(overlaps, book.overlapping(range).isPresent(), where);
                boolean covered = true;
                for (long page = range.start(); page < range.end() || page - range.end() < 0; page += 0x1000) {
                    long at = page;
                    covered &= plain.stream()
                            .anyMatch(slot -> slot.mapping().range().contains(at));
                }
                assertEquals(covered, book.covers(range), where);
                assertEquals(plain.size() == CAPACITY, book.isFull(), where);
                if (!overlaps && !book.isFull()) {
                    SlotBook.Slot slot = book.add(ram.at(range, 0, true));
                    assertTrue(slot.id() >= 0 && slot.id() < CAPACITY, where);
                    plain.add(slot);
                } else if (!plain.isEmpty()) {
                    SlotBook.Slot gone = plain.remove(random.nextInt(plain.size()));
                    assertEquals(gone, book.exactly(gone.mapping().range()).orElseThrow(), where);
                    book.remove(gone);
                    assertFalse(book.exactly(gone.mapping().range()).isPresent(), where);
                }
                Set<Integer> ids = new HashSet<>();
                plain.forEach(slot -> ids.add(slot.id()));
                assertEquals(plain.size(), ids.size(), where);
                List<PartitionMapping> sorted = new ArrayList<>();
                plain.forEach(slot -> sorted.add(slot.mapping()));
                sorted.sort((a, b) -> a.range().compareTo(b.range()));
                assertEquals(sorted, book.mappings(), where);
            }
        }
    }
}
