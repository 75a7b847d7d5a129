package io.membacking.memory.internal;

import static io.membacking.memory.internal.Rig.MIB;
import static io.membacking.memory.internal.Rig.PAGE;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.error.GuestAccessException;
import io.membacking.error.LayoutException;
import io.membacking.host.Backing;
import io.membacking.memory.DeviceMemory;
import io.membacking.memory.GuestMemoryManager;
import io.membacking.range.MemoryRange;
import io.membacking.region.Attachment;
import io.membacking.region.Attachment.Achieved;
import io.membacking.region.ProcessorGate;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(120)
class DeviceMemoryTest {
    private static final long RAM = 4 * MIB;
    private final Rig rig = new Rig();
    private GuestMemoryManager guest;

    @BeforeEach
    void build() throws Exception {
        guest = rig.memories.builder("g").layout(Rig.withGap(RAM)).build();
    }

    @AfterEach
    void close() {
        rig.close();
    }

    @Test
    void whatIsMappedWhileItIsOutAppearsWhenItIsPlacedAndMovesWithIt() throws Exception {
        DeviceMemory device = guest.createDeviceMemory("bar", 4 * PAGE);
        Backing backing = filled("bar", 4);
        device.mappings().map(new MemoryRange(PAGE, 3 * PAGE), backing, 2 * PAGE, true);
        assertEquals(Optional.empty(), device.control().placed());
        assertEquals(List.of(new MemoryRange(PAGE, 3 * PAGE)), device.mappings().mapped());

        device.control().place(RAM, true);
        assertEquals(
                Optional.of(MemoryRange.ofLength(RAM, 4 * PAGE)),
                device.control().placed());
        assertEquals(List.of("-", "2", "3", "-"), pages(RAM, 4));
        int commits = guest.regions().journal().size();
        device.control().place(RAM + MIB, true);
        assertEquals(commits + 1, guest.regions().journal().size());
        assertEquals(List.of("-", "-", "-", "-"), pages(RAM, 4));
        assertEquals(List.of("-", "2", "3", "-"), pages(RAM + MIB, 4));
        device.control().remove();
        assertEquals(List.of("-", "-", "-", "-"), pages(RAM + MIB, 4));
        assertEquals(List.of(new MemoryRange(PAGE, 3 * PAGE)), device.mappings().mapped());
        device.control().place(RAM, true);
        assertEquals(List.of("-", "2", "3", "-"), pages(RAM, 4));
        assertTrue(guest.regions().checkDrift().clean());
    }

    @Test
    void itIsPlacedReadOnlyAndThenOtherwise() throws Exception {
        DeviceMemory rom = guest.createDeviceMemory("rom", PAGE);
        rom.mappings().map(new MemoryRange(0, PAGE), filled("rom", 1), 0, true);
        rom.control().place(RAM, false);
        assertEquals(0, guest.memory().readByte(RAM));
        assertThrows(GuestAccessException.class, () -> guest.memory().writeByte(RAM, (byte) 1));
        rom.control().place(RAM, true);
        guest.memory().writeByte(RAM, (byte) 1);
        // The mapping's own read-only counts as well.
        rom.mappings().map(new MemoryRange(0, PAGE), filled("rom2", 1), 0, false);
        assertThrows(GuestAccessException.class, () -> guest.memory().writeByte(RAM, (byte) 1));
    }

    @Test
    void ramHidesIt() throws Exception {
        DeviceMemory device = guest.createDeviceMemory("under", 2 * PAGE);
        device.mappings().map(new MemoryRange(0, 2 * PAGE), filled("under", 2), 0, true);
        guest.memory().writeByte(RAM - PAGE, (byte) 77);
        device.control().place(RAM - PAGE, true);
        assertEquals(List.of("77", "1"), pages(RAM - PAGE, 2));
    }

