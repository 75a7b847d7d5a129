package io.membacking.host.linux;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.jna.Pointer;
import io.membacking.error.AllocationException;
import io.membacking.error.HostMappingException;
import io.membacking.host.AddressReservation;
import io.membacking.host.Backing;
import io.membacking.host.BackingKind;
import io.membacking.host.BackingRequest;
import io.membacking.host.HostCapabilities;
import io.membacking.host.HostMemory;
import io.membacking.host.HostPiece;
import io.membacking.host.contract.HostMemoryContract;
import io.membacking.range.MemoryRange;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** The contract, and what is Linux's own. */
class LinuxHostMemoryTest extends HostMemoryContract {
    @Override
    protected HostMemory open() {
        return new LinuxHostMemory();
    }

    @Override
    protected void close(HostMemory host) {
        ((LinuxHostMemory) host).close();
    }

    /** This host, but for some facts. */
    private static LinuxHostMemory pretending(long physicalMemory, boolean strictOvercommit, boolean populates) {
        return new LinuxHostMemory(() -> {
            HostCapabilities real = HostFacts.read().capabilities();
            return new HostFacts(
                    new HostCapabilities(
                            "linux",
                            real.pageSize(),
                            real.hugePageSizes(),
                            real.numaNodes(),
                            physicalMemory,
                            real.addressBits(),
                            true,
                            false),
                    strictOvercommit,
                    populates);
        });
    }

    // Addresses

    @Test
    void hundredReservationsLeaveTheMappingsAsTheyWere() throws Exception {
        Backing ram = shared("cycle", 64);
        cycle(ram);
        long mappings = ProcessState.mappings();
        long size = ProcessState.status("VmSize");
        for (int i = 0; i < 100; i++) {
            cycle(ram);
        }
        assertEquals(List.of(), ProcessState.mappings("cycle"));
        // The JVM's own come and go; a leak would be one or more a cycle, and each as large as the reservation.
        assertTrue(ProcessState.mappings() < mappings + 50, ProcessState.mappings() + " after " + mappings);
        assertTrue(ProcessState.status("VmSize") < size + 1024 * MIB);
    }

    private void cycle(Backing ram) throws HostMappingException {
        try (AddressReservation space = host.reserve(1024 * MIB, 2 * MIB)) {
            space.map(pages(3, 10), ram, 0);
            space.map(pages(30, 10), ram, 20 * page);
            space.release(pages(5, 2));
        }
    }

    @Test
    void releasingIslandsMergesThemAwayAgain() throws Exception {
        try (AddressReservation space = host.reserve(1024 * MIB, 2 * MIB);
                Backing ram = shared("island", 1)) {
            int islands = 1000;
            assertEquals(
                    1,
                    MapsLine.within(space.base(), space.base() + space.size()).size());
            for (int i = 0; i < islands; i++) {
                space.map(pages(2 * i + 1, 1), ram, 0);
            }
            assertEquals(
                    2 * islands + 1,
                    MapsLine.within(space.base(), space.base() + space.size()).size());
            for (int i = 0; i < islands; i++) {
                space.release(pages(2 * i + 1, 1));
            }
            assertEquals(
                    1,
                    MapsLine.within(space.base(), space.base() + space.size()).size());
        }
    }

    @Test
    void strayAccessToWhatIsEmptyEndsNothing() throws Exception {
        try (AddressReservation space = host.reserve(16 * page, page);
                Backing ram = shared("ram", 4)) {
            assertEquals(0, peek(space, page));
            space.map(pages(0, 4), ram, 0);
            poke(space, 2 * page, 5);
            space.release(pages(2, 1));
            assertEquals(0, peek(space, 2 * page));
            poke(space, 2 * page, 9);
            byte[] bytes = new byte[1];
            ram.read(2 * page, bytes, 0, 1);
            assertEquals(5, bytes[0]);
        }
    }

    @Test
    void guardPagesLieAroundAReservation() throws Exception {
        try (AddressReservation space = host.reserve(16 * page, page)) {
            for (long address : new long[] {space.base() - page, space.base() + space.size()}) {
                List<MapsLine> there = MapsLine.within(address, address + page);
                assertEquals(1, there.size());
                assertFalse(there.get(0).readable());
            }
        }
    }

