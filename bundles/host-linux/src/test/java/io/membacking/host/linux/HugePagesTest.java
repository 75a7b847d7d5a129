package io.membacking.host.linux;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.jna.Pointer;
import io.membacking.error.AllocationException;
import io.membacking.error.HostMappingException;
import io.membacking.host.AddressReservation;
import io.membacking.host.Backing;
import io.membacking.host.BackingKind;
import io.membacking.host.BackingRequest;
import io.membacking.host.HostPiece;
import io.membacking.range.MemoryRange;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Memory of a pool of huge pages, which the test fills if it may. */
class HugePagesTest {
    private static final long HUGE = 2 << 20;
    private static final int WANTED = 8;
    private static final Path PAGES = Path.of("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages");

    /** The pool is the machine's: tests of other builds on it take turns. */
    private static final Path TURN = Path.of(System.getProperty("java.io.tmpdir"), "membacking-huge-pages.lock");

    private FileChannel turn;
    private LinuxHostMemory host;
    private long pagesBefore;
    private boolean raised;

    @BeforeEach
    void fillThePool() throws IOException {
        turn = FileChannel.open(TURN, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        turn.lock();
        host = new LinuxHostMemory();
        HugePagePool pool = HugePagePool.of(HUGE, OptionalInt.empty());
        pagesBefore = pool.pages();
        if (pool.free() < WANTED && Files.isWritable(PAGES)) {
            raised = true;
            set(pagesBefore + WANTED);
        }
        Required.require(
                HugePagePool.of(HUGE, OptionalInt.empty()).free() >= WANTED,
                "huge pages are tested as root, or with " + WANTED + " free ones (echo 16 > " + PAGES + ")");
    }

    @AfterEach
    void emptyThePool() throws IOException {
        host.close();
        if (raised) {
            set(pagesBefore);
        }
        turn.close();
    }

    private static void set(long pages) {
        try {
            Files.writeString(PAGES, Long.toString(pages));
        } catch (IOException e) {
            System.err.println("the pool of huge pages stays as it is: " + e);
        }
    }

    private static BackingRequest huge(long pages, OptionalInt node) {
        return new BackingRequest("huge", BackingKind.HUGETLB, pages * HUGE, HUGE, true, node);
    }

    private Backing allocate(long pages) throws AllocationException {
        return host.allocate(huge(pages, OptionalInt.empty()));
    }

    private static MemoryRange range(long from, long length) {
        return MemoryRange.ofLength(from, length);
    }

    @Test
    void pagesAreTakenAtOnceAndReturned() throws Exception {
        long free = HugePagePool.of(HUGE, OptionalInt.empty()).free();
        try (Backing ram = allocate(4)) {
            assertEquals(BackingKind.HUGETLB, ram.kind());
            assertEquals(HUGE, ram.pageSize());
            assertEquals(free - 4, HugePagePool.of(HUGE, OptionalInt.empty()).free());
            ram.claim("guest").close();
        }
        assertEquals(free, HugePagePool.of(HUGE, OptionalInt.empty()).free());
    }

    @Test
    void shortageNamesPagesPoolAndRemedyAndLeavesNothing() throws Exception {
        for (OptionalInt node : List.of(OptionalInt.empty(), OptionalInt.of(0))) {
            HugePagePool pool = HugePagePool.of(HUGE, node);
            long wanted = pool.free() + 3;
            long descriptors = ProcessState.descriptors();
            String refused = assertThrows(AllocationException.class, () -> host.allocate(huge(wanted, node)))
                    .getMessage();
            assertTrue(
                    refused.contains("'huge'")
                            && refused.contains("needs " + wanted + " pages of 0x200000 bytes")
                            && refused.contains("of the " + pool.pages() + " in the pool " + pool.folder())
                            && refused.contains(pool.free() + " are free")
                            && refused.contains("nr_hugepages to at least " + (pool.pages() + 3)),
                    refused);
            assertEquals(pool.free(), HugePagePool.of(HUGE, node).free());
            assertEquals(descriptors, ProcessState.descriptors());
        }
    }

    @Test
    void contentsAreTheSameThroughMappingAndBacking() throws Exception {
        try (Backing ram = host.allocate(huge(4, OptionalInt.of(0)));
                AddressReservation space = host.reserve(8 * HUGE, HUGE)) {
            byte[] bytes = new byte[3 << 20];
            new java.util.Random(4).nextBytes(bytes);
            ram.write(HUGE - 77, bytes, 0, bytes.length);
            byte[] read = new byte[bytes.length];
            ram.read(HUGE - 77, read, 0, read.length);
            assertArrayEquals(bytes, read);
            space.map(range(2 * HUGE, 3 * HUGE), ram, HUGE);
            space.prefetch(range(2 * HUGE, 3 * HUGE));
            assertArrayEquals(
                    java.util.Arrays.copyOfRange(bytes, 77, bytes.length),
                    new Pointer(space.base()).getByteArray(2 * HUGE, bytes.length - 77));
            assertEquals(List.of(new HostPiece(range(2 * HUGE, 3 * HUGE), ram.id(), HUGE)), space.observe());
            space.release(range(3 * HUGE, HUGE));
            assertEquals(
                    List.of(
                            new HostPiece(range(2 * HUGE, HUGE), ram.id(), HUGE),
                            new HostPiece(range(4 * HUGE, HUGE), ram.id(), 3 * HUGE)),
                    space.observe());
        }
    }

    @Test
    void rangesThatCutAHugePageAreRefusedAndWhatWasThereStays() throws Exception {
        try (Backing ram = allocate(2);
                Backing rom = host.allocate(BackingRequest.shared("rom", HUGE));
                AddressReservation space = host.reserve(8 * HUGE, HUGE)) {
            space.map(range(0, 2 * HUGE), ram, 0);
            new Pointer(space.base()).setLong(4096, 7);
            List<HostPiece> before = space.observe();
            String cut = refusal(() -> space.map(range(4096, 4096), rom, 0));
            assertTrue(cut.contains("cut a page of 0x200000 bytes of backing 'huge' at 0x0-0x400000"), cut);
            refusal(() -> space.map(range(2 * HUGE - 4096, 8192), rom, 0));
            for (MemoryRange range : List.of(range(4096, HUGE), range(4 * HUGE, 4096))) {
                String crooked = refusal(() -> space.map(range, ram, 0));
                assertTrue(crooked.contains("not aligned to its pages of 0x200000"), crooked);
            }
            refusal(() -> space.map(range(4 * HUGE, HUGE), ram, 4096));
            assertThrows(IllegalArgumentException.class, () -> space.release(range(0, 4096)));
            assertEquals(before, space.observe());
            assertEquals(7, new Pointer(space.base()).getLong(4096));
            space.map(range(HUGE, HUGE), rom, 0);
            assertEquals(
                    List.of(new HostPiece(range(0, HUGE), ram.id(), 0), new HostPiece(range(HUGE, HUGE), rom.id(), 0)),
                    space.observe());
        }
    }

    private static String refusal(org.junit.jupiter.api.function.Executable call) {
        return assertThrows(HostMappingException.class, call).getMessage();
    }

    @Test
    void hugePagesAreHandedOverAsSuch(@TempDir Path folder) throws Exception {
        var other = Executors.newSingleThreadExecutor();
        try (Backing ram = allocate(2);
                LinuxHostMemory second = new LinuxHostMemory()) {
            ram.write(HUGE, new byte[] {9}, 0, 1);
            var coming = other.submit(() -> second.receive(folder.resolve("s"), Duration.ofSeconds(20)));
            host.offer(folder.resolve("s"), List.of(ram), Duration.ofSeconds(20));
            Backing came = coming.get().get(0);
            assertEquals(BackingKind.HUGETLB, came.kind());
            assertEquals(HUGE, came.pageSize());
            byte[] read = new byte[1];
            came.read(HUGE, read, 0, 1);
            assertEquals(9, read[0]);
        } finally {
            other.shutdown();
        }
    }
}
