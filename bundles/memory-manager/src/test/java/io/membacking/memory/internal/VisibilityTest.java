package io.membacking.memory.internal;

import static io.membacking.memory.internal.Rig.MIB;
import static io.membacking.memory.internal.Rig.PAGE;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.error.GuestAccessException;
import io.membacking.error.VisibilityException;
import io.membacking.memory.BackingChoice;
import io.membacking.memory.DeviceMemory;
import io.membacking.memory.GuestMemoryManager;
import io.membacking.memory.MemoryLayout;
import io.membacking.memory.RamVisibility;
import io.membacking.memory.VisibilityChange;
import io.membacking.range.MemoryRange;
import io.membacking.region.FlatPiece;
import io.membacking.region.JournalEntry;
import io.membacking.region.MapParameters;
import io.membacking.region.ProcessorGate;
import io.membacking.region.RegionInfo;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(120)
class VisibilityTest {
    private static final MemoryRange BIOS = new MemoryRange(0xf0000, 0x100000);
    private static final MemoryRange VGA = new MemoryRange(0xa0000, 0xc0000);

    private final Rig rig = new Rig();
    private GuestMemoryManager guest;

    @BeforeEach
    void build() throws Exception {
        guest = rig.memories
                .builder("pc")
                .layout(Rig.withGap(2 * MIB))
                .backing(BackingChoice.SHARED.withPrefetch())
                .x86LegacySupport(true)
                .build();
    }

    @AfterEach
    void close() {
        rig.close();
    }

    @Test
    void readOnlyRamIsReadAndNotWritten() throws Exception {
        guest.memory().writeLong(0xf0000, 7);
        guest.setVisibility(BIOS, RamVisibility.READ_ONLY);
        assertEquals(RamVisibility.READ_ONLY, guest.visibility(BIOS));
        assertEquals(7, guest.memory().readLong(0xf0000));
        GuestAccessException refused =
                assertThrows(GuestAccessException.class, () -> guest.memory().writeLong(0xf0000, 8));
        assertEquals(0xf0000, refused.firstBad());
        assertEquals(7, guest.memory().readLong(0xf0000));
        guest.setVisibility(BIOS, RamVisibility.READ_WRITE);
        guest.memory().writeLong(0xf0000, 8);
        assertEquals(8, guest.memory().readLong(0xf0000));
    }

    @Test
    void whatIsUnmappedComesBackWithItsContents() throws Exception {
        guest.memory().writeLong(0xf0000, 7);
        guest.setVisibility(BIOS, RamVisibility.UNMAPPED);
        assertEquals(RamVisibility.UNMAPPED, guest.visibility(BIOS));
        assertThrows(GuestAccessException.class, () -> guest.memory().readLong(0xf0000));
        guest.setVisibility(BIOS, RamVisibility.READ_ONLY);
        assertEquals(7, guest.memory().readLong(0xf0000));
        assertTrue(guest.regions().checkDrift().clean());
    }

    @Test
    void deviceMemoryShowsWhereRamIsUnmappedAndHidesWhereItIsNot() throws Exception {
        guest.memory().writeLong(0xa0000, 1);
        DeviceMemory vga = guest.createDeviceMemory("vga", VGA.length());
        vga.mappings().map(new MemoryRange(0, VGA.length()), guest.allocate("vga", VGA.length()), 0, true);
        vga.control().place(VGA.start(), true);
        assertEquals(1, guest.memory().readLong(0xa0000));
        guest.setVisibility(VGA, RamVisibility.UNMAPPED);
        assertEquals(0, guest.memory().readLong(0xa0000));
        guest.memory().writeLong(0xa0000, 2);
        guest.setVisibility(VGA, RamVisibility.READ_WRITE);
        assertEquals(1, guest.memory().readLong(0xa0000));
        guest.setVisibility(VGA, RamVisibility.UNMAPPED);
        assertEquals(2, guest.memory().readLong(0xa0000));
        assertTrue(guest.regions().checkDrift().clean());
    }