    @Test
    void strangersMemoryIsObservedAsUnknown() throws Exception {
        try (AddressReservation space = host.reserve(16 * page, page);
                Backing ram = shared("ram", 4)) {
            space.map(pages(4, 4), ram, 0);
            try (LinuxHostMemory other = new LinuxHostMemory();
                    Backing stranger = other.allocate(BackingRequest.shared("stranger", 2 * page))) {
                // Behind the reservation's back.
                assertEquals(null, ((LinuxBacking) stranger).place(space.base() + 5 * page, 2 * page, 0));
            }
            assertEquals(
                    List.of(
                            new HostPiece(pages(4, 1), ram.id(), 0),
                            new HostPiece(pages(5, 2), LinuxReservation.UNKNOWN, 0),
                            new HostPiece(pages(7, 1), ram.id(), 3 * page)),
                    space.observe());
        }
    }

    @Test
    void memoryTakenAwayBehindTheBookIsNotObserved() throws Exception {
        try (AddressReservation space = host.reserve(16 * page, page);
                Backing ram = shared("ram", 4);
                Backing memory = privateMemory("scratch", 4)) {
            space.map(pages(0, 4), ram, 0);
            space.map(pages(8, 4), memory, 0);
            for (int at : new int[] {1, 9}) {
                Libc.mmap(
                        space.base() + at * page,
                        page,
                        Libc.PROT_NONE,
                        Libc.MAP_PRIVATE | Libc.MAP_ANONYMOUS | Libc.MAP_FIXED,
                        -1,
                        0);
            }
            assertEquals(
                    List.of(
                            new HostPiece(pages(0, 1), ram.id(), 0),
                            new HostPiece(pages(2, 2), ram.id(), 2 * page),
                            new HostPiece(pages(8, 1), memory.id(), 0),
                            new HostPiece(pages(10, 2), memory.id(), 0)),
                    space.observe());
        }
    }

    @Test
    void mapThatTheKernelRefusesLeavesWhatWasThere() throws Exception {
        try (AddressReservation space = host.reserve(1L << 40, page);
                Backing ram = shared("ram", 4);
                Backing memory = privateMemory("scratch", 4)) {
            space.map(pages(0, 4), ram, 0);
            space.map(pages(4, 4), memory, 0);
            poke(space, page, 11);
            poke(space, 5 * page, 55);
            List<HostPiece> before = space.observe();
            int writable = ram.descriptor().getAsInt();
            int readOnly;
            try (var name = Libc.string("/proc/self/fd/" + writable)) {
                readOnly = Libc.open(name, Libc.O_CLOEXEC, 0);
            }
            FileId file = FileStatus.of(readOnly).file();
            try (Backing unwritable = new DescriptorBacking(
                    (LinuxHostMemory) host, "rom", BackingKind.SHARED, 4 * page, page, false, readOnly, file)) {
                var refused = assertThrows(HostMappingException.class, () -> space.map(pages(1, 3), unwritable, 0));
                assertEquals(
                        "map backing 'rom' at " + pages(1, 3) + ": the host refused: EACCES (13)",
                        refused.getMessage());
            }
            if (!HostFacts.text(Path.of("/proc/sys/vm/overcommit_memory"))
                    .strip()
                    .equals("1")) {
                Backing endless = new PrivateBacking(
                        (LinuxHostMemory) host, "endless", 1L << 40, page, false, OptionalInt.empty());
                var refused = assertThrows(
                        HostMappingException.class, () -> space.map(MemoryRange.ofLength(0, 1L << 40), endless, 0));
                assertTrue(refused.getMessage().contains("ENOMEM"), refused.getMessage());
            }
            assertEquals(before, space.observe());
            assertEquals(11, peek(space, page));
            assertEquals(55, peek(space, 5 * page));
        }
    }

    @Test
    void bookCountsTheMappingsThatTheKernelMakes() throws Exception {
        long seed = new java.util.Random().nextLong();
        var random = new java.util.Random(seed);
        try (LinuxHostMemory counted = new LinuxHostMemory();
                AddressReservation space = counted.reserve(64 * page, page)) {
            List<Backing> backings = List.of(
                    counted.allocate(BackingRequest.shared("a", 64 * page)),
                    counted.allocate(BackingRequest.shared("b", 64 * page)));
            for (int step = 0; step < 300; step++) {
                int from = random.nextInt(64);
                int count = 1 + random.nextInt(Math.min(6, 64 - from));
                int choice = random.nextInt(3);
                if (choice == 2) {
                    space.release(pages(from, count));
                } else {
                    int shift = random.nextInt(2) * 64 - from;
                    space.map(pages(from, count), backings.get(choice), shift < 0 ? from * page : 0);
                }
                long real = MapsLine.within(space.base() - page, space.base() + space.size() + page)
                        .size();
                assertEquals(real, ((LinuxReservation) space).mappings(), "seed " + seed + " step " + step);
            }
        }
    }

