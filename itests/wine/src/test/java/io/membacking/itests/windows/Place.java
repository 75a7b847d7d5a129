package io.membacking.itests.windows;

import static org.junit.jupiter.api.Assumptions.abort;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Where things are in this module's folder when its tests run, and what to say when something is not. */
final class Place {
    static final boolean WINDOWS =
            System.getProperty("os.name", "").toLowerCase(Locale.ROOT).startsWith("windows");
    static final Path TARGET = Path.of("target").toAbsolutePath();
    static final Path PROJECT = Path.of("../..").toAbsolutePath().normalize();
    static final Path SHIM = PROJECT.resolve("native/target/whp-shim/wine");

    private Place() {}

    /** The arguments of a JVM that runs the tests in the container. */
    static List<String> containerTests() {
        String tests = tests().toString();
        String classpath = Stream.concat(
                        Stream.of(tests), jars(TARGET.resolve("classpath")).map(Path::toString))
                .collect(Collectors.joining(File.pathSeparator));
        return List.of(
                "-Dmembacking.require=" + System.getProperty("membacking.require", ""),
                "-cp",
                classpath,
                "io.membacking.itests.windows.launch.ContainerTests",
                TARGET.resolve("bundles").toString(),
                tests);
    }

    /** The bundle with them. */
    static Path tests() {
        return only(TARGET, "io.membacking.itests.windows-");
    }

    static Path runnableJar() {
        return only(TARGET.resolve("app"), "membacking-app");
    }

    private static Path only(Path folder, String prefix) {
        return jars(folder)
                .filter(file -> file.getFileName().toString().startsWith(prefix))
                .findFirst()
                .orElseThrow(() -> new AssertionError("no " + prefix + "*.jar in " + folder));
    }

    private static Stream<Path> jars(Path folder) {
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(file -> file.toString().endsWith(".jar")).sorted().toList().stream();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Skips the test for want of something real, or fails it where everything is required. */
    static void missing(String what) {
        String message = "SKIPPED for want of " + what;
        if ("all".equals(System.getProperty("membacking.require"))) {
            throw new AssertionError(message);
        }
        System.err.println(message);
        abort(message);
    }
}
