package io.membacking.host.contract;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.jna.Pointer;
import io.membacking.error.AllocationException;
import io.membacking.error.HostMappingException;
import io.membacking.host.AddressReservation;
import io.membacking.host.Backing;
import io.membacking.host.BackingKind;
import io.membacking.host.BackingRequest;
import io.membacking.host.HostMemory;
import io.membacking.host.HostPiece;
import io.membacking.range.MemoryRange;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What every provider of host memory keeps, on real memory. */
public abstract class HostMemoryContract {
    protected static final long MIB = 1 << 20;
    private static final Duration SOON = Duration.ofSeconds(20);

    protected HostMemory host;
    /** The least that can be mapped, bytes. */
    protected long page;

    /** A host memory of its own for one test. */
    protected abstract HostMemory open();

    protected abstract void close(HostMemory host);

    @BeforeEach
    void openHost() {
        host = open();
        page = host.capabilities().mappingGranularity();
    }

    @AfterEach
    void closeHost() {
        close(host);
    }

    protected MemoryRange pages(long from, long count) {
        return MemoryRange.ofLength(from * page, count * page);
    }

    protected Backing shared(String name, long pages) throws AllocationException {
        return host.allocate(BackingRequest.shared(name, pages * page));
    }

    protected Backing privateMemory(String name, long pages) throws AllocationException {
        return host.allocate(
                new BackingRequest(name, BackingKind.PRIVATE, pages * page, 0, false, OptionalInt.empty()));
    }

    protected static long peek(AddressReservation space, long offset) {
        return new Pointer(space.base()).getLong(offset);
    }

    protected static void poke(AddressReservation space, long offset, long value) {
        new Pointer(space.base()).setLong(offset, value);
    }

    // Capabilities

    @Test
    void capabilitiesAreThoseOfARealHost() {
        var capabilities = host.capabilities();
        assertTrue(capabilities.pageSize() >= 4096 && Long.bitCount(capabilities.pageSize()) == 1);
        assertTrue(page % capabilities.pageSize() == 0 && Long.bitCount(page) == 1);
        assertTrue(capabilities.physicalMemory() > 64 * MIB, () -> "" + capabilities);
        assertTrue(capabilities.addressBits() >= 32 && capabilities.addressBits() <= 52);
        assertTrue(capabilities.numaNodes().contains(0)
                || !capabilities.numaNodes().isEmpty());
        assertTrue(capabilities.hugePageSizes().stream().allMatch(size -> size > capabilities.pageSize()));
    }

    @Test
    void barrierReturnsWhereThereIsOne() {
        if (host.hasProcessBarrier()) {
            host.processBarrier();
        } else {
            assertThrows(UnsupportedOperationException.class, host::processBarrier);
        }
    }

    // Reservations

    @Test
    void reservationIsAlignedAsAsked() throws Exception {
        for (long alignment : new long[] {page, 2 * MIB, 1024 * MIB}) {
            try (AddressReservation space = host.reserve(3 * page, alignment)) {
                assertEquals(0, space.base() % alignment);
                assertEquals(3 * page, space.size());
            }
        }
    }

    @Test
    void tebibyteCanBeReserved() throws Exception {
        try (AddressReservation space = host.reserve(1L << 40, 1024 * MIB)) {
            assertEquals(List.of(), space.observe());
        }
    }

    @Test
    void moreThanAnyAddressSpaceIsRefused() {
        var tooMuch = assertThrows(HostMappingException.class, () -> host.reserve(1L << 60, page));
        assertTrue(tooMuch.getMessage().contains("0x1000000000000000"), tooMuch.getMessage());
        assertThrows(HostMappingException.class, () -> host.reserve(Long.MAX_VALUE & -page, 1L << 62));
    }

    @Test
    void sizesAndAlignmentsThatCannotBeAreMisuse() {
        for (long size : new long[] {0, -page, page + 1, Long.MIN_VALUE}) {
            assertThrows(IllegalArgumentException.class, () -> host.reserve(size, page));
        }
        long least = host.capabilities().pageSize();
        for (long alignment : new long[] {0, least / 2, 3 * page, -page, Long.MIN_VALUE}) {
            assertThrows(IllegalArgumentException.class, () -> host.reserve(page, alignment), "" + alignment);
        }
    }

