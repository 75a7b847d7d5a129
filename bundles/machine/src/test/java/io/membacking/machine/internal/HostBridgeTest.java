package io.membacking.machine.internal;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.error.Failure;
import io.membacking.error.HostMappingException;
import io.membacking.error.MembackingException;
import io.membacking.memory.RamVisibility;
import io.membacking.range.MemoryRange;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class HostBridgeTest {
    /** What the data sheet says, register by register: the oracle. -1 is a half that controls nothing. */
    private static final long[][] SEGMENT_STARTS = {
        {-1, 0xf0000},
        {0xc0000, 0xc4000},
        {0xc8000, 0xcc000},
        {0xd0000, 0xd4000},
        {0xd8000, 0xdc000},
        {0xe0000, 0xe4000},
        {0xe8000, 0xec000},
    };

    private static final RamVisibility[] BY_BITS = {
        RamVisibility.UNMAPPED, RamVisibility.READ_ONLY, RamVisibility.UNMAPPED, RamVisibility.READ_WRITE
    };

    private final RecordingRam ram = new RecordingRam();
    private final HostBridge bridge = new HostBridge(ram);

    @Test
    void anyWriteGivesTheVisibilitiesOfTheDataSheetInAtMostOneChange() throws Exception {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        int[] registers = new int[7];
        Map<Long, RamVisibility> expected = new HashMap<>();
        for (int i = 0; i < 13; i++) {
            expected.put(i == 12 ? 0xf0000L : 0xc0000L + i * 0x4000L, RamVisibility.UNMAPPED);
        }
        for (int round = 0; round < 20_000; round++) {
            int size = 1 << random.nextInt(3);
            int offset = 0x56 + random.nextInt(11);
            int value = random.nextInt();
            Map<Long, RamVisibility> before = Map.copyOf(expected);
            for (int i = 0; i < size; i++) {
                int register = offset + i - 0x59;
                if (register >= 0 && register < 7) {
                    registers[register] = (value >>> (8 * i)) & (register == 0 ? 0x30 : 0x33);
                    for (int half = 0; half < 2; half++) {
                        if (SEGMENT_STARTS[register][half] >= 0) {
                            expected.put(
                                    SEGMENT_STARTS[register][half], BY_BITS[(registers[register] >> (4 * half)) & 3]);
                        }
                    }
                }
            }
            ram.changes.clear();
            bridge.writeConfig(offset, size, value);

            String where = "seed " + seed + " round " + round;
            assertEquals(expected, ram.visible(), where);
            assertEquals(before.equals(expected) ? 0 : 1, ram.changes.size(), where);
            for (int register = 0; register < 7; register++) {
                assertEquals(registers[register], bridge.readConfig(0x59 + register, 1), where);
            }
        }
    }

    @Test
    void aChangeNamesOnlyTheSegmentsThatDiffer() throws Exception {
        bridge.writeConfig(0x5a, 1, 0x33);
        ram.changes.clear();
        // 0x59 = 0x30, 0x5a = 0x13, 0x5b = 0.
        bridge.writeConfig(0x58, 4, 0x00133000);
        assertEquals(
                List.of(Map.of(
                        new MemoryRange(0xf0000, 0x100000), RamVisibility.READ_WRITE,
                        new MemoryRange(0xc4000, 0xc8000), RamVisibility.READ_ONLY)),
                ram.changes);
    }

    @Test
    void registersStayAsTheyWereWhenTheChangeFails() throws Exception {
        bridge.writeConfig(0x59, 1, 0x10);
        ram.failing = true;
        assertThrows(MembackingException.class, () -> bridge.writeConfig(0x58, 4, 0x33333000));
        assertEquals(0x10, bridge.readConfig(0x59, 1));
        assertEquals(0, bridge.readConfig(0x5a, 1));
        ram.failing = false;
        bridge.writeConfig(0x58, 4, 0x33333000);
        assertEquals(RamVisibility.READ_WRITE, ram.visible().get(0xf0000L));
    }

    @Test
    void writesToAWriteOnlySegmentReachItsRam() throws Exception {
        byte[] data = {1, 2, 3, 4};
        assertFalse(bridge.writeMemory(0xf0000, data));
        bridge.writeConfig(0x59, 1, 0x20);
        assertEquals(RamVisibility.UNMAPPED, ram.visible().get(0xf0000L));
        assertTrue(bridge.writeMemory(0xf0010, data));
        assertArrayEquals(data, ram.hiddenWrites.get(0xf0010L));
        // The first byte lies in a segment that is hidden.
        assertFalse(bridge.writeMemory(0xeffff, data));
        bridge.writeConfig(0x59, 1, 0x10);
        assertFalse(bridge.writeMemory(0xf0010, data));
    }

    @Test
    void itIsAnI440fx() {
        assertEquals(0x12378086, bridge.readConfig(0, 4));
        assertEquals(0x06000002, bridge.readConfig(8, 4));
        for (int bar = 0x10; bar < 0x28; bar += 4) {
            assertEquals(0, bridge.readConfig(bar, 4));
        }
    }

    private static final class RecordingRam implements HostBridge.LegacyRam {
        final List<Map<MemoryRange, RamVisibility>> changes = new ArrayList<>();
        final Map<Long, byte[]> hiddenWrites = new HashMap<>();
        private final Map<Long, RamVisibility> visible = new HashMap<>();
        boolean failing;

        RecordingRam() {
            PamSegment.ALL.forEach(segment -> visible.put(segment.range().start(), RamVisibility.UNMAPPED));
        }

        Map<Long, RamVisibility> visible() {
            return visible;
        }

        @Override
        public void setVisibility(String reason, Map<MemoryRange, RamVisibility> segments) throws MembackingException {
            if (failing) {
                throw new HostMappingException(Failure.of("map", null, "no room", ""));
            }
            changes.add(Map.copyOf(segments));
            segments.forEach((range, visibility) -> visible.put(range.start(), visibility));
        }

        @Override
        public void writeHidden(long gpa, byte[] data) {
            hiddenWrites.put(gpa, data.clone());
        }
    }
}
