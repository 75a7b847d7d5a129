package io.membacking.runner;

import java.io.OutputStream;
import java.io.PrintStream;

/**
 * What the user sees: the guest's consoles on standard output, the job's own words, and where standard error is a terminal a
 * line of progress that is rewritten in place. Thread-safe: a console that writes while the other's line is unfinished begins a
 * new one.
 */
final class Terminal {
    private static final String ERASE_LINE = "\r\033[K";

    private final PrintStream out;
    private final PrintStream err;
    private final boolean interactive;
    private Object unfinished = this;
    private boolean lineOpen;
    private boolean progressShown;

    /** @param interactive whether {@code err} is a terminal */
    Terminal(PrintStream out, PrintStream err, boolean interactive) {
        this.out = out;
        this.err = err;
        this.interactive = interactive;
    }

    /** A console of the guest. Closing it does nothing. */
    OutputStream console() {
        return new OutputStream() {
            @Override
            public void write(int value) {
                write(new byte[] {(byte) value}, 0, 1);
            }

            @Override
            public void write(byte[] bytes, int offset, int length) {
                if (length > 0) {
                    print(this, bytes, offset, length);
                }
            }
        };
    }

    /** A line of the job's own on standard output. */
    synchronized void say(String line) {
        endLine();
        out.println(line);
        out.flush();
    }

    /** A line of the job's own on standard error. */
    synchronized void complain(String line) {
        endLine();
        out.flush();
        err.println(line);
        err.flush();
    }

    /** Rewrites the progress line, unless a console is in the middle of a line or nobody looks. */
    synchronized void progress(String text) {
        if (interactive && !lineOpen) {
            err.print(ERASE_LINE + text);
            err.flush();
            progressShown = true;
        }
    }

    private synchronized void print(Object console, byte[] bytes, int offset, int length) {
        if (lineOpen && unfinished != console) {
            endLine();
        }
        eraseProgress();
        out.write(bytes, offset, length);
        out.flush();
        unfinished = console;
        lineOpen = bytes[offset + length - 1] != '\n';
    }

    private void endLine() {
        eraseProgress();
        if (lineOpen) {
            out.println();
            lineOpen = false;
        }
    }

    private void eraseProgress() {
        if (progressShown) {
            err.print(ERASE_LINE);
            err.flush();
            progressShown = false;
        }
    }
}
