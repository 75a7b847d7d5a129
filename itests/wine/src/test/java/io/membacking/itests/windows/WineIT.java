package io.membacking.itests.windows;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A Windows JVM under Wine, with the interface of the Windows Hypervisor Platform on KVM. */
final class WineIT {
    /** In the ways in which Windows versions differ or sources dispute. */
    static Stream<Wine> modes() {
        return Stream.of(
                Wine.of(8),
                Wine.of(10),
                Wine.of(10, "OVERLAP=0", "PARTIAL_UNMAP=0"),
                Wine.of(10, "LAZY=1"),
                Wine.of(10, "LAZY=2", "ADVISE=0"),
                // A second partition has its memory through another process.
                Wine.of(10, "ONE_MAPPED_PARTITION=1", "XSAVE_COMPACTED=1"),
                Wine.of(10, "INSTRUCTION_BYTES=0", "REMOTE_PROCESS=0", "DIRTY_TRACKING=0"));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("modes")
    void containerTestsPass(Wine wine) throws Exception {
        assertPassed(wine, "tests in Felix", wine.require().containerTests());
    }

    @ParameterizedTest(name = "Wine {0}")
    @ValueSource(ints = {8, 10})
    void testsOfHostMemoryPass(int version) throws Exception {
        Wine wine = Wine.of(version).require();
        assertPassed(wine, "tests of host-windows", testsOf(wine, "host-windows", "host-linux", List.of()));
    }

    /** In every mode of the shim once: they do not depend on Wine. What is skipped is said in its report: the log. */
    @ParameterizedTest(name = "Wine {0}")
    @ValueSource(ints = {8, 10})
    void testsOfTheBackendPass(int version) throws Exception {
        Wine wine = Wine.of(version).require();
        List<String> which = version == 10
                ? List.of()
                : List.of("--exclude-classname", ".*Whp(Lazy.*|Rejecting|OldWindows|Behind|Compacted)ContractTest");
        Program program = testsOf(wine, "partition-whp", "partition-kvm", which);
        report(wine, "tests of partition-whp", program);
        assertEquals(0, program.status(), program::summary);
        assertTrue(program.passed() > 0, program::summary);
    }

    /** As a user starts it: a guest program that changes visibility, gets device memory and is moved. */
    @Test
    void runnableJarRunsItsGuestProgram() throws Exception {
        assertRanWell(runnableJar(Wine.of(10).require()));
    }

    /** Without placeholders device memory comes in units of 64 KiB; the PAM segments are small there too. */
    @Test
    void runnableJarChecksMemoryAndSegmentsWithoutPlaceholders() throws Exception {
        assertRanWell(runnableJar(Wine.of(8).require(), "--guest", "hello"));
    }

    @Test
    void runnableJarSaysThatThereIsNoHypervisor() throws Exception {
        Program program = runnableJar(Wine.of(10, "HYPERVISOR_PRESENT=0").require(), "--backend", "whp");
        assertEquals(72, program.status(), program::summary);
        assertTrue(program.lines().stream().anyMatch(line -> line.contains("whp cannot be used")), program::summary);
    }

    @Test
    void stockKarafTakesTheBundlesOfWindowsFromTheKarAndRunsAGuest() throws Exception {
        Path guest = Place.PROJECT.resolve("native/src/main/resources/guests/counter.elf");
        Program program = Karaf.run(
                Wine.of(8).require(),
                "yes <- membacking:backends --no-format",
                "bundle:list",
                "membacking:boot -k " + Karaf.windows(guest) + " pc",
                "running on whp <- membacking:machines",
                "membacking:drift");
        assertEquals(0, program.status(), program::summary);
        for (String part : List.of("host-windows", "partition-whp", "shell")) {
            assertTrue(
                    program.lines().stream()
                            .anyMatch(line -> line.contains("Active") && line.endsWith("Membacking " + part)),
                    () -> part + ": " + program.summary());
        }
        assertTrue(
                program.lines().stream().noneMatch(line -> line.matches(".*Membacking (host-linux|partition-kvm)")),
                program::summary);
    }

    private static Program runnableJar(Wine wine, String... arguments) throws Exception {
        List<String> all = new ArrayList<>(List.of("-jar", Place.runnableJar().toString()));
        all.addAll(List.of(arguments));
        Program program = wine.java("runnable-jar", all.toArray(String[]::new));
        System.out.println(wine + ": java.exe -jar: status " + program.status());
        return program;
    }

    private static void assertRanWell(Program program) {
        assertEquals(33, program.status(), program::summary);
        assertTrue(program.lines().stream().anyMatch(line -> line.endsWith(" on whp.")), program::summary);
        assertTrue(program.lines().stream().anyMatch(line -> line.startsWith("Drift check: clean.")), program::summary);
    }

    private static Program testsOf(Wine wine, String bundle, String contract, List<String> which) throws Exception {
        Path testClasses = target(bundle).resolve("test-classes");
        List<String> classpath = new ArrayList<>(List.of(
                target(bundle).resolve("classes").toString(),
                testClasses.toString(),
                target(contract).resolve("test-classes").toString()));
        try (Stream<Path> files = Files.list(Place.TARGET.resolve("bundles"))) {
            files.map(Path::toString)
                    .filter(file -> !file.contains("io.membacking." + bundle))
                    .sorted()
                    .forEach(classpath::add);
        }
        return wine.junit(bundle, classpath, testClasses, which);
    }

    private static Path target(String bundle) {
        return Place.PROJECT.resolve("bundles").resolve(bundle).resolve("target");
    }

    private static void assertPassed(Wine wine, String what, Program program) {
        report(wine, what, program);
        assertEquals(0, program.status(), program::summary);
        assertEquals(0, program.skipped(), program::summary);
    }

    private static void report(Wine wine, String what, Program program) {
        System.out.println(wine + ": " + what + ": " + program.passed() + " passed, " + program.skipped()
                + " skipped, status " + program.status());
    }
}
