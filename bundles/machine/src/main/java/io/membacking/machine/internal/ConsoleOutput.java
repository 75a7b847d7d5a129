package io.membacking.machine.internal;

import java.io.IOException;
import java.io.OutputStream;
import java.lang.System.Logger.Level;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * A guest's console output on its way to the caller's stream: handed over and flushed at the end of a line, when 4 KiB have
 * gathered, and when the guest pauses within a line. A stream that throws loses output, never the guest: what could not be
 * written is dropped and counted, and the first time is logged. A stream that blocks holds the writing processor up.
 */
final class ConsoleOutput {
    private static final System.Logger LOG = System.getLogger(ConsoleOutput.class.getName());
    private static final int PAUSE_MILLIS = 20;

    private final String name;
    private final OutputStream stream;
    private final ScheduledExecutorService timer;
    private final byte[] buffer = new byte[4096];
    private int filled;
    private boolean flushScheduled;
    private long written;
    private long dropped;

    /** @param timer flushes unfinished lines; it stays the caller's */
    ConsoleOutput(String name, OutputStream stream, ScheduledExecutorService timer) {
        this.name = name;
        this.stream = stream;
        this.timer = timer;
    }

    synchronized void write(byte value) {
        buffer[filled++] = value;
        if (value == '\n' || filled == buffer.length) {
            flush();
        } else if (!flushScheduled) {
            flushScheduled = true;
            schedule();
        }
    }

    synchronized void flush() {
        if (filled == 0) {
            return;
        }
        Throwable failure = hand(filled);
        if (failure == null) {
            written += filled;
        } else {
            if (dropped == 0) {
                LOG.log(Level.WARNING, "{0}: output is dropped, its stream failed: {1}", name, failure);
            }
            dropped += filled;
        }
        filled = 0;
    }

    /** Bytes that reached the stream. */
    synchronized long written() {
        return written;
    }

    /** Bytes that the stream would not take. */
    synchronized long dropped() {
        return dropped;
    }

    /** The stream is the caller's: whatever it throws must not end the guest. */
    private @Nullable Throwable hand(int length) {
        try {
            stream.write(buffer, 0, length);
            stream.flush();
            return null;
        } catch (IOException | RuntimeException e) {
            return e;
        }
    }

    private void schedule() {
        try {
            var unused = timer.schedule(
                    () -> {
                        synchronized (this) {
                            flushScheduled = false;
                            flush();
                        }
                    },
                    PAUSE_MILLIS,
                    TimeUnit.MILLISECONDS);
        } catch (RejectedExecutionException e) {
            // The service is going; the end of the run flushes.
            flushScheduled = false;
        }
    }
}