    // Advice, population and locks, as the kernel sees them

    @Test
    void transparentHugePagesAreAdvisedWhereAsked() throws Exception {
        Required.require(
                Files.exists(Path.of("/sys/kernel/mm/transparent_hugepage/enabled")),
                "advice on transparent huge pages needs a kernel with CONFIG_TRANSPARENT_HUGEPAGE");
        try (AddressReservation space = host.reserve(16 * MIB, 2 * MIB)) {
            for (BackingKind kind : List.of(BackingKind.SHARED, BackingKind.PRIVATE)) {
                Backing asked = host.allocate(new BackingRequest("asked", kind, 2 * MIB, 0, true, OptionalInt.empty()));
                Backing plain =
                        host.allocate(new BackingRequest("plain", kind, 2 * MIB, 0, false, OptionalInt.empty()));
                space.map(MemoryRange.ofLength(2 * MIB, 2 * MIB), asked, 0);
                space.map(MemoryRange.ofLength(6 * MIB, 2 * MIB), plain, 0);
                assertTrue(ProcessState.flags(space.base() + 2 * MIB).contains("hg"));
                assertFalse(ProcessState.flags(space.base() + 6 * MIB).contains("hg"));
            }
        }
    }

    @Test
    void nodeIsTheKernelsPolicyForTheMemory() throws Exception {
        Path policies = Path.of("/proc/self/numa_maps");
        Required.require(Files.exists(policies), "a node's policy shows only on a kernel with CONFIG_NUMA");
        int node = host.capabilities().numaNodes().iterator().next();
        try (AddressReservation space = host.reserve(16 * page, page)) {
            for (BackingKind kind : List.of(BackingKind.SHARED, BackingKind.PRIVATE)) {
                Backing ram = host.allocate(new BackingRequest("near", kind, 4 * page, 0, false, OptionalInt.of(node)));
                space.map(pages(4, 4), ram, 0);
                space.prefetch(pages(4, 4));
                String start = Long.toHexString(space.base() + 4 * page) + " bind:" + node + " ";
                assertTrue(
                        Files.readAllLines(policies).stream().anyMatch(line -> line.startsWith(start)),
                        () -> kind + " is not bound: " + start);
            }
        }
    }

    @Test
    void prefetchPopulates() throws Exception {
        try (AddressReservation space = host.reserve(64 * MIB, page);
                Backing ram = host.allocate(BackingRequest.shared("ram", 16 * MIB));
                Backing memory = privateMemory("scratch", 16 * MIB / page)) {
            space.map(MemoryRange.ofLength(0, 16 * MIB), ram, 0);
            space.map(MemoryRange.ofLength(16 * MIB, 16 * MIB), memory, 0);
            assertEquals(0, ProcessState.resident(space.base()));
            assertEquals(0, ProcessState.resident(space.base() + 16 * MIB));
            space.prefetch(MemoryRange.ofLength(0, 32 * MIB));
            assertEquals(16 * MIB, ProcessState.resident(space.base()));
            assertEquals(16 * MIB, ProcessState.resident(space.base() + 16 * MIB));
        }
    }

    @Test
    void olderKernelPopulatesSharedMemoryByTouchingIt() throws Exception {
        try (LinuxHostMemory old = pretending(1L << 40, false, false);
                AddressReservation space = old.reserve(64 * MIB, page);
                Backing ram = old.allocate(BackingRequest.shared("ram", 16 * MIB));
                Backing memory = old.allocate(
                        new BackingRequest("scratch", BackingKind.PRIVATE, MIB, 0, false, OptionalInt.empty()))) {
            space.map(MemoryRange.ofLength(0, 16 * MIB), ram, 0);
            poke(space, 8 * MIB, 3);
            assertTrue(ProcessState.resident(space.base()) < 16 * MIB);
            space.prefetch(MemoryRange.ofLength(0, 16 * MIB));
            assertEquals(16 * MIB, ProcessState.resident(space.base()));
            assertEquals(3, peek(space, 8 * MIB));
            space.map(MemoryRange.ofLength(16 * MIB, MIB), memory, 0);
            var refused =
                    assertThrows(HostMappingException.class, () -> space.prefetch(MemoryRange.ofLength(0, 17 * MIB)));
            assertTrue(refused.getMessage().contains("5.14"), refused.getMessage());
        }
    }

