package io.membacking.runner;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

final class TerminalTest {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final ByteArrayOutputStream err = new ByteArrayOutputStream();

    @Test
    void aConsoleDoesNotWriteIntoTheOthersLine() throws Exception {
        Terminal terminal = terminal(false);
        OutputStream serial = terminal.console();
        OutputStream debug = terminal.console();
        write(serial, "one");
        write(serial, " line\nhalf");
        write(debug, "other\n");
        terminal.say("end");
        assertEquals("one line\nhalf\nother\nend\n", out.toString(StandardCharsets.US_ASCII));
    }

    @Test
    void progressIsForTerminalsAndNeverWithinALine() throws Exception {
        Terminal plain = terminal(false);
        plain.progress("1 s");
        assertEquals("", err.toString(StandardCharsets.US_ASCII));

        Terminal interactive = terminal(true);
        OutputStream serial = interactive.console();
        interactive.progress("1 s");
        write(serial, "text");
        interactive.progress("2 s");
        assertEquals("\r\033[K1 s\r\033[K", err.toString(StandardCharsets.US_ASCII));
    }

    @Test
    void aWatchedTextIsSeenOnceHoweverItArrives() throws Exception {
        AtomicInteger seen = new AtomicInteger();
        try (LineWatch watch = new LineWatch(out, GuestJob.NO_BOOT_DEVICE, seen::incrementAndGet)) {
            write(watch, "No bootable\n device.\n");
            assertEquals(0, seen.get());
            write(watch, "Boot: No boot");
            for (byte b : "able device.".getBytes(StandardCharsets.US_ASCII)) {
                watch.write(b);
            }
            assertEquals(1, seen.get());
            write(watch, "\nNo bootable device.\n");
            assertEquals(1, seen.get());
        }
        assertEquals(
                "No bootable\n device.\nBoot: No bootable device.\nNo bootable device.\n",
                out.toString(StandardCharsets.US_ASCII));
    }

    private Terminal terminal(boolean interactive) {
        return new Terminal(
                new PrintStream(out, true, StandardCharsets.US_ASCII),
                new PrintStream(err, true, StandardCharsets.US_ASCII),
                interactive);
    }

    private static void write(OutputStream stream, String text) throws Exception {
        stream.write(text.getBytes(StandardCharsets.US_ASCII));
    }
}