    @Test
    void closedReservationSaysClosed() throws Exception {
        AddressReservation space = host.reserve(16 * page, page);
        Backing ram = shared("ram", 16);
        space.map(pages(0, 16), ram, 0);
        space.close();
        space.close();
        assertClosed(space::base);
        assertClosed(space::observe);
        assertClosed(() -> space.map(pages(0, 1), ram, 0));
        assertClosed(() -> space.release(pages(0, 1)));
        assertClosed(() -> space.prefetch(pages(0, 1)));
        assertClosed(() -> space.lock(pages(0, 1)));
        assertClosed(() -> space.unlock(pages(0, 1)));
    }

    protected static void assertClosed(org.junit.jupiter.api.function.Executable call) {
        var closed = assertThrows(IllegalStateException.class, call);
        assertTrue(closed.getMessage().endsWith("is closed"), closed.getMessage());
    }

    // Mapping

    @Test
    void mappedMemoryIsTheBacking() throws Exception {
        try (AddressReservation space = host.reserve(16 * page, page);
                Backing ram = shared("ram", 8)) {
            space.map(pages(4, 2), ram, 3 * page);
            poke(space, 4 * page + 8, 0x1234567890L);
            byte[] bytes = new byte[8];
            ram.read(3 * page + 8, bytes, 0, 8);
            assertArrayEquals(new byte[] {(byte) 0x90, 0x78, 0x56, 0x34, 0x12, 0, 0, 0}, bytes);
            ram.write(4 * page, new byte[] {0, 7, 7}, 1, 2);
            assertEquals(0x0707, peek(space, 5 * page));
            assertEquals(List.of(new HostPiece(pages(4, 2), ram.id(), 3 * page)), space.observe());
        }
    }

    @Test
    void mappingOverMappingsReplacesExactlyTheOverlap() throws Exception {
        try (AddressReservation space = host.reserve(16 * page, page);
                Backing old = shared("old", 16);
                Backing fresh = shared("fresh", 16)) {
            space.map(pages(0, 8), old, 0);
            space.map(pages(2, 3), fresh, page);
            assertEquals(
                    List.of(
                            new HostPiece(pages(0, 2), old.id(), 0),
                            new HostPiece(pages(2, 3), fresh.id(), page),
                            new HostPiece(pages(5, 3), old.id(), 5 * page)),
                    space.observe());
        }
    }

    @Test
    void oneBackingCanBeMappedManyTimes() throws Exception {
        try (AddressReservation space = host.reserve(4 * page, page);
                Backing ram = shared("ram", 1)) {
            space.map(pages(0, 1), ram, 0);
            space.map(pages(1, 1), ram, 0);
            poke(space, 0, 99);
            assertEquals(99, peek(space, page));
            assertEquals(
                    List.of(new HostPiece(pages(0, 1), ram.id(), 0), new HostPiece(pages(1, 1), ram.id(), 0)),
                    space.observe());
        }
    }

    @Test
    void mappedMemoryOutlivesTheBackingsHandle() throws Exception {
        try (AddressReservation space = host.reserve(4 * page, page)) {
            Backing ram = shared("ram", 1);
            space.map(pages(0, 1), ram, 0);
            ram.close();
            poke(space, 0, 5);
            assertEquals(5, peek(space, 0));
            assertEquals(List.of(new HostPiece(pages(0, 1), ram.id(), 0)), space.observe());
        }
    }

    @Test
    void privateMemoryArrivesZeroedEachTime() throws Exception {
        try (AddressReservation space = host.reserve(8 * page, page);
                Backing memory = privateMemory("scratch", 4)) {
            space.map(pages(2, 4), memory, 0);
            assertEquals(0, peek(space, 2 * page));
            poke(space, 2 * page, 1);
            poke(space, 5 * page, 2);
            assertEquals(List.of(new HostPiece(pages(2, 4), memory.id(), 0)), space.observe());
            space.release(pages(3, 3));
            assertEquals(1, peek(space, 2 * page));
            space.map(pages(3, 3), memory, page);
            assertEquals(0, peek(space, 5 * page));
            assertEquals(1, peek(space, 2 * page));
        }
    }