    @Test
    void lockedMemoryIsLockedUntilUnlockedReplacedOrReleased() throws Exception {
        try (AddressReservation space = host.reserve(64 * page, page);
                Backing ram = shared("ram", 64)) {
            long before = ProcessState.status("VmLck");
            space.map(pages(0, 64), ram, 0);
            space.lock(pages(0, 2));
            space.lock(pages(0, 8));
            assertEquals(before + 8 * page, ProcessState.status("VmLck"));
            space.unlock(pages(2, 2));
            assertEquals(before + 6 * page, ProcessState.status("VmLck"));
            space.map(pages(4, 1), ram, 0);
            assertEquals(before + 5 * page, ProcessState.status("VmLck"));
            space.release(pages(5, 1));
            assertEquals(before + 4 * page, ProcessState.status("VmLck"));
            space.map(pages(5, 1), ram, 0);
            space.lock(pages(0, 8));
            assertEquals(before + 8 * page, ProcessState.status("VmLck"));
            space.unlock(pages(0, 64));
            assertEquals(before, ProcessState.status("VmLck"));
        }
    }

    // Allocation

    @Test
    void hostSmallerThanTheGuestRefuses() throws Exception {
        try (LinuxHostMemory small = pretending(4 * MIB, false, true)) {
            small.allocate(BackingRequest.shared("ram", 4 * MIB)).close();
            var refused = assertThrows(
                    AllocationException.class, () -> small.allocate(BackingRequest.shared("ram", 4 * MIB + page)));
            assertEquals(
                    "allocate backing 'ram': 0x401000 bytes are more than the host's memory, 0x400000; ask for less",
                    refused.getMessage());
        }
    }

    @Test
    void strictAccountingTakesOrdinaryPagesAtOnce() throws Exception {
        try (LinuxHostMemory strict = pretending(1L << 50, true, true)) {
            try (Backing ram = strict.allocate(BackingRequest.shared("ram", MIB))) {
                assertEquals(MIB / 512, blocks(ram));
            }
            try (Backing lazy = host.allocate(BackingRequest.shared("ram", MIB))) {
                assertEquals(0, blocks(lazy));
            }
        }
    }

    /** Blocks of 512 bytes that a backing has (st_blocks). */
    private static long blocks(Backing backing) {
        try (com.sun.jna.Memory stat = new com.sun.jna.Memory(256)) {
            assertEquals(0, Libc.fstat(backing.descriptor().getAsInt(), stat));
            return stat.getLong(64);
        }
    }

    @Test
    void backingsAreSealedAndNamed() throws Exception {
        try (Backing ram = shared("guest \u00fc" + "x".repeat(300), 1)) {
            int descriptor = ram.descriptor().getAsInt();
            int seals = Libc.fcntl(descriptor, Libc.F_GET_SEALS, 0);
            int wanted = Libc.F_SEAL_SEAL | Libc.F_SEAL_SHRINK | Libc.F_SEAL_GROW;
            assertEquals(wanted, seals & wanted);
            assertEquals(-1, Libc.ftruncate(descriptor, 0));
            assertEquals(Errno.EPERM, Errno.last().code());
            String link = Files.readSymbolicLink(Path.of("/proc/self/fd/" + descriptor))
                    .toString();
            assertTrue(link.startsWith("/memfd:guest "), link);
        }
    }

    @Test
    void failedCallsLeaveNoDescriptorAndNoMapping() throws Exception {
        Backing ram = shared("kept", 4);
        AddressReservation space = host.reserve(16 * page, page);
        space.map(pages(0, 4), ram, 0);
        List<Executable> doors = List.of(
                () -> host.allocate(
                        BackingRequest.shared("gone", host.capabilities().physicalMemory() * 2 & -page)),
                () -> host.allocate(
                        new BackingRequest("gone", BackingKind.SHARED, page, 0, false, OptionalInt.of(512))),
                () -> host.allocate(
                        new BackingRequest("gone", BackingKind.HUGETLB, MIB, 12345, false, OptionalInt.empty())),
                () -> host.allocate(hugePages("gone", 2 * MIB, 1L << 30)),
                () -> host.reserve(1L << 60, page),
                () -> space.lock(pages(2, 4)),
                () -> space.prefetch(pages(2, 4)),
                () -> host.duplicate(privateMemory("gone", 1)),
                () -> ram.claim("second"));
        ram.claim("first");
        for (Executable door : doors) {
            // Once before counting: the first failure loads classes.
            assertThrows(Exception.class, door);
            long descriptors = ProcessState.descriptors();
            for (int i = 0; i < 3; i++) {
                assertThrows(Exception.class, door);
            }
            assertEquals(descriptors, ProcessState.descriptors());
            assertEquals(List.of(), ProcessState.mappings("gone"));
            assertEquals(List.of(new HostPiece(pages(0, 4), ram.id(), 0)), space.observe());
        }
    }

