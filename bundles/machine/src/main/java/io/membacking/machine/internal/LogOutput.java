package io.membacking.machine.internal;

import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.lang.System.Logger.Level;
import java.nio.charset.StandardCharsets;

/** Output as lines in the log. A line without an end is logged at close, or when it has 1,000 bytes. */
final class LogOutput extends OutputStream {
    private static final System.Logger LOG = System.getLogger("io.membacking.machine.console");
    private static final int LONGEST = 1000;

    private final String name;
    private final ByteArrayOutputStream line = new ByteArrayOutputStream();

    LogOutput(String name) {
        this.name = name;
    }

    @Override
    public synchronized void write(int value) {
        if (value == '\n' || line.size() == LONGEST) {
            log();
        }
        if (value != '\n' && value != '\r') {
            line.write(value);
        }
    }

    @Override
    public synchronized void close() {
        if (line.size() > 0) {
            log();
        }
    }

    private void log() {
        LOG.log(Level.INFO, "{0}: {1}", name, line.toString(StandardCharsets.ISO_8859_1));
        line.reset();
    }
}
