package io.membacking.host.windows;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.jna.Memory;
import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;
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
import io.membacking.range.MemoryRange;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** What is Windows's own: views that go as a whole, memory that is refused, other processes, and the end. */
class WindowsReservationTest {
    private final WindowsHostMemory host = OnWindows.here() ? new WindowsHostMemory() : null;
    private final long page = host == null ? 0 : host.capabilities().mappingGranularity();

    @BeforeAll
    static void onWindows() {
        OnWindows.require(WindowsReservationTest.class);
    }

    @AfterEach
    void close() {
        host.close();
    }

    private MemoryRange pages(long from, long count) {
        return MemoryRange.ofLength(from * page, count * page);
    }

    private Backing shared(String name, long pages) throws Exception {
        return host.allocate(BackingRequest.shared(name, pages * page));
    }

    private static WindowsHostMemory pretending(UnaryOperator<HostFacts> facts) {
        return new WindowsHostMemory(facts);
    }

    // Views

    @Test
    void whatIsDisturbedIsTheViewsThatAreCut() throws Exception {
        try (AddressReservation space = host.reserve(32 * page, page)) {
            space.map(pages(4, 8), shared("ram", 32), 0);
            space.map(pages(16, 8), shared("other", 32), 0);
            space.map(pages(24, 4), privateMemory(4), 0);
            assertEquals(pages(0, 4), space.disturbed(pages(0, 4)));
            assertEquals(pages(4, 8), space.disturbed(pages(5, 1)));
            assertEquals(pages(4, 20), space.disturbed(pages(11, 6)));
            assertEquals(pages(24, 1), space.disturbed(pages(24, 1)), "private memory is cut where it is");
            // Cut once, the pieces are views of their own.
            space.map(pages(5, 1), shared("device", 1), 0);
            assertEquals(pages(5, 1), space.disturbed(pages(5, 1)));
            assertEquals(pages(6, 6), space.disturbed(pages(7, 1)));
        }
    }

    @Test
    void releasedPartOfAViewLingersUnseenUntilItsPlaceIsWanted() throws Exception {
        try (AddressReservation space = host.reserve(16 * page, page);
                Backing ram = shared("ram", 16)) {
            space.map(pages(0, 8), ram, 0);
            space.release(pages(2, 4));
            assertEquals(
                    List.of(new HostPiece(pages(0, 2), ram.id(), 0), new HostPiece(pages(6, 2), ram.id(), 6 * page)),
                    space.observe());
            assertThrows(HostMappingException.class, () -> space.prefetch(pages(1, 2)));
            assertEquals(pages(0, 8), space.disturbed(pages(3, 1)));
            space.map(pages(3, 1), ram, 0);
            assertEquals(pages(3, 1), space.disturbed(pages(3, 1)));
            space.release(pages(0, 2));
            space.release(pages(6, 2));
            assertEquals(List.of(new HostPiece(pages(3, 1), ram.id(), 0)), space.observe());
            // With its last part the whole view has gone.
            assertEquals(pages(6, 2), space.disturbed(pages(6, 2)));
            space.release(pages(3, 1));
            assertEquals(List.of(), space.observe());
            space.map(pages(0, 16), ram, 0);
        }
    }

    private Backing privateMemory(long pages) throws Exception {
        return host.allocate(
                new BackingRequest("scratch", BackingKind.PRIVATE, pages * page, 0, false, OptionalInt.empty()));
    }

    @Test
    void lockedMemoryCanBeCutAndReleased() throws Exception {
        try (AddressReservation space = host.reserve(16 * page, page);
                Backing ram = shared("ram", 16)) {
            space.map(pages(0, 8), ram, 0);
            space.map(pages(8, 4), privateMemory(4), 0);
            space.lock(pages(0, 12));
            space.lock(pages(4, 6));
            space.map(pages(2, 2), ram, 0);
            space.release(pages(7, 2));
            space.unlock(pages(0, 16));
            space.lock(pages(0, 7));
        }
    }

    // Refusals

