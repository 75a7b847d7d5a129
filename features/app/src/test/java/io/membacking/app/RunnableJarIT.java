package io.membacking.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Enumeration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.jar.JarOutputStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The jar as a user starts it. Its temporary files go to a folder of the test, which must be empty afterwards. */
@Timeout(120)
final class RunnableJarIT {
    private static final Path JAR = Path.of("target/membacking.jar").toAbsolutePath();

    @TempDir
    private Path temporary;

    @Test
    void helpNamesTheOptions() throws Exception {
        Process process = start(JAR, "--help");
        String text = output(process);
        assertEquals(0, process.waitFor(), text);
        assertTrue(text.contains("--shell"), text);
    }

    @Test
    void controlCStopsTheFrameworkAndLeavesNothingBehind() throws Exception {
        Process process = start(JAR, "--shell");
        try (BufferedReader lines = process.inputReader()) {
            String line = lines.readLine();
            while (line != null && !line.contains("Gogo")) {
                assertFalse(line.contains("sun.misc.Unsafe"), line);
                line = lines.readLine();
            }
            assertTrue(line != null, "the shell's greeting never came");
            interrupt(process);
            lines.lines().forEach(ignored -> {});
        }
        assertEquals(130, process.waitFor());
        assertNothingLeft();
    }

    @Test
    void setThatCannotStartEndsWithItsReason() throws Exception {
        Path broken = temporary.resolve("broken.jar");
        copyWithout("bundles/org.apache.felix.scr", broken);
        Process process = start(broken);
        String text = output(process);
        assertEquals(70, process.waitFor(), text);
        assertTrue(text.contains("osgi.component"), text);
        Files.delete(broken);
        assertNothingLeft();
    }

    private Process start(Path jar, String... arguments) throws IOException {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Djava.io.tmpdir=" + temporary,
                "-XX:-UsePerfData",
                "-jar",
                jar.toString()));
        command.addAll(Arrays.asList(arguments));
        return new ProcessBuilder(command).redirectErrorStream(true).start();
    }

    private static String output(Process process) throws IOException {
        return new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    }

    /** What a terminal sends for Ctrl-C. */
    private static void interrupt(Process process) throws Exception {
        Process kill = new ProcessBuilder("kill", "-INT", Long.toString(process.pid())).start();
        assertTrue(kill.waitFor(10, TimeUnit.SECONDS));
    }

    private static void copyWithout(String prefix, Path target) throws IOException {
        try (JarFile jar = new JarFile(JAR.toFile());
                JarOutputStream copy = new JarOutputStream(Files.newOutputStream(target))) {
            for (Enumeration<JarEntry> entries = jar.entries(); entries.hasMoreElements(); ) {
                JarEntry entry = entries.nextElement();
                if (!entry.getName().startsWith(prefix)) {
                    copy.putNextEntry(new JarEntry(entry.getName()));
                    transfer(jar.getInputStream(entry), copy);
                    copy.closeEntry();
                }
            }
        }
    }

    private static void transfer(InputStream from, OutputStream to) throws IOException {
        try (from) {
            from.transferTo(to);
        }
    }

    private void assertNothingLeft() throws IOException {
        try (Stream<Path> left = Files.list(temporary)) {
            assertEquals(List.of(), left.toList());
        }
    }
}