    @Test
    void onlyExactlyOneRamRegionHasAVisibility() throws Exception {
        List<MemoryRange> bad = List.of(
                new MemoryRange(0xf0000, 0xff000),
                new MemoryRange(0xec000, 0x100000),
                new MemoryRange(0, 2 * MIB),
                new MemoryRange(2 * MIB, 4 * MIB),
                new MemoryRange(1L << 40, (1L << 40) + PAGE));
        int commits = guest.regions().journal().size();
        for (MemoryRange range : bad) {
            assertThrows(VisibilityException.class, () -> guest.setVisibility(range, RamVisibility.READ_ONLY));
            assertThrows(VisibilityException.class, () -> guest.visibility(range));
        }
        String message = assertThrows(VisibilityException.class, () -> guest.visibility(bad.get(0)))
                .getMessage();
        assertTrue(message.contains("the RAM regions there are [0xf0000-0x100000]"), message);
        assertEquals(commits, guest.regions().journal().size());
    }

    @Test
    void aRegionThatWasMovedElsewhereIsNoLongerOne() throws Exception {
        RegionInfo region = guest.regions().regions().stream()
                .filter(r -> r.range().equals(BIOS))
                .findFirst()
                .orElseThrow();
        VisibilityChange pending = guest.changeVisibility("late").set(BIOS, RamVisibility.READ_ONLY);
        guest.regions().change("take it away").remove(region.id()).commit();
        assertThrows(VisibilityException.class, pending::commit);
        assertThrows(VisibilityException.class, () -> guest.visibility(BIOS));
        assertFalse(guest.ramRegions().contains(BIOS));
    }

    @Test
    void severalAreSetInOneCommitAndTheLastWordCounts() throws Exception {
        int before = guest.regions().journal().size();
        VisibilityChange change = guest.changeVisibility("PAM register 0x59");
        for (MemoryRange range : guest.ramRegions()) {
            change.set(range, RamVisibility.UNMAPPED).set(range, RamVisibility.READ_ONLY);
        }
        JournalEntry entry = change.commit();
        assertEquals("PAM register 0x59", entry.reason());
        assertEquals(before + 1, guest.regions().journal().size());
        for (MemoryRange range : guest.ramRegions()) {
            assertEquals(RamVisibility.READ_ONLY, guest.visibility(range));
        }
        assertThrows(IllegalStateException.class, change::commit);
        assertThrows(IllegalStateException.class, () -> change.set(BIOS, RamVisibility.UNMAPPED));
    }

    @Test
    void executableStaysAndPrefetchIsNotRepeated() throws Exception {
        assertTrue(guest.regions().journal().get(0).plan().toString().contains("Prefetch"));
        RegionInfo region = guest.regions().regions().stream()
                .filter(r -> r.range().equals(BIOS))
                .findFirst()
                .orElseThrow();
        for (boolean executable : List.of(true, false)) {
            guest.regions()
                    .change("by other means")
                    .map(region.id(), new MapParameters(true, executable, false))
                    .commit();
            for (RamVisibility visibility : List.of(
                    RamVisibility.READ_ONLY,
                    RamVisibility.UNMAPPED,
                    RamVisibility.READ_WRITE,
                    RamVisibility.UNMAPPED,
                    RamVisibility.READ_ONLY)) {
                JournalEntry entry =
                        guest.changeVisibility("test").set(BIOS, visibility).commit();
                assertFalse(
                        entry.plan().toString().contains("Prefetch"),
                        entry.plan().toString());
                List<FlatPiece> seen = guest.regions().flatView(BIOS);
                assertEquals(visibility == RamVisibility.UNMAPPED ? 0 : 1, seen.size());
                seen.forEach(piece -> assertEquals(executable, piece.executable()));
            }
        }
    }