    @Test
    void shortageOfCommitIsRefusedWithPagesSizeAndPool() throws Exception {
        long size = 1L << 50;
        try (WindowsHostMemory large = pretending(facts -> withMemory(facts, 1L << 60))) {
            for (BackingKind kind : List.of(BackingKind.SHARED, BackingKind.PRIVATE)) {
                var refused = assertThrows(
                        AllocationException.class,
                        () -> large.allocate(new BackingRequest("big", kind, size, 0, false, OptionalInt.empty())));
                String message = refused.getMessage();
                assertTrue(message.startsWith("allocate backing 'big': the host would not commit 0x"), message);
                assertTrue(message.contains("0x4000000000000 bytes: that is 274877906944 pages of 0x1000"), message);
                assertTrue(message.contains("of the commit limit (memory and page files) of 0x"), message);
                assertTrue(message.endsWith("free memory, or enlarge the page file"), message);
                assertTrue(refused.failure().nativeError().isPresent());
            }
        }
    }

    private static HostFacts withMemory(HostFacts facts, long bytes) {
        HostCapabilities real = facts.capabilities();
        return new HostFacts(
                new HostCapabilities(
                        real.system(),
                        real.pageSize(),
                        real.mappingGranularity(),
                        real.hugePageSizes(),
                        real.numaNodes(),
                        bytes,
                        real.addressBits(),
                        real.replacesInPlace(),
                        real.transparentHugePages()),
                facts.placeholders(),
                facts.granularity(),
                facts.highestAddress(),
                facts.processBarrier(),
                facts.largePage());
    }

    @Test
    void largePagesAreMadeOrRefusedWithTheRightThatIsMissing() throws Exception {
        long large = host.facts().largePage();
        BackingRequest request =
                new BackingRequest("huge", BackingKind.HUGETLB, 2 * large, large, false, OptionalInt.empty());
        if (!host.capabilities().hugePageSizes().isEmpty()) {
            try (Backing huge = host.allocate(request);
                    AddressReservation space = host.reserve(4 * large, large)) {
                space.map(MemoryRange.ofLength(large, 2 * large), huge, 0);
                new Pointer(space.base()).setLong(large, 5);
                assertEquals(5, new Pointer(space.base()).getLong(large));
            }
            return;
        }
        String refused = assertThrows(AllocationException.class, () -> host.allocate(request))
                .getMessage();
        assertTrue(refused.contains("'huge'") && refused.contains("SeLockMemoryPrivilege"), refused);
    }

    @Test
    void withoutPlaceholdersLessThanAGranuleIsRefusedByName() throws Exception {
        try (WindowsHostMemory older = pretending(HostFacts::withoutPlaceholders);
                AddressReservation space = older.reserve(1 << 20, 1 << 16);
                Backing ram = older.allocate(BackingRequest.shared("ram", 1 << 20))) {
            assertEquals(1 << 16, older.capabilities().mappingGranularity());
            assertEquals(4096, older.capabilities().pageSize());
            for (MemoryRange range : List.of(new MemoryRange(0x4000, 0x10000), new MemoryRange(0, 0x4000))) {
                String refused = assertThrows(HostMappingException.class, () -> space.map(range, ram, 0))
                        .getMessage();
                assertTrue(refused.contains("has no placeholders") && refused.contains("0x10000 bytes"), refused);
            }
            assertThrows(HostMappingException.class, () -> space.map(new MemoryRange(0, 0x10000), ram, 0x4000));
            assertEquals(List.of(), space.observe());
        }
    }

    @Test
    void withoutPlaceholdersAnyPagesCanBeReleased() throws Exception {
        try (WindowsHostMemory older = pretending(HostFacts::withoutPlaceholders);
                AddressReservation space = older.reserve(1 << 20, 1 << 16);
                Backing ram = older.allocate(BackingRequest.shared("ram", 1 << 20));
                Backing scratch = older.allocate(
                        new BackingRequest("scratch", BackingKind.PRIVATE, 1 << 20, 0, false, OptionalInt.empty()))) {
            space.map(new MemoryRange(0, 0x40000), scratch, 0);
            space.map(new MemoryRange(0x40000, 0x80000), ram, 0);
            Pointer memory = new Pointer(space.base());
            memory.setLong(0x4000, 3);
            memory.setLong(0x34000, 4);
            space.release(new MemoryRange(0x8000, 0x34000));
            space.release(new MemoryRange(0x44000, 0x48000));
            assertEquals(
                    List.of(
                            new HostPiece(new MemoryRange(0, 0x8000), scratch.id(), 0),
                            new HostPiece(new MemoryRange(0x34000, 0x40000), scratch.id(), 0),
                            new HostPiece(new MemoryRange(0x40000, 0x44000), ram.id(), 0),
                            new HostPiece(new MemoryRange(0x48000, 0x80000), ram.id(), 0x8000)),
                    space.observe());
            assertEquals(3, memory.getLong(0x4000));
            assertEquals(4, memory.getLong(0x34000));
            space.map(new MemoryRange(0, 0x10000), scratch, 0);
            assertEquals(0, memory.getLong(0x4000));
            space.release(new MemoryRange(0, 0x8000));
            space.release(new MemoryRange(0x8000, 0x80000));
            assertEquals(List.of(), space.observe());
            space.map(new MemoryRange(0, 0x80000), ram, 0);
        }
    }

