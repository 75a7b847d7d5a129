package io.membacking.runner;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.machine.BootSource;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class RunOptionsTest {
    @TempDir
    private Path folder;

    @Test
    void withoutOptionsThereIsADefaultForEverything() throws Exception {
        RunOptions options = RunOptions.parse(List.of());
        assertEquals(64 << 20, options.memory());
        assertEquals(1, options.processors());
        assertEquals(Duration.ofMinutes(5), options.timeout());
    }

    @Test
    void valuesComeAfterASpaceOrAnEqualsSign() throws Exception {
        RunOptions options = RunOptions.parse(List.of(
                "--memory=2G",
                "--kernel",
                "a=b",
                "--append",
                "x=1 --y",
                "--processors",
                "4",
                "--timeout=0",
                "--shell"));
        assertEquals(2L << 30, options.memory());
        assertEquals("a=b", options.kernel());
        assertEquals("x=1 --y", options.commandLine());
        assertEquals(4, options.processors());
        assertTrue(options.timeout().isZero());
        assertTrue(options.shell());
    }

    @Test
    void aFlatBinaryHasAnAddressAndAMode() throws Exception {
        RunOptions options = RunOptions.parse(List.of("--flat", "f", "--address", "0x10000", "--mode", "long-user"));
        assertEquals(0x10000, options.flatAddress());
        assertEquals(BootSource.Mode.LONG_USER, options.flatMode());
    }

    @Test
    void whatIsWrongIsSaidInOneLineWithItsStatus() {
        assertFails(ExitStatus.USAGE, "no option '--memroy'", "--memroy", "1G");
        assertFails(ExitStatus.USAGE, "needs a value", "--memory");
        assertFails(ExitStatus.USAGE, "takes no value", "--shell=yes");
        assertFails(ExitStatus.USAGE, "1 to 255", "--processors", "0");
        assertFails(ExitStatus.USAGE, "not 'soon'", "--timeout", "soon");
        assertFails(ExitStatus.USAGE, "only one", "--firmware", "a", "--kernel", "b");
        assertFails(ExitStatus.USAGE, "--append", "--append", "a");
        assertFails(ExitStatus.USAGE, "long-user", "--mode", "virtual");
    }

    @Test
    void absurdMemorySizesAreRefusedByTheirText() {
        for (String size :
                List.of("0", "-1", "-64M", "", "lots", "1023K", "64X", "99999999999999999999G", "5000T", "1048577")) {
            assertFails(ExitStatus.BAD_MEMORY_SIZE, "'" + size + "'", "--memory", size);
        }
    }

    @Test
    void missingImagesAreNamedWithARemedy() throws Exception {
        RunFailure failure = assertThrows(RunFailure.class, () -> new Images()
                .choose(
                        RunOptions.parse(
                                List.of("--firmware", folder.resolve("none").toString())),
                        true));
        assertEquals(ExitStatus.NO_IMAGE, failure.status());
        assertTrue(failure.getMessage().contains("apt-get install seabios"), failure.getMessage());
        failure = assertThrows(RunFailure.class, () -> new Images()
                .choose(RunOptions.parse(List.of("--kernel", folder.toString())), true));
        assertTrue(failure.getMessage().contains("directory"), failure.getMessage());
    }

    @Test
    void theFirstFirmwareThatIsThereIsTaken() throws Exception {
        Path there = Files.write(folder.resolve("bios"), new byte[4096]);
        BootSource boot = new Images(List.of(folder.resolve("none"), there)).choose(RunOptions.parse(List.of()), true);
        assertEquals(there.toString(), boot.name());
    }

    @Test
    void withoutFirmwareOrAHypervisorForItAGuestOfOurOwnIsBooted() throws Exception {
        BootSource boot = new Images(List.of()).choose(RunOptions.parse(List.of()), true);
        assertTrue(Images.isWorkout(boot) && boot.image().length > 0);
        Path there = Files.write(folder.resolve("bios"), new byte[4096]);
        assertTrue(Images.isWorkout(new Images(List.of(there)).choose(RunOptions.parse(List.of()), false)));
    }

    @Test
    void guestProgramsOfOurOwnAreNamed() throws Exception {
        BootSource boot =
                new Images().choose(RunOptions.parse(List.of("--guest", "counter", "--append", "lines=3")), true);
        assertTrue(Images.isOwn(boot) && !Images.isWorkout(boot));
        assertEquals("lines=3", ((BootSource.Kernel) boot).commandLine());
        assertFails(ExitStatus.USAGE, "hello, counter", "--guest", "user-reader");
        assertFails(ExitStatus.USAGE, "only one", "--guest", "hello", "--kernel", "b");
    }

    @Test
    void aBackendIsGivenByItsNameOrByAFilter() throws Exception {
        assertEquals(
                "(membacking.backend=kvm)",
                RunOptions.parse(List.of("--backend", "kvm")).backend());
        assertEquals(
                "(membacking.trace=true)",
                RunOptions.parse(List.of("--backend", "(membacking.trace=true)"))
                        .backend());
        assertEquals("", RunOptions.parse(List.of()).backend());
        assertFails(ExitStatus.USAGE, "LDAP", "--backend", "(a");
    }

    @Test
    void everyExitStatusIsEvenAndInTheHelp() throws Exception {
        String help =
                new String(RunOptions.class.getResourceAsStream("/help.txt").readAllBytes(), StandardCharsets.UTF_8);
        for (ExitStatus status : ExitStatus.values()) {
            assertEquals(0, status.code() % 2, status.name());
            assertTrue(help.lines().anyMatch(l -> l.strip().startsWith(status.code() + "  ")), status.name());
        }
        for (String option : List.of(
                "memory",
                "firmware",
                "kernel",
                "append",
                "flat",
                "address",
                "mode",
                "guest",
                "backend",
                "timeout",
                "shell")) {
            assertTrue(help.contains("  --" + option), option);
        }
    }

    private static void assertFails(ExitStatus status, String text, String... arguments) {
        RunFailure failure = assertThrows(RunFailure.class, () -> RunOptions.parse(List.of(arguments)), text);
        assertEquals(status, failure.status());
        assertTrue(failure.getMessage().contains(text), failure.getMessage());
        assertEquals(1, failure.getMessage().lines().count());
    }
}