    @Test
    void settingWhatIsSetCallsNobody() throws Exception {
        JournalEntry entry = guest.changeVisibility("again")
                .set(BIOS, RamVisibility.READ_WRITE)
                .commit();
        assertTrue(entry.plan().isEmpty());
        assertTrue(guest.changeVisibility("nothing").commit().plan().isEmpty());
    }

    @Test
    void aPartitionSeesTheSame() throws Exception {
        RecordingPartition partition = new RecordingPartition(false);
        guest.attach("vm", partition, ProcessorGate.NONE, 0, OptionalLong.empty());
        assertEquals(List.of("0x0-0x200000 rw"), partition.view());
        guest.changeVisibility("PAM")
                .set(BIOS, RamVisibility.READ_ONLY)
                .set(VGA, RamVisibility.UNMAPPED)
                .commit();
        assertEquals(
                List.of("0x0-0xa0000 rw", "0xc0000-0xf0000 rw", "0xf0000-0x100000 ro", "0x100000-0x200000 rw"),
                partition.view());
        guest.close();
        assertEquals(List.of(), partition.view());
    }

    /** Readers and writers all the while see the region's own memory or an exit, and no write comes through when it is read-only. */
    @Test
    void accessesBesideChangesSeeMemoryOrFailAndNeverWriteWhatIsReadOnly() throws Exception {
        AtomicBoolean done = new AtomicBoolean();
        guest.memory().fill(0xf0000, 0x10000, (byte) 0);
        List<CompletableFuture<Long>> workers = new ArrayList<>();
        for (int worker = 0; worker < 2; worker++) {
            int own = worker;
            workers.add(CompletableFuture.supplyAsync(
                    () -> {
                        long gpa = 0xf0000 + own * 8L;
                        long written = 0;
                        long accesses = 0;
                        while (!done.get()) {
                            accesses++;
                            try {
                                guest.memory().writeLong(gpa, written + 1);
                                written++;
                            } catch (GuestAccessException e) {
                                assertEquals(gpa, e.firstBad());
                            }
                            try {
                                assertEquals(written, guest.memory().readLong(gpa));
                            } catch (GuestAccessException e) {
                                assertEquals(gpa, e.firstBad());
                            }
                        }
                        return accesses;
                    },
                    task -> new Thread(task, "worker").start()));
        }
        long seed = System.nanoTime();
        Random random = new Random(seed);
        try {
            for (int i = 0; i < 2_000; i++) {
                RamVisibility visibility = List.of(RamVisibility.values()).get(random.nextInt(3));
                guest.setVisibility(BIOS, visibility);
                if (visibility == RamVisibility.READ_ONLY) {
                    long before = guest.memory().readLong(0xf0000);
                    Thread.onSpinWait();
                    assertEquals(before, guest.memory().readLong(0xf0000), "seed " + seed);
                }
            }
        } finally {
            done.set(true);
        }
        for (CompletableFuture<Long> worker : workers) {
            assertTrue(worker.get() > 0);
        }
        assertTrue(guest.regions().checkDrift().clean());
    }

    @Test
    void privateRamUnderDeviceMemoryIsNotLost() throws Exception {
        GuestMemoryManager secret = rig.memories
                .builder("secret")
                .layout(MemoryLayout.flat(MIB))
                .backing(BackingChoice.privateMemory())
                .build();
        MemoryRange all = new MemoryRange(0, MIB);
        secret.memory().writeLong(0, 9);
        DeviceMemory device = secret.createDeviceMemory("over", MIB);
        device.mappings().map(all, secret.allocate("over", MIB), 0, true);
        device.control().place(0, true);
        assertThrows(
                io.membacking.error.MembackingException.class, () -> secret.setVisibility(all, RamVisibility.UNMAPPED));
        assertEquals(RamVisibility.READ_WRITE, secret.visibility(all));
        device.control().remove();
        secret.setVisibility(all, RamVisibility.UNMAPPED);
        secret.setVisibility(all, RamVisibility.READ_WRITE);
        assertEquals(9, secret.memory().readLong(0));
    }
}
