package io.membacking.shell.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.range.MemoryRange;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;

class WordsTest {
    @Test
    void addressesAreUnsigned() {
        assertEquals(0x1000, Words.address("0x1000"));
        assertEquals(4096, Words.address("4096"));
        assertEquals(-1, Words.address("0xffffffffffffffff"));
        assertEquals(-1, Words.address("18446744073709551615"));
    }

    @Test
    void rangesAreReadAsTheyArePrinted() {
        MemoryRange range = new MemoryRange(0xc0000, 0xc4000);
        assertEquals(range, Words.range(range.toString()));
    }

    @Test
    void sizesTakeBinaryUnits() {
        assertEquals(4096, Words.size("4096"));
        assertEquals(64L << 20, Words.size("64M"));
        assertEquals(1L << 30, Words.size("1GiB"));
        assertEquals(2L << 10, Words.size("2k"));
        assertEquals(3L << 40, Words.size("3T"));
    }

    @Test
    void whatCannotBeReadIsRefusedByName() {
        for (String word : List.of("", "0x", "12z", "-1", "0x1ffffffffffffffff")) {
            assertMessageNames(word, () -> Words.address(word));
        }
        for (String word : List.of("", "M", "-1", "64X", "99999999999T")) {
            assertMessageNames(word, () -> Words.size(word));
        }
        assertMessageNames("0x1000", () -> Words.range("0x1000"));
        assertThrows(IllegalArgumentException.class, () -> Words.range("0x1001-0x2000"));
    }

    private static void assertMessageNames(String word, Runnable call) {
        String message = assertThrows(IllegalArgumentException.class, call::run).getMessage();
        assertTrue(message.contains("'" + word + "'"), message);
    }

    @Test
    void bytesAreShownInTheLargestExactUnit() {
        assertEquals("64 MiB", Words.bytes(64L << 20));
        assertEquals("65537 B", Words.bytes(65537));
        assertEquals("0 B", Words.bytes(0));
    }

    @Test
    void tableColumnsAlign() {
        Table table = Table.of("A", "Bee").row("long", 1).row("x", "").build();
        assertEquals(
                List.of("A     Bee", "long  1", "x"), table.toString().lines().toList());
        assertThrows(IllegalArgumentException.class, () -> Table.of("A").row("one", "too many"));
    }

    @Test
    void outputKeepsTheEndAndSaysSo() {
        RecentOutput output = new RecentOutput();
        byte[] line = "0123456789".getBytes(StandardCharsets.ISO_8859_1);
        for (int i = 0; i < 6553; i++) {
            output.write(line, 0, line.length);
        }
        assertEquals(65530, output.text().length());
        output.write(line, 0, line.length);
        assertTrue(
                output.text().startsWith("[4 bytes before this are not kept]\n456789"),
                output.text().substring(0, 50));
        assertTrue(output.text().endsWith("0123456789"));
    }
}