    @Test
    void whatIsNotPagesOfBothIsMisuse() throws Exception {
        try (AddressReservation space = host.reserve(8 * page, page);
                Backing ram = shared("ram", 4)) {
            assertThrows(IllegalArgumentException.class, () -> space.map(pages(7, 2), ram, 0));
            assertThrows(IllegalArgumentException.class, () -> space.map(MemoryRange.ofLength(1L << 60, page), ram, 0));
            assertThrows(IllegalArgumentException.class, () -> space.map(new MemoryRange(-2 * page, -page), ram, 0));
            assertThrows(IllegalArgumentException.class, () -> space.map(pages(0, 5), ram, 0));
            assertThrows(IllegalArgumentException.class, () -> space.map(pages(0, 1), ram, 4 * page));
            assertThrows(IllegalArgumentException.class, () -> space.map(pages(0, 1), ram, 17));
            assertThrows(IllegalArgumentException.class, () -> space.map(pages(0, 1), ram, -page));
            assertThrows(IllegalArgumentException.class, () -> space.map(pages(0, 1), ram, Long.MAX_VALUE & -page));
            assertThrows(IllegalArgumentException.class, () -> space.release(pages(8, 1)));
            assertEquals(List.of(), space.observe());
        }
    }

    @Test
    void closedBackingCannotBeMapped() throws Exception {
        try (AddressReservation space = host.reserve(8 * page, page)) {
            Backing ram = shared("ram", 4);
            Backing memory = privateMemory("scratch", 4);
            ram.close();
            memory.close();
            assertClosed(() -> space.map(pages(0, 1), ram, 0));
            assertClosed(() -> space.map(pages(0, 1), memory, 0));
            assertEquals(List.of(), space.observe());
        }
    }

    @Test
    void releasedMemoryKeepsItsContentsInTheBacking() throws Exception {
        try (AddressReservation space = host.reserve(8 * page, page);
                Backing ram = shared("ram", 4)) {
            space.map(pages(0, 4), ram, 0);
            poke(space, page, 77);
            space.release(pages(0, 8));
            space.release(pages(0, 8));
            assertEquals(List.of(), space.observe());
            space.map(pages(6, 1), ram, page);
            assertEquals(77, peek(space, 6 * page));
        }
    }

    @Test
    void prefetchAndLockWantMemoryThere() throws Exception {
        try (AddressReservation space = host.reserve(8 * page, page);
                Backing ram = shared("ram", 8)) {
            space.map(pages(0, 4), ram, 0);
            space.prefetch(pages(0, 4));
            var gap = assertThrows(HostMappingException.class, () -> space.prefetch(pages(2, 4)));
            assertTrue(gap.getMessage().contains("nothing is mapped at " + pages(4, 2)), gap.getMessage());
            assertThrows(HostMappingException.class, () -> space.lock(pages(2, 4)));
            space.unlock(pages(0, 8));
        }
    }

    @Test
    void prefetchLeavesContents() throws Exception {
        try (AddressReservation space = host.reserve(8 * page, page);
                Backing ram = shared("ram", 4);
                Backing memory = privateMemory("scratch", 4)) {
            space.map(pages(0, 4), ram, 0);
            space.map(pages(4, 4), memory, 0);
            for (int i = 0; i < 8; i += 2) {
                poke(space, i * page, 100 + i);
            }
            space.prefetch(pages(0, 8));
            for (int i = 0; i < 8; i++) {
                assertEquals(i % 2 == 0 ? 100 + i : 0, peek(space, i * page));
            }
        }
    }

    @Test
    void anySequenceOfMapsAndReleasesIsWhatTheModelSays() throws Exception {
        long seed = new Random().nextLong();
        Random random = new Random(seed);
        int size = 24;
        try (AddressReservation space = host.reserve(size * page, page)) {
            List<Backing> backings = List.of(shared("a", size), shared("b", size), privateMemory("p", size));
            for (int i = 0; i < 2; i++) {
                for (int at = 0; at < size; at++) {
                    backings.get(i).write(at * page, new byte[] {(byte) (1 + i * 100 + at)}, 0, 1);
                }
            }
            long[][] model = new long[size][];
            for (int step = 0; step < 400; step++) {
                int from = random.nextInt(size);
                int count = 1 + random.nextInt(size - from);
                int choice = random.nextInt(4);
                if (choice == 3) {
                    space.release(pages(from, count));
                    for (int i = 0; i < count; i++) {
                        model[from + i] = null;
                    }
                } else {
                    Backing backing = backings.get(choice);
                    int offset = random.nextInt(size - count + 1);
                    space.map(pages(from, count), backing, offset * page);
                    for (int i = 0; i < count; i++) {
                        model[from + i] = new long[] {backing.id(), choice == 2 ? 0 : offset + i, choice};
                    }
                }
                assertEquals(pieces(model), space.observe(), "seed " + seed + " step " + step);
                for (int i = 0; i < size; i++) {
                    if (model[i] != null) {
                        long wanted = model[i][2] == 2 ? 0 : 1 + model[i][2] * 100 + model[i][1];
                        assertEquals(wanted, peek(space, i * page) & 0xff, "seed " + seed + " step " + step);
                    }
                }
            }
            backings.forEach(Backing::close);
        }
    }