    @Test
    void mappingsAreAsMmapWouldLeaveThem() throws Exception {
        int pages = 16;
        DeviceMemory device = guest.createDeviceMemory("bar", pages * PAGE);
        Backing[] backings = {filled("a", pages), filled("b", pages)};
        String[] expected = new String[pages];
        java.util.Arrays.fill(expected, "-");
        long seed = System.nanoTime();
        Random random = new Random(seed);
        long at = RAM;
        for (int i = 0; i < 400; i++) {
            int first = random.nextInt(pages);
            int count = 1 + random.nextInt(pages - first);
            MemoryRange offsets = MemoryRange.ofLength(first * PAGE, count * PAGE);
            switch (random.nextInt(4)) {
                case 0 -> {
                    device.mappings().unmap(offsets);
                    java.util.Arrays.fill(expected, first, first + count, "-");
                }
                case 1 -> {
                    if (random.nextInt(4) == 0) {
                        device.control().remove();
                        assertEquals(List.of("-"), pages(at, 1));
                    }
                    at = RAM + random.nextInt(500) * PAGE;
                    device.control().place(at, true);
                }
                default -> {
                    int from = random.nextInt(pages - count + 1);
                    device.mappings().map(offsets, backings[random.nextInt(2)], from * PAGE, random.nextBoolean());
                    for (int page = 0; page < count; page++) {
                        expected[first + page] = Integer.toString(from + page);
                    }
                }
            }
            if (device.control().placed().isPresent()) {
                assertEquals(List.of(expected), pages(at, pages), "seed " + seed + " step " + i);
            }
            List<MemoryRange> mapped = device.mappings().mapped();
            for (int page = 0; page < pages; page++) {
                long offset = page * PAGE;
                assertEquals(
                        !expected[page].equals("-"),
                        mapped.stream().anyMatch(range -> range.contains(offset)),
                        "seed " + seed + " step " + i);
            }
        }
        assertTrue(guest.regions().checkDrift().clean());
    }

    @Test
    void closingTakesItOutAndEndsItAlone() throws Exception {
        DeviceMemory one = guest.createDeviceMemory("one", PAGE);
        DeviceMemory two = guest.createDeviceMemory("one", PAGE);
        one.mappings().map(new MemoryRange(0, PAGE), filled("one", 1), 0, true);
        one.control().place(RAM, true);
        assertEquals(List.of(one, two), guest.deviceMemory());
        one.close();
        one.close();
        assertEquals(List.of("-"), pages(RAM, 1));
        assertEquals(List.of(two), guest.deviceMemory());
        assertEquals(2, guest.regions().regions().size());
        IllegalStateException closed =
                assertThrows(IllegalStateException.class, () -> one.control().place(RAM, true));
        assertTrue(closed.getMessage().contains("'one' is closed"), closed.getMessage());
        assertThrows(IllegalStateException.class, () -> one.control().remove());
        assertThrows(IllegalStateException.class, () -> one.control().placed());
        assertThrows(IllegalStateException.class, () -> one.mappings().unmap(new MemoryRange(0, PAGE)));
        assertEquals("one", one.name());
        assertEquals(PAGE, one.length());
    }

    @Test
    void aDeviceWhoseRegionWasTakenAwayClosesToo() throws Exception {
        DeviceMemory device = guest.createDeviceMemory("gone", PAGE);
        guest.regions()
                .change("by other means")
                .remove(guest.regions().regions().get(1).id())
                .commit();
        assertThrows(IllegalStateException.class, () -> device.control().placed());
        device.close();
        assertEquals(List.of(), guest.deviceMemory());
    }

    @Test
    void whatDoesNotFitIsRefusedAndEverythingStays() throws Exception {
        DeviceMemory device = guest.createDeviceMemory("bar", 2 * PAGE);
        device.mappings().map(new MemoryRange(0, PAGE), filled("bar", 1), 0, true);
        device.control().place(RAM, true);
        long end = guest.regions().size();
        for (long gpa : new long[] {end - PAGE, end, 1L << 62, -PAGE, -2 * PAGE}) {
            assertThrows(LayoutException.class, () -> device.control().place(gpa, true));
        }
        assertThrows(IllegalArgumentException.class, () -> device.control().place(RAM + 1, true));
        device.control().place(end - 2 * PAGE, true);
        device.control().place(RAM, true);
        assertThrows(LayoutException.class, () -> guest.createDeviceMemory("huge", end + PAGE));
        for (long length : new long[] {0, -PAGE, 100}) {
            assertThrows(IllegalArgumentException.class, () -> guest.createDeviceMemory("odd", length));
        }
        Backing small = filled("small", 1);
        assertThrows(LayoutException.class, () -> device.mappings().map(new MemoryRange(0, 2 * PAGE), small, 0, true));
        assertThrows(LayoutException.class, () -> device.mappings()
                .map(new MemoryRange(PAGE, 3 * PAGE), filled("b", 2), 0, true));
        assertEquals(List.of("0", "-"), pages(RAM, 2));
    }

