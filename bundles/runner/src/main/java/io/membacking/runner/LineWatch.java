package io.membacking.runner;

import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;

/** Passes output on and calls once when a text has gone by. For one thread at a time. */
final class LineWatch extends FilterOutputStream {
    private final String text;
    private final Runnable seen;
    private final StringBuilder line = new StringBuilder();
    private boolean done;

    /** @param text ASCII, within one line */
    LineWatch(OutputStream out, String text, Runnable seen) {
        super(out);
        this.text = text;
        this.seen = seen;
    }

    @Override
    public void write(int value) throws IOException {
        write(new byte[] {(byte) value}, 0, 1);
    }

    @Override
    public void write(byte[] bytes, int offset, int length) throws IOException {
        out.write(bytes, offset, length);
        for (int i = offset; i < offset + length && !done; i++) {
            if (bytes[i] == '\n') {
                line.setLength(0);
            } else {
                line.append((char) (bytes[i] & 0xff));
                look();
            }
        }
    }

    private void look() {
        int start = line.length() - text.length();
        if (start > 0) {
            line.delete(0, start);
        }
        if (text.contentEquals(line)) {
            done = true;
            seen.run();
        }
    }
}
