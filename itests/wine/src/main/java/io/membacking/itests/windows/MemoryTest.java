package io.membacking.itests.windows;

import static io.membacking.itests.windows.GuestMemories.OTHER_SEGMENT;
import static io.membacking.itests.windows.GuestMemories.SEGMENT;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.access.GuestMemory;
import io.membacking.error.GuestAccessException;
import io.membacking.error.MembackingException;
import io.membacking.host.Backing;
import io.membacking.memory.BackingChoice;
import io.membacking.memory.DeviceMemory;
import io.membacking.memory.GuestMemoryManager;
import io.membacking.memory.MemoryLayout;
import io.membacking.memory.RamVisibility;
import io.membacking.range.MemoryRange;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A guest's memory, without a hypervisor: what the monitor reads and writes while the host's mappings change beneath it. */
@Timeout(60)
class MemoryTest {
    private static final long OURS = 0x1122334455667788L;

    private final GuestMemories guests = new GuestMemories();

    @AfterEach
    void close() throws Exception {
        guests.close();
    }

    @Test
    void whatIsWrittenIsReadAcrossRegionBorders() throws Exception {
        GuestMemory memory = guests.memory("written").memory();
        byte[] written = new byte[12345];
        for (int i = 0; i < written.length; i++) {
            written[i] = (byte) (i * 31);
        }
        long at = SEGMENT.start() - 777;
        memory.write(at, written, 0, written.length);
        byte[] read = new byte[written.length];
        memory.read(at, read, 0, read.length);
        assertArrayEquals(written, read);
        assertEquals(written[777], memory.readByte(SEGMENT.start()));
    }

    @Test
    void accessesToNothingAndWritesToWhatIsReadOnlyNameTheFirstBadAddress() throws Exception {
        GuestMemoryManager manager = guests.memory("bad");
        GuestMemory memory = manager.memory();
        manager.setVisibility(SEGMENT, RamVisibility.UNMAPPED);
        long at = SEGMENT.start() - 4;
        assertEquals(
                SEGMENT.start(),
                assertThrows(GuestAccessException.class, () -> memory.readLong(at))
                        .firstBad());
        manager.setVisibility(SEGMENT, RamVisibility.READ_ONLY);
        assertEquals(0, memory.readLong(at));
        assertEquals(
                SEGMENT.start(),
                assertThrows(GuestAccessException.class, () -> memory.writeLong(at, -1))
                        .firstBad());
        assertThrows(GuestAccessException.class, () -> memory.readLong(-8));
    }

    @Test
    void whatCannotBeIsRefusedByNameAndLeavesNothing() throws Exception {
        assertThrows(MembackingException.class, () -> guests.managers
                .builder("again")
                .layout(MemoryLayout.flat(1L << 52))
                .build());
        GuestMemoryManager memory = guests.memory("again");
        assertThrows(
                MembackingException.class,
                () -> memory.setVisibility(new MemoryRange(0, 0x1000), RamVisibility.READ_ONLY));
        DeviceMemory device = memory.createDeviceMemory("device", SEGMENT.length());
        assertThrows(MembackingException.class, () -> device.control().place(1L << 40, true));
        assertTrue(device.control().placed().isEmpty());
        assertTrue(memory.regions().checkDrift().clean());
    }

    @Test
    void deviceMemoryComesMovesAndGoesInPieces() throws Exception {
        GuestMemoryManager manager = guests.memory("device");
        GuestMemory memory = manager.memory();
        long page = guests.page();
        memory.writeLong(SEGMENT.start(), 0x5a);
        Backing backing = GuestMemories.filled(manager, "bytes", 4 * page, OURS);
        DeviceMemory device = manager.createDeviceMemory("device", 4 * page);
        manager.changeVisibility("make room")
                .set(SEGMENT, RamVisibility.UNMAPPED)
                .set(OTHER_SEGMENT, RamVisibility.UNMAPPED)
                .commit();
        device.mappings().map(MemoryRange.ofLength(0, 4 * page), backing, 0, true);
        device.control().place(SEGMENT.start(), true);
        assertEquals(OURS, memory.readLong(SEGMENT.start()));
        device.mappings().unmap(new MemoryRange(page, 2 * page));
        assertThrows(GuestAccessException.class, () -> memory.readLong(SEGMENT.start() + page));
        assertEquals(OURS, memory.readLong(SEGMENT.start() + 2 * page));
        device.control().place(OTHER_SEGMENT.start(), false);
        assertThrows(GuestAccessException.class, () -> memory.readLong(SEGMENT.start()));
        assertEquals(OURS, memory.readLong(OTHER_SEGMENT.start() + 2 * page));
        assertTrue(manager.regions().checkDrift().clean());
        device.close();
        manager.setVisibility(SEGMENT, RamVisibility.READ_WRITE);
        assertEquals(0x5a, memory.readLong(SEGMENT.start()));
        assertTrue(manager.regions().checkDrift().clean());
    }