    /** Whoever allocates at the very addresses makes changes fail by name; never are other contents shown. */
    @Test
    void withoutPlaceholdersARacingAllocationIsARefusalAndNoMixture() throws Exception {
        long granule = 1 << 16;
        long seed = System.nanoTime();
        ExecutorService racer = Executors.newSingleThreadExecutor();
        AtomicBoolean stop = new AtomicBoolean();
        try (WindowsHostMemory older = pretending(HostFacts::withoutPlaceholders);
                AddressReservation space = older.reserve(16 * granule, granule);
                Backing ram = older.allocate(BackingRequest.shared("ram", 16 * granule))) {
            for (int i = 0; i < 16; i++) {
                ram.write(i * granule, new byte[] {(byte) (i + 1)}, 0, 1);
            }
            long base = space.base();
            Future<Integer> taken = racer.submit(() -> {
                int count = 0;
                Random random = new Random(seed);
                while (!stop.get()) {
                    long at = base + random.nextInt(16) * granule;
                    long there = Win32.VirtualAllocEx(
                            Win32.CURRENT_PROCESS, at, granule, Win32.MEM_RESERVE, Win32.PAGE_NOACCESS);
                    if (there != Win32.NULL) {
                        count++;
                        Win32.VirtualFreeEx(Win32.CURRENT_PROCESS, there, 0, Win32.MEM_RELEASE);
                    }
                }
                return count;
            });
            Random random = new Random(seed + 1);
            long[] model = new long[16];
            int refused = 0;
            for (int i = 0; i < 2000; i++) {
                int from = random.nextInt(16);
                int count = 1 + random.nextInt(16 - from);
                // Nothing that is there is cut, so that nothing that stays can be lost to the racer.
                space.release(MemoryRange.ofLength(0, 16 * granule));
                java.util.Arrays.fill(model, 0);
                int offset = random.nextInt(16 - count + 1);
                try {
                    space.map(MemoryRange.ofLength(from * granule, count * granule), ram, offset * granule);
                    for (int at = 0; at < count; at++) {
                        model[from + at] = 1L + offset + at;
                    }
                } catch (HostMappingException e) {
                    refused++;
                    assertTrue(e.getMessage().contains("another allocation of this process"), e.getMessage());
                }
                for (int at = 0; at < 16; at++) {
                    if (model[at] != 0) {
                        assertEquals(model[at], new Pointer(base).getByte(at * granule), "seed " + seed);
                    }
                }
            }
            stop.set(true);
            int met = taken.get(20, TimeUnit.SECONDS);
            System.err.println("the racer got in " + met + " times; " + refused + " changes were refused");
            space.release(MemoryRange.ofLength(0, 16 * granule));
            space.map(MemoryRange.ofLength(0, 16 * granule), ram, 0);
        } finally {
            stop.set(true);
            racer.shutdown();
        }
    }

    // Another process

    @Test
    void sectionCanBeMappedIntoAnotherProcessAndCutThere() throws Exception {
        try (ForkedJvm other = ForkedJvm.start(Sleeper.class);
                Backing ram = shared("ram", 8);
                Memory bytes = new Memory(8)) {
            int rights = 0x8 | 0x10 | 0x20 | 0x400; // PROCESS_VM_OPERATION, VM_READ, VM_WRITE, QUERY_INFORMATION
            long process = Win32.OpenProcess(rights, 0, (int) other.process().pid());
            assertTrue(process != 0, () -> WindowsError.last().toString());
            AddressReservation space = host.reserveIn(process, 16 * page, page);
            space.map(pages(2, 8), ram, 0);
            ram.write(3 * page, new byte[] {42}, 0, 1);
            assertEquals(42, byteAt(process, space.base() + 5 * page, bytes));
            space.map(pages(4, 1), ram, 3 * page);
            assertEquals(42, byteAt(process, space.base() + 4 * page, bytes));
            assertEquals(42, byteAt(process, space.base() + 5 * page, bytes));
            assertEquals(
                    List.of(
                            new HostPiece(pages(2, 2), ram.id(), 0),
                            new HostPiece(pages(4, 1), ram.id(), 3 * page),
                            new HostPiece(pages(5, 5), ram.id(), 3 * page)),
                    space.observe());
            String refused = assertThrows(HostMappingException.class, () -> space.lock(pages(4, 1)))
                    .getMessage();
            assertTrue(refused.contains("calling process only"), refused);
            space.release(pages(0, 16));
            assertEquals(List.of(), space.observe());
            space.map(pages(0, 8), ram, 0);
            // It ends first; what was there is gone with it.
            other.process().destroyForcibly();
            assertTrue(other.process().waitFor(20, TimeUnit.SECONDS));
            space.close();
            Win32.CloseHandle(process);
        }
    }

