package io.membacking.host.linux;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.error.AllocationException;
import io.membacking.host.AddressReservation;
import io.membacking.host.Backing;
import io.membacking.host.BackingRequest;
import io.membacking.range.MemoryRange;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Handing over descriptors: what is refused, and what a second process sees. */
class BackingExchangeTest {
    private static final Duration SOON = Duration.ofSeconds(20);
    private static final long SIZE = 1 << 20;

    private final LinuxHostMemory host = new LinuxHostMemory();
    private final ExecutorService other = Executors.newSingleThreadExecutor();

    @TempDir
    Path folder;

    @AfterEach
    void close() {
        host.close();
        other.shutdown();
    }

    private Path socket() {
        return folder.resolve("s");
    }

    private static String refusal(Callable<?> call) {
        return assertThrows(AllocationException.class, call::call).getMessage();
    }

    private static String refusal(Future<?> call) {
        return assertThrows(ExecutionException.class, () -> call.get(20, TimeUnit.SECONDS))
                .getCause()
                .getMessage();
    }

    // A second process

    @Test
    void secondProcessFindsTheContentsAndItsWritesAreSeenHere() throws Exception {
        try (Backing ram = host.allocate(BackingRequest.shared("ram", SIZE));
                Backing rom = host.allocate(BackingRequest.shared("rom", SIZE / 2));
                AddressReservation space = host.reserve(2 * SIZE, 4096)) {
            space.map(MemoryRange.ofLength(0, SIZE), ram, 0);
            ram.write(0, "from the first".getBytes(UTF_8), 0, 14);
            ForkedJvm second = ForkedJvm.start(Receiver.class, socket().toString(), "contents");
            host.offer(socket(), List.of(ram, rom), SOON);
            second.finish();
            byte[] answer = new byte[15];
            ram.read(SIZE - 4096, answer, 0, 15);
            assertEquals("from the second", new String(answer, UTF_8));
            assertEquals('f', new com.sun.jna.Pointer(space.base()).getByte(SIZE - 4096));
        }
    }

    @Test
    void claimIsRefusedInASecondProcessUntilItEnds() throws Exception {
        try (Backing ram = host.allocate(BackingRequest.shared("ram", SIZE))) {
            Backing.Claim claim = ram.claim("first");
            ForkedJvm refused = ForkedJvm.start(Receiver.class, socket().toString(), "refused");
            host.offer(socket(), List.of(ram), SOON);
            refused.finish();
            claim.close();
            ForkedJvm granted = ForkedJvm.start(Receiver.class, socket().toString(), "granted");
            host.offer(socket(), List.of(ram), SOON);
            granted.finish();
            // It ended without closing its claim.
            ram.claim("first").close();
        }
    }

    /** The other process. */
    static final class Receiver {
        private Receiver() {}

        public static void main(String[] arguments) throws Exception {
            LinuxHostMemory host = new LinuxHostMemory();
            List<Backing> came = host.receive(Path.of(arguments[0]), SOON);
            Backing ram = came.get(0);
            switch (arguments[1]) {
                case "contents" -> {
                    assertEquals(
                            List.of("ram", "rom"),
                            came.stream().map(Backing::name).toList());
                    assertEquals(SIZE / 2, came.get(1).size());
                    AddressReservation space = host.reserve(SIZE, 4096);
                    space.map(MemoryRange.ofLength(0, SIZE), ram, 0);
                    var memory = new com.sun.jna.Pointer(space.base());
                    assertEquals("from the first", new String(memory.getByteArray(0, 14), UTF_8));
                    memory.write(SIZE - 4096, "from the second".getBytes(UTF_8), 0, 15);
                }
                case "refused" -> {
                    String refused = refusal(() -> ram.claim("second"));
                    assertTrue(refused.contains("managed already, by another process"), refused);
                }
                case "granted" -> ram.claim("second");
                default -> throw new IllegalArgumentException(arguments[1]);
            }
            // On purpose without closing anything: the kernel does.
            Runtime.getRuntime().halt(0);
        }
    }

    // What is refused

    private Future<List<Backing>> receiving() {
        return other.submit(() -> host.receive(socket(), SOON));
    }

    private void offerRaw(String name, long size, int descriptor) throws AllocationException {
        new BackingExchange("offer", socket(), SOON, () -> {})
                .offer(List.of(new BackingExchange.Item(name, size, descriptor)));
    }

    private static int memfd(int flags, long size, int seals) {
        int descriptor;
        try (var name = Libc.string("raw")) {
            descriptor = Libc.memfd_create(name, flags | Libc.MFD_CLOEXEC);
        }
        assertEquals(0, Libc.ftruncate(descriptor, size));
        if (seals != 0) {
            assertEquals(0, Libc.fcntl(descriptor, Libc.F_ADD_SEALS, seals));
        }
        return descriptor;
    }

