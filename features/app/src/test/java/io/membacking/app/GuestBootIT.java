package io.membacking.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.abort;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The main job as a user sees it: what is printed where, and the exit status. */
@Timeout(120)
final class GuestBootIT {
    private static final Path JAR = Path.of("target/membacking.jar").toAbsolutePath();
    private static final Path KVM = Path.of("/dev/kvm");
    private static final Path SEABIOS = Path.of("/usr/share/seabios/bios-256k.bin");

    @TempDir
    private Path temporary;

    @Test
    void withoutOptionsItBootsSeaBiosAndPrintsTheMapAsThatLeftIt() throws Exception {
        require(KVM, "load the kvm modules and give this user access");
        require(SEABIOS, "apt-get install seabios");
        Ended ended = run();
        assertEquals(0, ended.status(), ended.toString());
        assertEquals("", ended.err());
        for (String line : List.of(
                "SeaBIOS \\(version .*",
                "e820 map has .*",
                " +\\d+: 0000000000100000 - .* = 1 RAM",
                "No bootable device\\.",
                "Guest ended: the firmware found no boot device\\.",
                "0xa0000-0xc0000 +- +- +--- .*",
                "0xc0000-0xc4000 +ram#\\d+ +RAM +r-x .*",
                "0xe8000-0xec000 +ram#\\d+ +RAM +rwx .*",
                "0xf0000-0x100000 +ram#\\d+ +RAM +r-x .*",
                "0xfffc0000-0x100000000 +rom#\\d+ +device +r-x .*",
                "The guest changed the visibility of RAM 24 times in 4 commits\\.",
                "Drift check: clean\\. .*")) {
            assertTrue(ended.out().lines().anyMatch(l -> l.matches(line)), line + " is not in " + ended);
        }
    }

    @Test
    void aKernelEndsWithItsOwnStatus() throws Exception {
        require(KVM, "load the kvm modules and give this user access");
        Path kernel = Files.write(temporary.resolve("hello.elf"), hello());
        Ended ended = run("--kernel", kernel.toString(), "--append", "one two", "--memory", "16M");
        assertEquals(33, ended.status(), ended.toString());
        assertTrue(ended.out().contains("command line: one two"), ended.toString());
        assertTrue(ended.out().contains("All checks passed."), ended.toString());
    }

    @Test
    void aGuestProgramOfOurOwnGetsDeviceMemoryAndIsMoved() throws Exception {
        for (String backend : List.of("kvm", "reference")) {
            if (backend.equals("kvm")) {
                require(KVM, "load the kvm modules and give this user access");
            }
            Ended ended = run("--guest", "workout", "--backend", backend);
            assertEquals(33, ended.status(), ended.toString());
            for (String line : List.of(
                    "Booting guest program workout with 64 MiB on " + backend + "\\.",
                    "ok segment 0xc0000-0xc4000 .*",
                    "ok device memory has moved to 0xd0100000 with its contents",
                    "ok device memory is gone",
                    "\\[parked and resumed on " + backend + " .*",
                    "ok moved in the course of \\d+ laps, with registers and memory as they were",
                    "Drift check: clean\\. .*")) {
                assertTrue(ended.out().lines().anyMatch(l -> l.matches(line)), line + " is not in " + ended);
            }
        }
    }

    @Test
    void aGuestThatDoesNotEndIsEndedByItsTime() throws Exception {
        require(KVM, "load the kvm modules and give this user access");
        Path spin = Files.write(temporary.resolve("spin.bin"), new byte[] {(byte) 0xeb, (byte) 0xfe});
        Ended ended = run("--flat", spin.toString(), "--timeout", "1");
        assertEquals(124, ended.status(), ended.toString());
        assertTrue(ended.out().contains("its time of 1 s was over"), ended.toString());
    }

    @Test
    void whatCannotBeDoneIsOneLineWithAStatusOfItsOwn() throws Exception {
        Path large = Files.write(temporary.resolve("large.bin"), new byte[(16 << 20) + 4096]);
        assertRefused(64, "--help", "--frimware", "x");
        assertRefused(
                66, "does not exist", "--firmware", temporary.resolve("none").toString());
        assertRefused(68, "16 MiB", "--firmware", large.toString());
        assertRefused(76, "'0'", "--memory", "0");
        assertRefused(76, "'-64M'", "--memory", "-64M");
        assertRefused(76, "'much'", "--memory", "much");
        assertRefused(76, "100 TiB", "--memory", "100T");
    }

    private void assertRefused(int status, String text, String... arguments) throws Exception {
        Ended ended = run(arguments);
        assertEquals(status, ended.status(), ended.toString());
        assertEquals("", ended.out());
        assertEquals(1, ended.err().lines().count(), ended.toString());
        assertTrue(ended.err().contains(text), ended.toString());
    }

    private Ended run(String... arguments) throws Exception {
        Path frameworks = Files.createDirectories(temporary.resolve("frameworks"));
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Djava.io.tmpdir=" + frameworks,
                "-XX:-UsePerfData",
                "-jar",
                JAR.toString()));
        command.addAll(Arrays.asList(arguments));
        Path out = temporary.resolve("out");
        Path err = temporary.resolve("err");
        Process process = new ProcessBuilder(command)
                .redirectOutput(out.toFile())
                .redirectError(err.toFile())
                .start();
        try {
            int status = process.waitFor();
            Ended ended = new Ended(status, read(out), withoutWarningsOfTheJvm(read(err)));
            try (var left = Files.list(frameworks)) {
                assertEquals(List.of(), left.toList(), "left behind");
            }
            return ended;
        } finally {
            process.destroyForcibly();
        }
    }

    private static String read(Path file) throws IOException {
        return Files.readString(file, StandardCharsets.ISO_8859_1);
    }

    /** Java 25 tells whoever is there that the framework uses sun.misc.Unsafe; no option in a manifest keeps it from that. */
    private static String withoutWarningsOfTheJvm(String err) {
        return err.lines().filter(line -> !line.startsWith("WARNING: ")).collect(Collectors.joining("\n"));
    }

    /** The guest program from the bundle of guest programs in the jar. */
    private static byte[] hello() throws IOException {
        try (var files = Files.newDirectoryStream(Path.of("target/classes/bundles"), "membacking-guests-*.jar");
                ZipInputStream guests =
                        new ZipInputStream(Files.newInputStream(files.iterator().next()))) {
            for (ZipEntry entry = guests.getNextEntry(); entry != null; entry = guests.getNextEntry()) {
                if (entry.getName().equals("guests/hello.elf")) {
                    return guests.readAllBytes();
                }
            }
            throw new IOException("there is no hello.elf among the guest programs");
        }
    }

    private static void require(Path file, String remedy) {
        if (!Files.isReadable(file)) {
            String message = "SKIPPED for want of " + file + "; " + remedy;
            if ("all".equals(System.getProperty("membacking.require"))) {
                throw new AssertionError(message);
            }
            System.err.println(message);
            abort(message);
        }
    }

    private record Ended(int status, String out, String err) {}
}