    private List<HostPiece> pieces(long[][] model) {
        List<HostPiece> pieces = new ArrayList<>();
        for (int i = 0; i < model.length; i++) {
            if (model[i] == null) {
                continue;
            }
            boolean isPrivate = model[i][2] == 2;
            int end = i + 1;
            while (end < model.length
                    && model[end] != null
                    && model[end][0] == model[i][0]
                    && (isPrivate || model[end][1] == model[i][1] + end - i)) {
                end++;
            }
            pieces.add(new HostPiece(pages(i, end - i), model[i][0], isPrivate ? 0 : model[i][1] * page));
            i = end - 1;
        }
        return pieces;
    }

    // Backings

    @Test
    void backingIsWhatWasAskedFor() throws Exception {
        try (Backing ram = shared("guest ram", 3);
                Backing memory = privateMemory("scratch", 2)) {
            assertEquals("guest ram", ram.name());
            assertEquals(BackingKind.SHARED, ram.kind());
            assertEquals(3 * page, ram.size());
            assertEquals(host.capabilities().pageSize(), ram.pageSize());
            assertTrue(ram.descriptor().isPresent());
            assertEquals(BackingKind.PRIVATE, memory.kind());
            assertTrue(memory.descriptor().isEmpty());
            assertNotEquals(ram.id(), memory.id());
        }
    }

    @Test
    void readsAndWritesStayInBounds() throws Exception {
        try (Backing ram = shared("ram", 2)) {
            byte[] bytes = new byte[64];
            ram.read(2 * page, bytes, 0, 0);
            ram.read(2 * page - 64, bytes, 0, 64);
            assertThrows(IndexOutOfBoundsException.class, () -> ram.read(2 * page - 63, bytes, 0, 64));
            assertThrows(IndexOutOfBoundsException.class, () -> ram.write(-1, bytes, 0, 64));
            assertThrows(IndexOutOfBoundsException.class, () -> ram.write(Long.MAX_VALUE, bytes, 0, 64));
            assertThrows(IndexOutOfBoundsException.class, () -> ram.write(0, bytes, 60, 5));
            assertThrows(IndexOutOfBoundsException.class, () -> ram.read(0, bytes, -1, 5));
            assertThrows(IndexOutOfBoundsException.class, () -> ram.read(0, bytes, 0, -1));
        }
    }

    @Test
    void largeReadsAndWritesAreWhole() throws Exception {
        byte[] written = new byte[(int) (3 * MIB + 12345)];
        new Random(1).nextBytes(written);
        try (Backing ram = host.allocate(BackingRequest.shared("ram", 8 * MIB))) {
            ram.write(4321, written, 0, written.length);
            byte[] read = new byte[written.length + 1];
            ram.read(4321, read, 1, written.length);
            assertArrayEquals(written, java.util.Arrays.copyOfRange(read, 1, read.length));
        }
    }

    @Test
    void privateMemoryCannotBeReachedThroughItsBacking() throws Exception {
        try (Backing memory = privateMemory("scratch", 1)) {
            assertThrows(UnsupportedOperationException.class, () -> memory.read(0, new byte[1], 0, 1));
            assertThrows(UnsupportedOperationException.class, () -> memory.write(0, new byte[1], 0, 1));
            var refused = assertThrows(AllocationException.class, () -> host.duplicate(memory));
            assertTrue(refused.getMessage().contains("'scratch'"), refused.getMessage());
        }
    }

    @Test
    void closedBackingSaysClosed() throws Exception {
        Backing ram = shared("ram", 1);
        ram.close();
        ram.close();
        assertClosed(ram::descriptor);
        assertClosed(() -> ram.read(0, new byte[1], 0, 1));
        assertClosed(() -> ram.write(0, new byte[1], 0, 1));
        assertClosed(() -> ram.claim("guest"));
        assertClosed(() -> host.duplicate(ram));
        assertEquals("ram", ram.name());
    }