    private void assertRefused(int descriptor, long announced, String problem) throws Exception {
        long before = ProcessState.descriptors();
        Future<List<Backing>> coming = receiving();
        String told = refusal(() -> {
            offerRaw("raw", announced, descriptor);
            return null;
        });
        String refused = refusal(coming);
        assertTrue(refused.contains("'raw'") && refused.contains(problem), refused);
        assertTrue(told.contains("the receiver refused") && told.contains(problem), told);
        assertEquals(before, ProcessState.descriptors());
        Libc.close(descriptor);
    }

    @Test
    void whatOthersCouldShrinkIsRefusedAndTheOfferingSideIsTold() throws Exception {
        // The first round loads classes, which open files.
        for (int i = 0; i < 2; i++) {
            try {
                assertRefused(memfd(Libc.MFD_ALLOW_SEALING, SIZE, 0), SIZE, "could shrink it");
            } catch (AssertionError e) {
                if (i == 1) {
                    throw e;
                }
            }
        }
        assertRefused(memfd(0, SIZE, 0), SIZE, "could shrink it");
        assertRefused(memfd(Libc.MFD_ALLOW_SEALING, SIZE, Libc.F_SEAL_GROW), SIZE, "could shrink it");
        Path file = Files.createFile(folder.resolve("file"));
        try (var name = Libc.string(file.toString())) {
            assertRefused(Libc.open(name, Libc.O_RDWR | Libc.O_CLOEXEC, 0), SIZE, "could shrink it");
        }
    }

    @Test
    void whatIsNotAsAnnouncedIsRefused() throws Exception {
        assertRefusedQuietly(memfd(Libc.MFD_ALLOW_SEALING, SIZE, Libc.F_SEAL_SHRINK), 2 * SIZE, "were announced");
        assertRefusedQuietly(memfd(Libc.MFD_ALLOW_SEALING, 100, Libc.F_SEAL_SHRINK), 100, "no multiple");
        assertRefusedQuietly(memfd(Libc.MFD_ALLOW_SEALING, 0, Libc.F_SEAL_SHRINK), 0, "no multiple");
    }

    @Test
    void whatCannotBeWrittenIsRefused() throws Exception {
        int sealed = memfd(Libc.MFD_ALLOW_SEALING, SIZE, Libc.F_SEAL_SHRINK | 8);
        assertRefusedQuietly(sealed, SIZE, "cannot be mapped for writing");
        int writable = memfd(Libc.MFD_ALLOW_SEALING, SIZE, Libc.F_SEAL_SHRINK);
        try (var name = Libc.string("/proc/self/fd/" + writable)) {
            int readOnly = Libc.open(name, Libc.O_CLOEXEC, 0);
            assertRefusedQuietly(readOnly, SIZE, "cannot be mapped for writing");
        }
        Libc.close(writable);
    }

    private void assertRefusedQuietly(int descriptor, long announced, String problem) throws Exception {
        Future<List<Backing>> coming = receiving();
        assertThrows(AllocationException.class, () -> offerRaw("raw", announced, descriptor));
        String refused = refusal(coming);
        assertTrue(refused.contains(problem), refused);
        Libc.close(descriptor);
    }

    @Test
    void othersMemorySealedEnoughIsAdopted() throws Exception {
        int descriptor = memfd(Libc.MFD_ALLOW_SEALING, SIZE, Libc.F_SEAL_SHRINK);
        Future<List<Backing>> coming = receiving();
        offerRaw("raw", SIZE, descriptor);
        try (Backing adopted = coming.get().get(0)) {
            assertEquals(SIZE, adopted.size());
            adopted.claim("guest").close();
        }
        Libc.close(descriptor);
    }

    @Test
    void receiverThatLacksDescriptorsSaysSo() throws Exception {
        Required.require(
                Files.isExecutable(Path.of("/usr/bin/prlimit")), "limits on another process need util-linux's prlimit");
        try (Backing ram = host.allocate(BackingRequest.shared("ram", SIZE))) {
            List<Backing> many = new ArrayList<>();
            for (int i = 0; i < 300; i++) {
                many.add(ram);
            }
            ForkedJvm second = ForkedJvm.start(
                    List.of("/usr/bin/prlimit", "--nofile=128:128"), FewDescriptors.class, socket().toString());
            String told = refusal(() -> {
                host.offer(socket(), many, SOON);
                return null;
            });
            second.finish();
            assertTrue(told.contains("no more descriptors"), told);
        }
    }

    /** The other process, which may have few. */
    static final class FewDescriptors {
        private FewDescriptors() {}

