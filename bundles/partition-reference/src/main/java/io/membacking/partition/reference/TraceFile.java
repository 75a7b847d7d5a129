package io.membacking.partition.reference;

import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A trace as text, one event a line. Thread-safe: lines of one instruction stay together. When the file cannot be written any
 * more, the trace ends there, and the log says so; the guest goes on.
 */
final class TraceFile {
    private static final System.Logger LOGGER = System.getLogger(TraceFile.class.getName());
    private static final int BUFFER = 1 << 20;

    private final Path path;
    private final BufferedWriter writer;
    private boolean ended;

    TraceFile(Path path) throws IOException {
        this.path = path;
        this.writer = new BufferedWriter(Files.newBufferedWriter(path, StandardCharsets.US_ASCII), BUFFER);
    }

    synchronized void write(CharSequence lines) {
        if (ended) {
            return;
        }
        try {
            writer.append(lines);
        } catch (IOException e) {
            fail(e);
        }
    }

    synchronized void close() {
        if (ended) {
            return;
        }
        ended = true;
        try {
            writer.close();
        } catch (IOException e) {
            fail(e);
        }
    }

    private void fail(IOException e) {
        ended = true;
        LOGGER.log(System.Logger.Level.ERROR, "the trace " + path + " is incomplete: it cannot be written", e);
    }
}
