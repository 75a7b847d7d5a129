package io.membacking.machine.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

final class ConsoleOutputTest {
    private final ScheduledThreadPoolExecutor timer = new ScheduledThreadPoolExecutor(1);

    @AfterEach
    void stopTimer() {
        timer.shutdownNow();
    }

    @Test
    void aLineComesOutWhole() {
        ByteArrayOutputStream stream = new ByteArrayOutputStream();
        timer.shutdownNow();
        ConsoleOutput output = new ConsoleOutput("test", stream, timer);
        write(output, "hello");
        assertEquals("", stream.toString(StandardCharsets.US_ASCII));
        write(output, "\n");
        assertEquals("hello\n", stream.toString(StandardCharsets.US_ASCII));
        assertEquals(6, output.written());
    }

    @Test
    void anUnfinishedLineComesOutWhenTheGuestPauses() throws Exception {
        CountDownLatch flushed = new CountDownLatch(1);
        ByteArrayOutputStream stream = new ByteArrayOutputStream() {
            @Override
            public void flush() {
                flushed.countDown();
            }
        };
        write(new ConsoleOutput("test", stream, timer), "login: ");
        assertTrue(flushed.await(10, TimeUnit.SECONDS));
        assertEquals("login: ", stream.toString(StandardCharsets.US_ASCII));
    }

    @Test
    void aStreamThatThrowsLosesOutputAndNothingElse() {
        OutputStream broken = new OutputStream() {
            @Override
            public void write(int value) throws IOException {
                throw new IOException("disk full");
            }
        };
        ConsoleOutput output = new ConsoleOutput("test", broken, timer);
        write(output, "one\ntwo\n");
        assertEquals(8, output.dropped());
        assertEquals(0, output.written());
    }

    @Test
    void muchWithoutALineEndComesOutInPieces() {
        ByteArrayOutputStream stream = new ByteArrayOutputStream();
        ConsoleOutput output = new ConsoleOutput("test", stream, timer);
        write(output, "x".repeat(10_000));
        output.flush();
        assertEquals(10_000, stream.size());
    }

    private static void write(ConsoleOutput output, String text) {
        for (byte b : text.getBytes(StandardCharsets.US_ASCII)) {
            output.write(b);
        }
    }
}
