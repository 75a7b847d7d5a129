package io.membacking.vm.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.error.AllocationException;
import io.membacking.guests.GuestProgram;
import io.membacking.host.Backing;
import io.membacking.memory.GuestMemoryManager;
import io.membacking.memory.MemoryLayout;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A guest's memory goes to another JVM with its contents, and is managed once at a time. */
@Timeout(120)
class SharingTest {
    static final long WORD = 0x300000;
    static final long ANSWER = 0x77;
    private static final long OURS = 0x1122334455667788L;

    @Test
    void otherProcessFindsTheContentsAndRunsTheGuest(@TempDir Path directory) throws Exception {
        Path socket = directory.resolve("backings");
        try (TestWorld world = new TestWorld()) {
            GuestMemoryManager memory = world.memories
                    .builder("exported")
                    .layout(MemoryLayout.flat(8 << 20))
                    .build();
            TestWorld.load(memory, GuestProgram.USER_PEEKPOKE);
            memory.memory().writeLong(WORD, OURS);
            List<Backing> exported = memory.export();
            assertThrows(AllocationException.class, () -> SharedGuest.builder(world, "live", exported.get(0))
                    .build());
            memory.close();

            Process other = new ProcessBuilder(
                            Path.of(System.getProperty("java.home"), "bin", "java")
                                    .toString(),
                            "-cp",
                            System.getProperty("java.class.path"),
                            SharedGuest.class.getName(),
                            socket.toString())
                    .redirectError(ProcessBuilder.Redirect.INHERIT)
                    .start();
            try (BufferedReader lines =
                    new BufferedReader(new InputStreamReader(other.getInputStream(), StandardCharsets.UTF_8))) {
                world.host.offer(socket, exported, Duration.ofSeconds(60));
                assertEquals("found " + Long.toHexString(OURS), lines.readLine());
                String refusal = lines.readLine();
                assertTrue(refusal.startsWith("refused "), refusal);
                String guest = lines.readLine();
                if (!guest.startsWith("no hypervisor")) {
                    assertEquals("guest read " + Long.toHexString(OURS), guest);
                    byte[] answer = new byte[8];
                    exported.get(0).read(WORD + 8, answer, 0, 8);
                    assertEquals(ANSWER, answer[0]);
                }
                // It is managed over there, so not here as well; and here again when the other has gone.
                assertThrows(AllocationException.class, () -> SharedGuest.builder(world, "here", exported.get(0))
                        .build());
                other.getOutputStream().close();
                assertEquals("closed", lines.readLine());
                assertEquals(0, other.waitFor());
                assertEquals(
                        OURS,
                        SharedGuest.builder(world, "here", exported.get(0))
                                .build()
                                .memory()
                                .readLong(WORD));
            } finally {
                other.destroyForcibly();
            }
        }
    }
}
