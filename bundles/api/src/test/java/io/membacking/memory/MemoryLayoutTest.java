package io.membacking.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.error.LayoutException;
import io.membacking.range.MemoryRange;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;

class MemoryLayoutTest {
    private static final MemoryRange LOW = new MemoryRange(0, 0x10000);
    private static final MemoryRange GAP = new MemoryRange(0x10000, 0x20000);
    private static final MemoryRange HIGH = new MemoryRange(0x20000, 0x30000);
    private static final MemoryRange VTL2 = new MemoryRange(0x30000, 0x38000);

    private static MemoryLayout layout(List<MemoryRange> ram, List<MemoryRange> mmio, Optional<MemoryRange> vtl2)
            throws LayoutException {
        return MemoryLayout.of(ram.stream().map(RamRange::of).toList(), mmio, vtl2);
    }

    @Test
    void layoutTellsItsEndAndItsSize() throws LayoutException {
        MemoryLayout layout = layout(List.of(LOW, HIGH), List.of(GAP), Optional.of(VTL2));
        assertEquals(0x38000, layout.end());
        assertEquals(0x28000, layout.ramSize());
        assertEquals(
                0x20000, layout(List.of(LOW), List.of(GAP), Optional.empty()).end());
        assertEquals(MemoryLayout.flat(0x10000), layout(List.of(LOW), List.of(), Optional.empty()));
    }

    @Test
    void clashNamesBothRanges() {
        MemoryRange across = new MemoryRange(0xf000, 0x11000);
        for (LayoutCall call : List.<LayoutCall>of(
                () -> layout(List.of(LOW, across), List.of(), Optional.empty()),
                () -> layout(List.of(LOW), List.of(across), Optional.empty()),
                () -> layout(List.of(LOW), List.of(), Optional.of(across)))) {
            String message = assertThrows(LayoutException.class, call::make).getMessage();
            assertTrue(message.contains(LOW.toString()) && message.contains(across.toString()), message);
        }
    }

    @Test
    void ramOutOfOrderAndNoRamAreRefused() {
        String message = assertThrows(
                        LayoutException.class, () -> layout(List.of(HIGH, LOW), List.of(), Optional.empty()))
                .getMessage();
        assertTrue(message.contains(LOW.toString()) && message.contains(HIGH.toString()), message);
        assertThrows(LayoutException.class, () -> layout(List.of(), List.of(GAP), Optional.empty()));
    }

    @Test
    void layoutIsAcceptedExactlyIfItsRangesAreDisjoint() {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        for (int i = 0; i < 20_000; i++) {
            List<MemoryRange> all = new ArrayList<>();
            for (int j = 0; j < 2 + random.nextInt(4); j++) {
                long start = random.nextInt(60);
                all.add(MemoryRange.ofLength(start << 12, (1L + random.nextInt(8)) << 12));
            }
            boolean disjoint = true;
            for (int a = 0; a < all.size(); a++) {
                for (int b = 0; b < a; b++) {
                    disjoint &= !all.get(a).overlaps(all.get(b));
                }
            }
            boolean accepted = true;
            try {
                layout(List.of(all.get(0)), all.subList(1, all.size()), Optional.empty());
            } catch (LayoutException e) {
                accepted = false;
            }
            assertEquals(disjoint, accepted, "seed " + seed + ": " + all);
        }
    }

    private interface LayoutCall {
        MemoryLayout make() throws LayoutException;
    }
}
