package io.membacking.itests.karaf;

import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;

/** What a guest has written so far, to wait for more of it. Thread-safe. */
final class BootOutput extends OutputStream {
    private final StringBuilder text = new StringBuilder();

    @Override
    public synchronized void write(int b) {
        text.append((char) (b & 0xff));
        notifyAll();
    }

    @Override
    public synchronized void write(byte[] bytes, int offset, int length) {
        text.append(new String(bytes, offset, length, StandardCharsets.ISO_8859_1));
        notifyAll();
    }

    synchronized String text() {
        return text.toString();
    }

    synchronized int length() {
        return text.length();
    }

    /** @return whether there were that many characters in time */
    synchronized boolean awaitLength(int characters, Duration deadline) throws InterruptedException {
        long end = System.nanoTime() + deadline.toNanos();
        while (text.length() < characters) {
            long left = (end - System.nanoTime()) / 1_000_000;
            if (left <= 0) {
                return false;
            }
            wait(left);
        }
        return true;
    }

    /** @return whether the text came in time */
    synchronized boolean await(String wanted, Duration deadline) throws InterruptedException {
        long end = System.nanoTime() + deadline.toNanos();
        while (text.indexOf(wanted) < 0) {
            long left = (end - System.nanoTime()) / 1_000_000;
            if (left <= 0) {
                return false;
            }
            wait(left);
        }
        return true;
    }
}
