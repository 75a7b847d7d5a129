package io.membacking.memory.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class SizeTest {
    @Test
    void suffixesArePowersOf1024() {
        assertEquals(512L << 20, Size.parse("512M"));
        assertEquals(4L << 30, Size.parse(" 4 GiB "));
        assertEquals(4L << 30, Size.parse("4gb"));
        assertEquals(1L << 40, Size.parse("1t"));
        assertEquals(3072, Size.parse("3K"));
        assertEquals(4096, Size.parse("4096"));
        assertEquals(4096, Size.parse("4096 b"));
        assertEquals(0xa0000, Size.parse("0xA0000"));
        assertEquals(0x10L << 20, Size.parse("0x10M"));
        assertEquals(10, Size.parse("010"));
        assertEquals(0, Size.parse("0"));
    }

    @Test
    void whatIsNoSizeIsRefused() {
        for (String text :
                List.of("", "M", "-1", "1.5G", "4 GiBs", "0x", "1 000", "8E", "9223372036854775808", "9000000T")) {
            assertThrows(IllegalArgumentException.class, () -> Size.parse(text), text);
        }
    }

    @Test
    void everySizeThatIsShownIsReadBack() {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        for (int i = 0; i < 10_000; i++) {
            long size = random.nextLong() >>> (1 + random.nextInt(63)) << random.nextInt(10);
            if (size >= 0) {
                assertEquals(size, Size.parse(Size.of(size).replace(" bytes", "")), "seed " + seed);
            }
        }
    }
}
