package io.membacking.itests.windows;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** A program run to its end, and what it wrote. */
record Program(int status, List<String> lines) {
    /**
     * Runs it.
     *
     * @param log where its output and errors go
     * @throws AssertionError if it does not end in time; it has been killed then
     */
    static Program run(List<String> command, Map<String, String> environment, Path log, Duration deadline)
            throws IOException, InterruptedException {
        Files.createDirectories(log.getParent());
        ProcessBuilder builder = new ProcessBuilder(new ArrayList<>(command))
                .redirectErrorStream(true)
                .redirectOutput(log.toFile());
        builder.environment().putAll(environment);
        Process process = builder.start();
        try {
            if (!process.waitFor(deadline.toSeconds(), TimeUnit.SECONDS)) {
                throw new AssertionError(
                        "not at its end after " + deadline.toSeconds() + " s: " + command + "; see " + log);
            }
        } finally {
            process.descendants().forEach(ProcessHandle::destroyForcibly);
            process.destroyForcibly();
        }
        return new Program(process.exitValue(), Files.readAllLines(log, StandardCharsets.ISO_8859_1));
    }

    /** What went wrong in the tests, the first of it in the first line, and for want of that the last lines. */
    String summary() {
        List<String> tests = lines.stream()
                .filter(line -> line.startsWith("FAILED ") || line.startsWith("SKIPPED ") || line.contains("=> "))
                .toList();
        return "exit status " + status + ": "
                + String.join(
                        "\n", tests.isEmpty() ? lines.subList(Math.max(0, lines.size() - 20), lines.size()) : tests);
    }

    /** Tests that passed, in the container or out of it. */
    long passed() {
        return lines.stream().filter(line -> line.startsWith("ok ")).count() + console("successful");
    }

    long skipped() {
        return lines.stream().filter(line -> line.startsWith("SKIPPED ")).count()
                + console("skipped")
                + console("aborted");
    }

    /** What JUnit's console says at its end: {@code [        12 tests successful      ]}. */
    private long console(String what) {
        return lines.stream()
                .filter(line -> line.matches("\\[ +\\d+ tests " + what + " +]"))
                .mapToLong(line -> Long.parseLong(line.replaceAll("\\D+", "")))
                .sum();
    }
}