    @Test
    void sizesThatCannotBeAreMisuse() {
        for (BackingKind kind : List.of(BackingKind.SHARED, BackingKind.PRIVATE)) {
            for (long size : new long[] {0, -page, page + 1}) {
                assertThrows(
                        IllegalArgumentException.class,
                        () -> host.allocate(new BackingRequest("x", kind, size, 0, false, OptionalInt.empty())));
            }
            assertThrows(
                    IllegalArgumentException.class,
                    () -> host.allocate(new BackingRequest("x", kind, page, 2 * MIB, false, OptionalInt.empty())));
        }
    }

    @Test
    void moreThanTheHostHasIsRefused() {
        long size = (host.capabilities().physicalMemory() & -page) + page;
        for (BackingKind kind : List.of(BackingKind.SHARED, BackingKind.PRIVATE)) {
            var refused = assertThrows(
                    AllocationException.class,
                    () -> host.allocate(new BackingRequest("big", kind, size, 0, false, OptionalInt.empty())));
            assertTrue(refused.getMessage().contains("'big'"), refused.getMessage());
            assertTrue(refused.getMessage().contains("more than the host's memory"), refused.getMessage());
        }
    }

    @Test
    void unknownNodeIsRefusedByNumber() {
        var refused = assertThrows(
                AllocationException.class,
                () -> host.allocate(
                        new BackingRequest("ram", BackingKind.SHARED, page, 0, false, OptionalInt.of(777))));
        assertTrue(refused.getMessage().contains("no NUMA node 777"), refused.getMessage());
    }

    @Test
    void memoryCanComeFromANodeAndAskForHugePages() throws Exception {
        int node = host.capabilities().numaNodes().iterator().next();
        try (AddressReservation space = host.reserve(8 * MIB, 2 * MIB)) {
            for (BackingKind kind : List.of(BackingKind.SHARED, BackingKind.PRIVATE)) {
                try (Backing ram =
                        host.allocate(new BackingRequest("ram", kind, 4 * MIB, 0, true, OptionalInt.of(node)))) {
                    space.map(MemoryRange.ofLength(0, 4 * MIB), ram, 0);
                    space.prefetch(MemoryRange.ofLength(0, 4 * MIB));
                    poke(space, MIB, 3);
                    assertEquals(3, peek(space, MIB));
                }
            }
        }
    }

    @Test
    void pageSizeWithoutPoolIsRefused() {
        for (long size : new long[] {0, 3 << 20, page / 2, 1L << 50}) {
            var refused = assertThrows(
                    AllocationException.class,
                    () -> host.allocate(new BackingRequest(
                            "huge", BackingKind.HUGETLB, 6 * MIB, size, false, OptionalInt.empty())));
            assertTrue(refused.getMessage().contains("no pool"), refused.getMessage());
        }
    }

    // Duplicates and claims

    @Test
    void duplicateHasALifeOfItsOwn() throws Exception {
        Backing ram = shared("ram", 2);
        Backing copy = host.duplicate(ram);
        ram.write(5, new byte[] {42}, 0, 1);
        ram.close();
        byte[] read = new byte[1];
        copy.read(5, read, 0, 1);
        assertEquals(42, read[0]);
        assertEquals("ram", copy.name());
        assertEquals(2 * page, copy.size());
        assertNotEquals(ram.id(), copy.id());
        copy.close();
    }

    @Test
    void duplicateIsObservedAsWhatWasMapped() throws Exception {
        try (AddressReservation space = host.reserve(4 * page, page);
                Backing ram = shared("ram", 4);
                Backing copy = host.duplicate(ram)) {
            space.map(pages(0, 1), ram, 0);
            space.map(pages(2, 1), copy, 0);
            assertEquals(
                    List.of(new HostPiece(pages(0, 1), ram.id(), 0), new HostPiece(pages(2, 1), copy.id(), 0)),
                    space.observe());
        }
    }

    @Test
    void secondClaimIsRefusedNamingTheFirstUntilItCloses() throws Exception {
        try (Backing ram = shared("ram", 1);
                Backing copy = host.duplicate(ram);
                Backing memory = privateMemory("scratch", 1)) {
            for (Backing backing : List.of(ram, memory)) {
                Backing other = backing == ram ? copy : memory;
                Backing.Claim claim = backing.claim("guest one");
                var refused = assertThrows(AllocationException.class, () -> other.claim("guest two"));
                assertTrue(refused.getMessage().contains("'guest one'"), refused.getMessage());
                assertTrue(refused.getMessage().contains("'guest two'"), refused.getMessage());
                assertThrows(AllocationException.class, () -> backing.claim("guest one"));
                claim.close();
                Backing.Claim second = other.claim("guest two");
                claim.close();
                assertThrows(AllocationException.class, () -> backing.claim("guest three"));
                second.close();
            }
        }
    }