    private static BackingRequest hugePages(String name, long pageSize, long size) {
        return new BackingRequest(name, BackingKind.HUGETLB, size, pageSize, false, OptionalInt.empty());
    }

    // Ends

    @Test
    void closingReturnsEveryDescriptorAndMapping() throws Exception {
        cycleOfEverything();
        long descriptors = ProcessState.descriptors();
        cycleOfEverything();
        assertEquals(descriptors, ProcessState.descriptors());
        assertEquals(List.of(), ProcessState.mappings("all of it"));
    }

    private void cycleOfEverything() throws Exception {
        try (LinuxHostMemory all = new LinuxHostMemory()) {
            AddressReservation space = all.reserve(16 * MIB, page);
            Backing ram = all.allocate(BackingRequest.shared("all of it", MIB));
            all.duplicate(ram).claim("guest");
            space.map(MemoryRange.ofLength(0, MIB), ram, 0);
        }
    }

    @Test
    void closingUnderCallsOfOtherThreadsEndsThemWithAnException() throws Exception {
        for (int round = 0; round < 10; round++) {
            LinuxHostMemory doomed = new LinuxHostMemory();
            Backing ram = doomed.allocate(BackingRequest.shared("ram", MIB));
            AddressReservation space = doomed.reserve(16 * MIB, page);
            ExecutorService callers = Executors.newFixedThreadPool(4);
            List<Future<?>> ends = new ArrayList<>();
            var started = new java.util.concurrent.CountDownLatch(4);
            List<Executable> calls = List.of(
                    () -> ram.read(0, new byte[4096], 0, 4096),
                    () -> space.map(pages(0, 16), ram, 0),
                    () -> doomed.allocate(BackingRequest.shared("more", page)).close(),
                    doomed::processBarrier);
            for (Executable call : calls) {
                ends.add(callers.submit(() -> {
                    started.countDown();
                    assertThrows(IllegalStateException.class, () -> {
                        while (true) {
                            call.execute();
                        }
                    });
                }));
            }
            started.await();
            doomed.close();
            for (Future<?> end : ends) {
                end.get(20, TimeUnit.SECONDS);
            }
            callers.shutdown();
        }
    }

    @Test
    void classLoaderIsCollectedAfterClose() throws Exception {
        var gone = new java.lang.ref.WeakReference<>(useInLoaderOfItsOwn());
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
        while (gone.get() != null && System.nanoTime() < end) {
            System.gc();
        }
        assertEquals(null, gone.get());
    }

    private ClassLoader useInLoaderOfItsOwn() throws Exception {
        ClassLoader loader = new OwnCopyLoader();
        Class<?> type = loader.loadClass(LinuxHostMemory.class.getName());
        assertTrue(type != LinuxHostMemory.class);
        HostMemory other = (HostMemory) type.getDeclaredConstructor().newInstance();
        try (AddressReservation space = other.reserve(MIB, page);
                Backing ram = other.allocate(BackingRequest.shared("ram", MIB))) {
            space.map(MemoryRange.ofLength(0, MIB), ram, 0);
            new Pointer(space.base()).setLong(0, 1);
            ram.claim("guest").close();
            assertThrows(Exception.class, () -> other.allocate(BackingRequest.shared("ram", 1L << 55)));
        }
        ((AutoCloseable) other).close();
        return loader;
    }

    /** Loads this bundle's classes again, as a framework does after an update. */
    private static final class OwnCopyLoader extends ClassLoader {
        OwnCopyLoader() {
            super(LinuxHostMemory.class.getClassLoader());
        }

        @Override
        protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
            if (!name.startsWith("io.membacking.host.linux.")) {
                return super.loadClass(name, resolve);
            }
            synchronized (getClassLoadingLock(name)) {
                Class<?> loaded = findLoadedClass(name);
                return loaded != null ? loaded : define(name);
            }
        }

        private Class<?> define(String name) throws ClassNotFoundException {
            try (var bytes = getParent().getResourceAsStream(name.replace('.', '/') + ".class")) {
                byte[] code = bytes.readAllBytes();
                return defineClass(name, code, 0, code.length);
            } catch (IOException e) {
                throw new ClassNotFoundException(name, e);
            }
        }
    }
}