    private static byte byteAt(long process, long address, Memory bytes) {
        assertTrue(Win32.ReadProcessMemory(process, address, bytes, 1, Pointer.NULL) != 0, () -> WindowsError.last()
                .toString());
        return bytes.getByte(0);
    }

    /** The other process: waits for its end. */
    static final class Sleeper {
        private Sleeper() {}

        public static void main(String[] arguments) throws IOException {
            while (System.in.read() >= 0) {
                // nothing comes
            }
        }
    }

    // Ends

    @Test
    void closingReturnsEveryHandleAndEveryAddress() throws Exception {
        long base = cycleOfEverything();
        int handles = handles();
        for (int i = 0; i < 20; i++) {
            cycleOfEverything();
        }
        assertTrue(handles() < handles + 10, "handles: " + handles() + ", before " + handles);
        try (Memory region = new Memory(Win32.SIZE_OF_BASIC_INFORMATION)) {
            Win32.VirtualQueryEx(Win32.CURRENT_PROCESS, base, region, region.size());
            assertEquals(Win32.MEM_FREE, region.getInt(Win32.BASIC_INFORMATION_STATE));
        }
    }

    private long cycleOfEverything() throws Exception {
        try (WindowsHostMemory all = new WindowsHostMemory()) {
            AddressReservation space = all.reserve(1L << 30, page);
            Backing ram = all.allocate(BackingRequest.shared("all of it", 16 * page));
            Backing.Claim claim = all.duplicate(ram).claim("guest");
            assertFalse(claim == null);
            space.map(pages(0, 16), ram, 0);
            space.map(pages(4, 4), ram, 0);
            space.release(pages(10, 2));
            return space.base();
        }
    }

    private static int handles() {
        try (Memory count = new Memory(4)) {
            Handles.GetProcessHandleCount(Win32.CURRENT_PROCESS, count);
            return count.getInt(0);
        }
    }

    /** Bound for as long as the test's JVM runs. */
    private static final class Handles {
        static {
            Native.register(Handles.class, NativeLibrary.getInstance("kernel32"));
        }

        static native int GetProcessHandleCount(long process, Pointer count);
    }

    @Test
    void closingUnderCallsOfOtherThreadsEndsThemWithAnException() throws Exception {
        for (int round = 0; round < 10; round++) {
            WindowsHostMemory doomed = new WindowsHostMemory();
            Backing ram = doomed.allocate(BackingRequest.shared("ram", 16 * page));
            AddressReservation space = doomed.reserve(64 * page, page);
            ExecutorService callers = Executors.newFixedThreadPool(3);
            List<Future<?>> ends = new ArrayList<>();
            var started = new java.util.concurrent.CountDownLatch(3);
            List<Executable> calls = List.of(
                    () -> ram.read(0, new byte[4096], 0, 4096),
                    () -> space.map(pages(0, 16), ram, 0),
                    () -> doomed.allocate(BackingRequest.shared("more", page)).close());
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
        Class<?> type = loader.loadClass(WindowsHostMemory.class.getName());
        assertTrue(type != WindowsHostMemory.class);
        HostMemory other = (HostMemory) type.getDeclaredConstructor().newInstance();
        try (AddressReservation space = other.reserve(16 * page, page);
                Backing ram = other.allocate(BackingRequest.shared("ram", 16 * page))) {
            space.map(pages(0, 16), ram, 0);
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
            super(WindowsHostMemory.class.getClassLoader());
        }

        @Override
        protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
            if (!name.startsWith("io.membacking.host.windows.")) {
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