    @Test
    void claimIsKeptAcrossHostMemories() throws Exception {
        HostMemory second = open();
        try (Backing ram = shared("ram", 1)) {
            Backing.Claim claim = ram.claim("guest one");
            Backing there = second.duplicate(ram);
            assertThrows(AllocationException.class, () -> there.claim("guest two"));
            claim.close();
            there.claim("guest two").close();
        } finally {
            close(second);
        }
    }

    @Test
    void claimOutlivesTheBackingsHandle() throws Exception {
        Backing ram = shared("ram", 1);
        try (Backing copy = host.duplicate(ram)) {
            Backing.Claim claim = ram.claim("guest one");
            ram.close();
            assertThrows(AllocationException.class, () -> copy.claim("guest two"));
            claim.close();
            copy.claim("guest two").close();
        }
    }

    // Offers

    @Test
    void whatIsOfferedArrivesWithNamesAndContents(@TempDir Path folder) throws Exception {
        Path socket = folder.resolve("s");
        ExecutorService other = Executors.newSingleThreadExecutor();
        HostMemory second = open();
        try (Backing first = shared("räm", 2);
                Backing rom = shared("", 1)) {
            first.write(7, new byte[] {1, 2, 3}, 0, 3);
            Future<List<Backing>> coming = other.submit(() -> second.receive(socket, SOON));
            host.offer(socket, List.of(first, rom, first), SOON);
            List<Backing> came = coming.get();
            assertFalse(Files.exists(socket));
            assertEquals(
                    List.of("räm", "", "räm"), came.stream().map(Backing::name).toList());
            assertEquals(
                    List.of(2 * page, page, 2 * page),
                    came.stream().map(Backing::size).toList());
            byte[] read = new byte[3];
            came.get(2).read(7, read, 0, 3);
            assertArrayEquals(new byte[] {1, 2, 3}, read);
            assertEquals(BackingKind.SHARED, came.get(0).kind());
        } finally {
            close(second);
            other.shutdown();
        }
    }

    @Test
    void offerThatNobodyTakesEndsInTimeAndLeavesNoSocket(@TempDir Path folder) throws Exception {
        Path socket = folder.resolve("s");
        try (Backing ram = shared("ram", 1)) {
            var late = assertThrows(
                    AllocationException.class, () -> host.offer(socket, List.of(ram), Duration.ofMillis(50)));
            assertTrue(late.getMessage().contains("in time"), late.getMessage());
            assertTrue(late.getMessage().contains(socket.toString()), late.getMessage());
            assertFalse(Files.exists(socket));
        }
    }

    @Test
    void waitingForAnOfferEndsInTime(@TempDir Path folder) {
        var late =
                assertThrows(AllocationException.class, () -> host.receive(folder.resolve("s"), Duration.ofMillis(50)));
        assertTrue(late.getMessage().contains("in time"), late.getMessage());
    }

    @Test
    void privateMemoryCannotBeOffered(@TempDir Path folder) throws Exception {
        try (Backing memory = privateMemory("scratch", 1)) {
            var refused = assertThrows(
                    AllocationException.class, () -> host.offer(folder.resolve("s"), List.of(memory), SOON));
            assertTrue(refused.getMessage().contains("no descriptor"), refused.getMessage());
        }
    }

    // The end

    @Test
    void closingTheHostClosesWhatIsOpen() throws Exception {
        HostMemory second = open();
        AddressReservation space = second.reserve(4 * page, page);
        Backing ram = second.allocate(BackingRequest.shared("ram", page));
        Backing copy = host.duplicate(ram);
        ram.claim("guest");
        space.map(pages(0, 1), ram, 0);
        close(second);
        close(second);
        assertClosed(space::observe);
        assertClosed(ram::descriptor);
        assertClosed(() -> second.reserve(page, page));
        assertClosed(() -> second.allocate(BackingRequest.shared("ram", page)));
        assertClosed(() -> second.duplicate(copy));
        copy.claim("another").close();
        copy.close();
    }
}