    @Test
    void backingsThatAreNoLongerMappedAreForgottenInTheEnd() throws Exception {
        DeviceMemory device = guest.createDeviceMemory("dax", PAGE);
        MemoryRange page = new MemoryRange(0, PAGE);
        long first = 0;
        long last = 0;
        for (int i = 0; i < 3 * BorrowedBackings.KEPT; i++) {
            Backing backing = rig.host.allocate(io.membacking.host.BackingRequest.shared("file" + i, PAGE));
            device.mappings().map(page, backing, 0, true);
            if (i > 0) {
                last = backing.id();
            } else {
                first = backing.id();
            }
            if (i < 3 * BorrowedBackings.KEPT - 1) {
                device.mappings().unmap(page);
                backing.close();
            }
        }
        assertEquals(Optional.empty(), guest.regions().backing(first));
        assertTrue(guest.regions().backing(last).isPresent());
    }

    @Test
    void whatWasAllocatedIsClosedWithTheGuest() throws Exception {
        Backing kept = guest.allocate("kept", PAGE);
        Backing closed = guest.allocate("closed", PAGE);
        closed.close();
        guest.close();
        assertThrows(IllegalStateException.class, kept::descriptor);
    }

    @Test
    void vtl2SeesEverythingAgainAtTheAliasOffsetAndOthersDoNot() throws Exception {
        long alias = 1L << 32;
        GuestMemoryManager layered = rig.memories
                .builder("layered")
                .layout(Rig.withGap(MIB))
                .aliasMapOffset(alias)
                .build();
        RecordingPartition vtl0 = new RecordingPartition(false);
        RecordingPartition vtl2 = new RecordingPartition(false);
        layered.attach("vtl0", vtl0, ProcessorGate.NONE, 0, OptionalLong.empty());
        Attachment attachment = layered.attach("vtl2", vtl2, ProcessorGate.NONE, 2, OptionalLong.empty());
        assertEquals(List.of("0x0-0x100000 rw"), vtl0.view());
        assertEquals(List.of("0x0-0x100000 rw", "0x100000000-0x100100000 rw"), vtl2.view());
        DeviceMemory device = layered.createDeviceMemory("d", PAGE);
        device.mappings().map(new MemoryRange(0, PAGE), layered.allocate("d", PAGE), 0, true);
        device.control().place(MIB + PAGE, false);
        assertEquals(
                List.of(
                        "0x0-0x100000 rw",
                        "0x101000-0x102000 ro",
                        "0x100000000-0x100100000 rw",
                        "0x100101000-0x100102000 ro"),
                vtl2.view());
        attachment.close();
        assertEquals(List.of(), vtl2.view());
    }

    @Test
    void pinningSaysWhatWasAchieved() throws Exception {
        GuestMemoryManager pinned = rig.memories
                .builder("pinned")
                .layout(io.membacking.memory.MemoryLayout.flat(16 * PAGE))
                .pinning(true)
                .build();
        RecordingPartition able = new RecordingPartition(true);
        Attachment inTables = pinned.attach("able", able, ProcessorGate.NONE, 0, OptionalLong.empty());
        assertEquals(Achieved.PARTITION, inTables.info().pin().achieved());
        assertEquals(List.of(MemoryRange.ofLength(0, 16 * PAGE)), able.pinned);
        Attachment inHost =
                pinned.attach("unable", new RecordingPartition(false), ProcessorGate.NONE, 0, OptionalLong.empty());
        assertTrue(inHost.info().pin().asked());
        assertEquals(Achieved.HOST_MEMORY, inHost.info().pin().achieved());
        Attachment plain =
                guest.attach("plain", new RecordingPartition(true), ProcessorGate.NONE, 0, OptionalLong.empty());
        assertFalse(plain.info().pin().asked());
    }

    /** A backing whose pages hold their numbers. */
    private Backing filled(String name, int pages) throws Exception {
        Backing backing = guest.allocate(name, pages * PAGE);
        for (int page = 0; page < pages; page++) {
            backing.write(page * PAGE, new byte[] {(byte) page}, 0, 1);
        }
        return backing;
    }

    /** The first byte of each page, or a dash where there is none. */
    private List<String> pages(long gpa, int count) {
        String[] pages = new String[count];
        for (int page = 0; page < count; page++) {
            try {
                pages[page] = Byte.toString(guest.memory().readByte(gpa + page * PAGE));
            } catch (GuestAccessException e) {
                pages[page] = "-";
            }
        }
        return List.of(pages);
    }
}
