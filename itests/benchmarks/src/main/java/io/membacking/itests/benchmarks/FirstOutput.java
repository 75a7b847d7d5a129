package io.membacking.itests.benchmarks;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * From the start of the process to the first byte of the guest's output.
 *
 * @param jar the runnable jar
 */
record FirstOutput(Path jar) implements Figure {
    @Override
    public String name() {
        return "java -jar " + jar;
    }

    @Override
    public double measure(boolean quick) throws NotMeasured, InterruptedException {
        if (!Files.isReadable(jar)) {
            throw new NotMeasured("no " + jar + ": mvn -q -pl features/app -am package -DskipTests makes it");
        }
        String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        try {
            long start = System.nanoTime();
            Process process = new ProcessBuilder(List.of(java, "-jar", jar.toString()))
                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                    .start();
            try (InputStream output = process.getInputStream()) {
                if (!reachGuest(output)) {
                    throw new NotMeasured(
                            name() + " ended with " + process.waitFor() + " before the guest said anything");
                }
                return System.nanoTime() - start;
            } finally {
                process.destroy();
                process.waitFor();
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Reads up to the first byte that comes from the guest: the first line says what is booted. */
    private static boolean reachGuest(InputStream output) throws IOException {
        int next;
        do {
            next = output.read();
        } while (next >= 0 && next != '\n');
        return next >= 0 && output.read() >= 0;
    }
}
