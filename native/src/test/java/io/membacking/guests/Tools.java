package io.membacking.guests;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;

/** Programs of the system that tests need. */
final class Tools {
    private Tools() {}

    /** @return what it wrote. @throws AssertionError with that, if it fails or takes longer than two minutes */
    static String run(String... command) throws Exception {
        Path output = Files.createTempFile("native", ".log");
        try {
            Process process = new ProcessBuilder(command)
                    .redirectErrorStream(true)
                    .redirectOutput(output.toFile())
                    .start();
            boolean ended = process.waitFor(120, TimeUnit.SECONDS);
            if (!ended) {
                process.destroyForcibly().waitFor();
            }
            String text = Files.readString(output);
            assertTrue(ended, () -> String.join(" ", command) + " did not end within 120 s:\n" + text);
            assertEquals(0, process.exitValue(), () -> String.join(" ", command) + ":\n" + text);
            return text;
        } finally {
            Files.delete(output);
        }
    }

    /** Skips the test by name when what it needs is missing, or fails it where the build requires everything. */
    static void require(String test, String what, boolean there) {
        if (there) {
            return;
        }
        String message = "SKIPPED " + test + ": it needs " + what;
        System.err.println(message);
        if ("all".equals(System.getProperty("membacking.require"))) {
            throw new AssertionError(message + ", and membacking.require=all");
        }
        Assumptions.abort(message);
    }

    static boolean onPath(String name) {
        return Stream.of(System.getenv("PATH").split(File.pathSeparator))
                .map(folder -> Path.of(folder, name))
                .anyMatch(Files::isExecutable);
    }
}