        public static void main(String[] arguments) throws Exception {
            try (LinuxHostMemory host = new LinuxHostMemory()) {
                // Classes in folders are files: those of a refusal must be there before the descriptors are not.
                refusal(() -> host.receive(Path.of(arguments[0], "none"), Duration.ZERO));
                String refused = refusal(() -> host.receive(Path.of(arguments[0]), SOON));
                assertTrue(refused.contains("no more descriptors"), refused);
                // All that came have been closed again.
                host.allocate(BackingRequest.shared("ram", SIZE)).close();
            }
        }
    }

    // Sockets and waiting

    @Test
    void socketIsForThisUserAloneWhileItIsThere() throws Exception {
        try (Backing ram = host.allocate(BackingRequest.shared("ram", SIZE))) {
            Future<?> offer = other.submit(() -> {
                host.offer(socket(), List.of(ram), SOON);
                return null;
            });
            String mode = "";
            while (!mode.equals("rw-------") && !offer.isDone()) {
                mode = mode();
            }
            assertEquals("rw-------", mode);
            assertEquals(1, host.receive(socket(), SOON).size());
            offer.get();
            assertFalse(Files.exists(socket()));
        }
    }

    private String mode() {
        try {
            return PosixFilePermissions.toString(Files.getPosixFilePermissions(socket()));
        } catch (IOException notYet) {
            return "";
        }
    }

    @Test
    void whatIsAtThePathStaysThere() throws Exception {
        Files.writeString(socket(), "mine");
        try (Backing ram = host.allocate(BackingRequest.shared("ram", SIZE))) {
            String refused = refusal(() -> {
                host.offer(socket(), List.of(ram), SOON);
                return null;
            });
            assertTrue(refused.contains("EADDRINUSE") && refused.contains("another path"), refused);
        }
        assertEquals("mine", Files.readString(socket()));
    }

    @Test
    void pathThatNoSocketCanHaveIsRefused() throws Exception {
        Path tooLong = folder.resolve("x".repeat(108));
        try (Backing ram = host.allocate(BackingRequest.shared("ram", SIZE))) {
            for (Callable<?> call : List.<Callable<?>>of(
                    () -> {
                        host.offer(tooLong, List.of(ram), SOON);
                        return null;
                    },
                    () -> host.receive(tooLong, SOON))) {
                String refused = refusal(call);
                assertTrue(refused.contains("107 bytes"), refused);
            }
            String refused = refusal(() -> {
                host.offer(folder.resolve("no/such"), List.of(ram), SOON);
                return null;
            });
            assertTrue(refused.contains("ENOENT"), refused);
        }
    }

    @Test
    void strangerWhoLeavesEndsTheOffer() throws Exception {
        try (Backing ram = host.allocate(BackingRequest.shared("ram", SIZE))) {
            Future<?> offer = other.submit(() -> {
                host.offer(socket(), List.of(ram), SOON);
                return null;
            });
            int stranger = Libc.socket(Libc.AF_UNIX, Libc.SOCK_SEQPACKET, 0);
            byte[] path = socket().toString().getBytes(UTF_8);
            try (var address = new com.sun.jna.Memory(2 + path.length + 1L)) {
                address.clear();
                address.setShort(0, (short) Libc.AF_UNIX);
                address.write(2, path, 0, path.length);
                while (Libc.connect(stranger, address, (int) address.size()) != 0) {
                    Thread.onSpinWait();
                }
            }
            Libc.close(stranger);
            String refused = refusal(offer);
            assertTrue(refused.contains("the receiver went") || refused.contains("cannot be reached"), refused);
            assertFalse(Files.exists(socket()));
        }
    }

    @Test
    void interruptEndsTheWaiting() throws Exception {
        try (Backing ram = host.allocate(BackingRequest.shared("ram", SIZE))) {
            Thread.currentThread().interrupt();
            String refused = refusal(() -> {
                host.offer(socket(), List.of(ram), SOON);
                return null;
            });
            assertTrue(refused.contains("interrupted"), refused);
            assertTrue(Thread.interrupted());
        }
    }

    @Test
    void closingTheHostEndsTheWaiting() throws Exception {
        LinuxHostMemory doomed = new LinuxHostMemory();
        Backing ram = doomed.allocate(BackingRequest.shared("ram", SIZE));
        Future<?> offer = other.submit(() -> {
            doomed.offer(socket(), List.of(ram), SOON);
            return null;
        });
        while (!Files.exists(socket())) {
            Thread.onSpinWait();
        }
        doomed.close();
        String refused = refusal(offer);
        assertEquals("the host memory is closed", refused);
        assertFalse(Files.exists(socket()));
    }
}