    /** Windows has no way to replace a view in place: for a moment the addresses are inaccessible, and a reader there would end the JVM. */
    @Test
    void readersNeverMeetWhatIsGoing() throws Exception {
        GuestMemoryManager manager = guests.memory("readers");
        GuestMemory memory = manager.memory();
        long page = guests.page();
        Backing first = GuestMemories.filled(manager, "first", 4 * page, 0x1111);
        Backing second = GuestMemories.filled(manager, "second", 4 * page, 0x2222);
        DeviceMemory device = manager.createDeviceMemory("device", 4 * page);
        manager.setVisibility(SEGMENT, RamVisibility.UNMAPPED);
        device.control().place(SEGMENT.start(), true);
        device.mappings().map(MemoryRange.ofLength(0, 4 * page), first, 0, true);
        AtomicBoolean stop = new AtomicBoolean();
        AtomicLong reads = new AtomicLong();
        AtomicReference<String> wrong = new AtomicReference<>("");
        List<Thread> readers = List.of(
                new Thread(() -> read(memory, SEGMENT.start() + page, stop, reads, wrong)),
                new Thread(() -> read(memory, SEGMENT.start() + 2 * page, stop, reads, wrong)));
        readers.forEach(Thread::start);
        int changes = 0;
        while (changes < 200 || reads.get() < 1000) {
            device.mappings().map(MemoryRange.ofLength(0, 4 * page), second, 0, true);
            device.mappings().map(new MemoryRange(page, 3 * page), first, page, true);
            device.mappings().unmap(new MemoryRange(2 * page, 3 * page));
            device.mappings().map(MemoryRange.ofLength(0, 4 * page), first, 0, true);
            changes++;
        }
        stop.set(true);
        for (Thread reader : readers) {
            reader.join();
        }
        assertEquals("", wrong.get());
        assertTrue(manager.regions().checkDrift().clean());
    }

    private static void read(
            GuestMemory memory, long gpa, AtomicBoolean stop, AtomicLong reads, AtomicReference<String> wrong) {
        while (!stop.get()) {
            try {
                long value = memory.readLong(gpa);
                if (value != 0x1111 && value != 0x2222) {
                    wrong.set("read 0x" + Long.toHexString(value));
                    return;
                }
                reads.incrementAndGet();
            } catch (GuestAccessException e) {
                // Not mapped at that moment.
            }
        }
    }

    @Test
    void contentsGoFromOneManagerToTheNext() throws Exception {
        GuestMemoryManager memory = guests.memory("first");
        memory.memory().writeLong(SEGMENT.start(), OURS);
        List<Backing> exported = memory.export();
        MemoryLayout layout = memory.layout();
        assertThrows(MembackingException.class, () -> guests.managers
                .builder("too-early")
                .layout(layout)
                .backing(BackingChoice.existing(exported.get(0)))
                .build());
        memory.close();
        GuestMemoryManager next = guests.keep(guests.managers
                .builder("next")
                .layout(layout)
                .backing(BackingChoice.existing(exported.get(0)))
                .build());
        assertEquals(OURS, next.memory().readLong(SEGMENT.start()));
    }

    @Test
    void privateMemoryAndPrefetchWorkAndTheClosedManagerSaysSo() throws Exception {
        GuestMemoryManager memory = guests.managers
                .builder("private")
                .layout(MemoryLayout.flat(2 << 20))
                .backing(BackingChoice.privateMemory().withPrefetch())
                .build();
        memory.memory().writeLong(0x100008, OURS);
        assertEquals(OURS, memory.memory().readLong(0x100008));
        assertTrue(memory.shareableRam().isEmpty());
        memory.close();
        assertTrue(
                assertThrows(IllegalStateException.class, () -> memory.memory().readLong(0))
                        .toString()
                        .contains("closed"));
        assertFalse(guests.managers.manager("private").isPresent());
    }
}
