package io.membacking.host.windows;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import io.membacking.error.AllocationException;
import io.membacking.host.AddressReservation;
import io.membacking.host.Backing;
import io.membacking.host.BackingRequest;
import io.membacking.range.MemoryRange;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.AclEntryType;
import java.nio.file.attribute.AclFileAttributeView;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Handing over handles: what is refused, and what a second process sees. */
class BackingExchangeTest {
    private static final Duration SOON = Duration.ofSeconds(20);
    private static final long SIZE = 1 << 20;

    private final WindowsHostMemory host = OnWindows.here() ? new WindowsHostMemory() : null;
    private final ExecutorService other = Executors.newSingleThreadExecutor();

    @TempDir
    Path folder;

    @BeforeAll
    static void onWindows() {
        OnWindows.require(BackingExchangeTest.class);
    }

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

    private Future<?> offering(WindowsHostMemory from, Backing backing) {
        return other.submit(() -> {
            from.offer(socket(), List.of(backing), SOON);
            return null;
        });
    }

    // A second process

    @Test
    void secondProcessFindsTheContentsAndItsWritesAreSeenHere() throws Exception {
        try (Backing ram = host.allocate(BackingRequest.shared("ram", SIZE));
                Backing rom = host.allocate(BackingRequest.shared("rom", SIZE / 2));
                AddressReservation space = host.reserve(2 * SIZE, 1 << 16)) {
            space.map(MemoryRange.ofLength(0, SIZE), ram, 0);
            ram.write(0, "from the first".getBytes(UTF_8), 0, 14);
            ForkedJvm second = ForkedJvm.start(Receiver.class, socket().toString(), "contents");
            host.offer(socket(), List.of(ram, rom), SOON);
            second.finish();
            byte[] answer = new byte[15];
            ram.read(SIZE - 4096, answer, 0, 15);
            assertEquals("from the second", new String(answer, UTF_8));
            assertEquals('f', new Pointer(space.base()).getByte(SIZE - 4096));
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

    @Test
    void claimOfAnotherProcessIsRefusedHereWhileItLives() throws Exception {
        try (Backing ram = host.allocate(BackingRequest.shared("ram", SIZE));
                ForkedJvm keeper = ForkedJvm.start(Receiver.class, socket().toString(), "kept")) {
            host.offer(socket(), List.of(ram), SOON);
            assertEquals('c', keeper.process().getInputStream().read());
            String refused = refusal(() -> ram.claim("first"));
            assertTrue(refused.contains("managed already, by another process"), refused);
        }
    }

    /** The other process. */
    static final class Receiver {
        private Receiver() {}

        public static void main(String[] arguments) throws Exception {
            WindowsHostMemory host = new WindowsHostMemory();
            List<Backing> came = host.receive(Path.of(arguments[0]), SOON);
            Backing ram = came.get(0);
            switch (arguments[1]) {
                case "contents" -> {
                    assertEquals(
                            List.of("ram", "rom"),
                            came.stream().map(Backing::name).toList());
                    assertEquals(SIZE / 2, came.get(1).size());
                    AddressReservation space = host.reserve(SIZE, 1 << 16);
                    space.map(MemoryRange.ofLength(0, SIZE), ram, 0);
                    Pointer memory = new Pointer(space.base());
                    assertEquals("from the first", new String(memory.getByteArray(0, 14), UTF_8));
                    memory.write(SIZE - 4096, "from the second".getBytes(UTF_8), 0, 15);
                }
                case "refused" -> {
                    String refused = refusal(() -> ram.claim("second"));
                    assertTrue(refused.contains("managed already, by another process"), refused);
                }
                case "granted" -> ram.claim("second");
                case "kept" -> {
                    ram.claim("second");
                    System.out.write('c');
                    System.out.flush();
                    while (System.in.read() >= 0) {
                        // until it is ended
                    }
                }
                default -> throw new IllegalArgumentException(arguments[1]);
            }
            // On purpose without closing anything: Windows does.
            Runtime.getRuntime().halt(0);
        }
    }

    // What is refused

    private String refused(long handle, long announced) throws Exception {
        Future<List<Backing>> coming = other.submit(() -> host.receive(socket(), SOON));
        Section section = new Section(handle);
        String told = refusal(() -> {
            new BackingExchange("offer", socket(), SOON, () -> {})
                    .offer(List.of(new BackingExchange.Item("raw", announced, section)));
            return null;
        });
        section.release();
        String refused = refusal(coming);
        assertTrue(told.contains("the receiver refused"), told);
        assertTrue(refused.contains("'raw'"), refused);
        return refused;
    }

    private static long section(String name, int protection, long size) {
        try (Memory text = Win32.string(name)) {
            return Win32.CreateFileMappingW(
                    Win32.INVALID_HANDLE, Pointer.NULL, protection, 0, (int) size, name.isEmpty() ? null : text);
        }
    }

    @Test
    void whatCannotBeTrustedIsRefusedAndTheOfferingSideIsTold() throws Exception {
        String name = "Local\\membacking-test-" + System.nanoTime();
        int committed = Win32.PAGE_READWRITE | Win32.SEC_COMMIT;
        String otherSize = refused(section(name, committed, SIZE), 2 * SIZE);
        assertTrue(otherSize.contains("were announced"), otherSize);
        String nameless = refused(section("", committed, SIZE), SIZE);
        assertTrue(nameless.contains("no name"), nameless);
        int secReserve = 0x4000000;
        String uncommitted = refused(section(name, Win32.PAGE_READWRITE | secReserve, SIZE), SIZE);
        assertTrue(uncommitted.contains("not committed"), uncommitted);
        int pageReadOnly = 0x2;
        String readOnly = refused(section(name, pageReadOnly | Win32.SEC_COMMIT, SIZE), SIZE);
        assertTrue(readOnly.contains("cannot be mapped for writing"), readOnly);
        long event = Win32.CreateEventW(Pointer.NULL, 1, 0, Pointer.NULL);
        String noSection = refused(event, SIZE);
        assertTrue(noSection.contains("no section"), noSection);
    }

    // Meeting and waiting

    @Test
    void strangerWithoutTheSecretIsLeftStanding() throws Exception {
        try (Backing ram = host.allocate(BackingRequest.shared("ram", SIZE))) {
            Future<?> offer = offering(host, ram);
            String meeting = "";
            while (!meeting.endsWith("\n") || meeting.indexOf('\0') >= 0) {
                meeting = Files.exists(socket()) ? Files.readString(socket()) : "";
            }
            int port = Integer.parseInt(meeting.substring(0, meeting.indexOf(' ')));
            try (Socket left = new Socket(InetAddress.getLoopbackAddress(), port)) {
                left.getOutputStream().write(1);
            }
            try (Socket wrong = new Socket(InetAddress.getLoopbackAddress(), port)) {
                wrong.getOutputStream().write(new byte[40]);
                assertEquals(-1, wrong.getInputStream().read());
            }
            assertEquals(1, host.receive(socket(), SOON).size());
            offer.get(20, TimeUnit.SECONDS);
        }
    }

    @Test
    void fileIsForThisUserAloneWhileItIsThere() throws Exception {
        try (Backing ram = host.allocate(BackingRequest.shared("ram", SIZE))) {
            Future<?> offer = offering(host, ram);
            while (!Files.exists(socket())) {
                Thread.onSpinWait();
            }
            var acl = Files.getFileAttributeView(socket(), AclFileAttributeView.class);
            String owner = acl.getOwner().getName();
            // The system may read everything; Wine says so of every file.
            acl.getAcl().stream()
                    .filter(entry -> entry.type() == AclEntryType.ALLOW)
                    .map(entry -> entry.principal().getName())
                    .forEach(name -> assertTrue(name.equals(owner) || name.endsWith("\\SYSTEM"), name));
            host.receive(socket(), SOON);
            offer.get(20, TimeUnit.SECONDS);
            assertFalse(Files.exists(socket()));
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
            assertTrue(refused.contains("choose another path"), refused);
        }
        assertEquals("mine", Files.readString(socket()));
    }

    @Test
    void fileLeftByAnOfferThatIsGoneIsWaitedOver() throws Exception {
        try (Backing ram = host.allocate(BackingRequest.shared("ram", SIZE))) {
            Files.writeString(socket(), "1 " + "A".repeat(44) + "\n");
            Future<List<Backing>> coming = other.submit(() -> host.receive(socket(), SOON));
            Files.delete(socket());
            host.offer(socket(), List.of(ram), SOON);
            assertEquals(1, coming.get(20, TimeUnit.SECONDS).size());
        }
    }

    @Test
    void whatIsBeingWrittenIsWaitedFor() throws Exception {
        try (Backing ram = host.allocate(BackingRequest.shared("ram", SIZE))) {
            Files.writeString(socket(), "\0" + "3995 " + "A".repeat(44) + "\n");
            Future<List<Backing>> coming = other.submit(() -> host.receive(socket(), SOON));
            assertThrows(TimeoutException.class, () -> coming.get(100, TimeUnit.MILLISECONDS));
            Files.delete(socket());
            host.offer(socket(), List.of(ram), SOON);
            assertEquals(1, coming.get(20, TimeUnit.SECONDS).size());
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
            assertTrue(Thread.interrupted());
            assertTrue(refused.contains("interrupted"), refused);
        }
    }

    @Test
    void closingTheHostEndsTheWaiting() throws Exception {
        WindowsHostMemory doomed = new WindowsHostMemory();
        Backing ram = doomed.allocate(BackingRequest.shared("ram", SIZE));
        Future<?> offer = offering(doomed, ram);
        while (!Files.exists(socket())) {
            Thread.onSpinWait();
        }
        doomed.close();
        assertEquals("the host memory is closed", refusal(offer));
        assertFalse(Files.exists(socket()));
    }
}
