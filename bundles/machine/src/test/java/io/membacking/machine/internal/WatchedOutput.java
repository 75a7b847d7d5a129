package io.membacking.machine.internal;

import io.membacking.vm.Run;
import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CompletableFuture;

/** Collects output, and stops a run when a text has come. Thread-safe. */
final class WatchedOutput extends OutputStream {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private final CompletableFuture<Run> run = new CompletableFuture<>();
    private final String last;

    WatchedOutput(String last) {
        this.last = last;
    }

    void stops(Run toStop) {
        run.complete(toStop);
    }

    @Override
    public synchronized void write(int value) {
        bytes.write(value);
        if (value == last.charAt(last.length() - 1) && text().endsWith(last)) {
            var unused = run.thenAccept(r -> r.stop(0, "seen: " + last));
        }
    }

    synchronized String text() {
        return bytes.toString(StandardCharsets.ISO_8859_1);
    }
}
