package io.membacking.guests;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GuestProgramTest {

    private static final Path SOURCES = Path.of("guests").toAbsolutePath();
    private static final Path RESOURCES = Path.of("src/main/resources/guests").toAbsolutePath();

    private static final boolean X86_64 = System.getProperty("os.arch").equals("amd64");

    @Test
    void everyProgramHasItsBytes() {
        for (GuestProgram program : GuestProgram.values()) {
            assertTrue(program.bytes().length > 0, program.fileName());
        }
    }

    @Test
    void everyResourceIsAProgram() throws IOException {
        Set<String> programs = Arrays.stream(GuestProgram.values())
                .map(GuestProgram::fileName)
                .collect(Collectors.toCollection(TreeSet::new));
        assertEquals(programs, filesIn(RESOURCES));
    }

    @Test
    void entryOfAnImageLiesInWhatTheFileHolds() {
        for (GuestProgram program : GuestProgram.values()) {
            long offset = program.entry() - program.loadAddress();
            assertTrue(
                    offset >= 0 && offset < program.bytes().length, program + " " + Long.toHexString(program.entry()));
        }
        assertTrue(GuestProgram.HELLO.entry() > GuestProgram.HELLO.loadAddress(), "headers come first");
    }

    @Test
    void committedBytesAreWhatTheSourcesAssembleTo(@TempDir Path out) throws Exception {
        Tools.require(
                "committedBytesAreWhatTheSourcesAssembleTo",
                "as and ld for x86-64 on PATH (binutils)",
                X86_64 && Tools.onPath("as") && Tools.onPath("ld"));
        Tools.run("sh", SOURCES.resolve("build.sh").toString(), out.toString());
        assertEquals(filesIn(out), filesIn(RESOURCES));
        for (String name : filesIn(out)) {
            assertArrayEquals(
                    Files.readAllBytes(out.resolve(name)),
                    Files.readAllBytes(RESOURCES.resolve(name)),
                    name + " is not what its source assembles to: run guests/build.sh");
        }
    }

    @Test
    void everyProgramKeepsItsContractOnKvm(@TempDir Path out) throws Exception {
        Tools.require("everyProgramKeepsItsContractOnKvm", "gcc for x86-64 on PATH", X86_64 && Tools.onPath("gcc"));
        Path kvm = Path.of("/dev/kvm");
        Tools.require(
                "everyProgramKeepsItsContractOnKvm",
                "/dev/kvm to read and write",
                Files.isReadable(kvm) && Files.isWritable(kvm));
        String harness = out.resolve("kvm_guests").toString();
        Tools.run("gcc", "-O2", "-Wall", "-Wextra", "-pthread", "-o", harness, "harness/kvm_guests.c");
        Tools.run(harness, RESOURCES.toString());
    }

    private static Set<String> filesIn(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(file -> file.getFileName().toString()).collect(Collectors.toCollection(TreeSet::new));
        }
    }
}
