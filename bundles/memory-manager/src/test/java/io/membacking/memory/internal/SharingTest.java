package io.membacking.memory.internal;

import static io.membacking.memory.internal.Rig.MIB;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.error.AllocationException;
import io.membacking.error.MembackingException;
import io.membacking.host.Backing;
import io.membacking.memory.BackingChoice;
import io.membacking.memory.GuestMemoryBuilder;
import io.membacking.memory.GuestMemoryManager;
import io.membacking.memory.MemoryLayout;
import io.membacking.memory.RamRange;
import io.membacking.range.MemoryRange;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Two JVMs and one guest's memory. */
@Timeout(120)
class SharingTest {
    private static final MemoryRange LOW = new MemoryRange(0, 2 * MIB);
    private static final MemoryRange HIGH = new MemoryRange(4 * MIB, 6 * MIB);
    private static final Duration DEADLINE = Duration.ofSeconds(60);

    private final Rig rig = new Rig();

    @AfterEach
    void close() {
        rig.close();
    }

    private static GuestMemoryBuilder builder(GuestMemories memories, String name, List<Backing> backings)
            throws MembackingException {
        return memories.builder(name)
                .layout(MemoryLayout.of(List.of(RamRange.of(LOW), RamRange.of(HIGH)), List.of(), Optional.empty()))
                .x86LegacySupport(true)
                .backing(BackingChoice.existing(backings.get(0)))
                .backing(Set.of(HIGH), BackingChoice.existing(backings.get(1)));
    }

    private static long pattern(long gpa) {
        return gpa * 0x9e3779b97f4a7c15L + 1;
    }

    @Test
    void anotherProcessBuildsOnTheBackingsAndFindsTheContents(@TempDir Path folder) throws Exception {
        GuestMemoryManager guest = rig.memories
                .builder("here")
                .layout(MemoryLayout.of(List.of(RamRange.of(LOW), RamRange.of(HIGH)), List.of(), Optional.empty()))
                .x86LegacySupport(true)
                .backing(Set.of(HIGH), BackingChoice.SHARED)
                .build();
        for (MemoryRange range : List.of(LOW, HIGH)) {
            for (long gpa = range.start(); gpa < range.end(); gpa += 512) {
                guest.memory().writeLong(gpa, pattern(gpa));
            }
        }
        List<Backing> exported = guest.export();
        Path socket = folder.resolve("s");
        try (Other other = new Other(socket)) {
            rig.host.offer(socket, exported, DEADLINE);
            assertEquals("received 2", other.read());
            // The guest here is alive: the other process is refused, and told by whom.
            assertTrue(other.ask("build").startsWith("refused"));
            guest.close();
            assertEquals("built", other.ask("build"));
            assertEquals("intact", other.ask("check"));
            // Now it is the other way round.
            AllocationException refused =
                    assertThrows(AllocationException.class, () -> builder(rig.memories, "again", exported)
                            .build());
            assertTrue(refused.getMessage().contains("manage"), refused.getMessage());
            assertEquals("written", other.ask("write"));
            assertEquals("closed", other.ask("close"));
            GuestMemoryManager again = builder(rig.memories, "again", exported).build();
            assertEquals(99, again.memory().readLong(HIGH.end() - 8));
            assertEquals(pattern(LOW.start()), again.memory().readLong(LOW.start()));
            again.close();
            // A process that dies lets go of its claim.
            assertEquals("built", other.ask("build"));
        }
        builder(rig.memories, "last", exported).build().close();
        exported.forEach(Backing::close);
    }

    /** The other JVM, told what to do a line at a time. */
    private static final class Other implements AutoCloseable {
        private final Process process;
        private final BufferedReader answers;
        private final BufferedWriter questions;

        Other(Path socket) throws IOException {
            List<String> command = new ArrayList<>();
            command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
            command.addAll(List.of("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m"));
            if (Runtime.version().feature() >= 22) {
                command.add("--enable-native-access=ALL-UNNAMED");
            }
            command.addAll(
                    List.of("-cp", System.getProperty("java.class.path"), Receiver.class.getName(), socket.toString()));
            process = new ProcessBuilder(command)
                    .redirectError(ProcessBuilder.Redirect.INHERIT)
                    .start();
            answers = new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
            questions = process.outputWriter(StandardCharsets.UTF_8);
        }

        String ask(String question) throws IOException {
            questions.write(question);
            questions.newLine();
            questions.flush();
            return read();
        }

        String read() throws IOException {
            return answers.readLine();
        }

        @Override
        public void close() {
            process.destroyForcibly().onExit().join();
        }
    }

    /** What runs in the other JVM. */
    static final class Receiver {
        public static void main(String[] arguments) throws Exception {
            BufferedReader questions = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
            try (Rig rig = new Rig()) {
                List<Backing> backings = rig.host.receive(Path.of(arguments[0]), DEADLINE);
                System.out.println("received " + backings.size());
                GuestMemoryManager guest = null;
                for (String question = questions.readLine(); question != null; question = questions.readLine()) {
                    switch (question) {
                        case "build" -> {
                            try {
                                guest = builder(rig.memories, "there", backings).build();
                                System.out.println("built");
                            } catch (AllocationException e) {
                                System.out.println("refused " + e.getMessage());
                            }
                        }
                        case "check" -> System.out.println(check(guest));
                        case "write" -> {
                            guest.memory().writeLong(HIGH.end() - 8, 99);
                            System.out.println("written");
                        }
                        default -> {
                            guest.close();
                            System.out.println("closed");
                        }
                    }
                }
            }
        }

        private static String check(GuestMemoryManager guest) {
            for (MemoryRange range : List.of(LOW, HIGH)) {
                for (long gpa = range.start(); gpa < range.end(); gpa += 512) {
                    if (guest.memory().readLong(gpa) != pattern(gpa)) {
                        return "not intact at 0x" + Long.toHexString(gpa);
                    }
                }
            }
            return guest.regions().checkDrift().clean() ? "intact" : "drifted";
        }
    }
}
