package io.membacking.shell.internal;

import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;

/** Keeps the last bytes that a guest wrote. Thread-safe. */
final class RecentOutput extends OutputStream {
    private static final int KEPT = 64 * 1024;

    private final byte[] ring = new byte[KEPT];
    private long written;

    @Override
    public synchronized void write(int b) {
        ring[(int) (written++ % KEPT)] = (byte) b;
    }

    /** All bytes at once; unlike that of the superclass it throws nothing. */
    @Override
    public synchronized void write(byte[] bytes, int offset, int length) {
        for (int i = 0; i < length; i++) {
            write(bytes[offset + i]);
        }
    }

    /** What is kept, as text; says so if the beginning is lost. */
    synchronized String text() {
        ByteArrayOutputStream kept = new ByteArrayOutputStream();
        for (long i = Math.max(0, written - KEPT); i < written; i++) {
            kept.write(ring[(int) (i % KEPT)]);
        }
        String start = written > KEPT ? "[" + (written - KEPT) + " bytes before this are not kept]\n" : "";
        return start + kept.toString(StandardCharsets.ISO_8859_1);
    }
}
