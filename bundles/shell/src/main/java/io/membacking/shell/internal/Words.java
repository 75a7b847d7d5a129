package io.membacking.shell.internal;

import io.membacking.range.MemoryRange;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** How people write numbers and ranges on a command line. */
final class Words {
    private static final Pattern SIZE = Pattern.compile("(\\d+)([KMGT]?)(i?B)?", Pattern.CASE_INSENSITIVE);

    private Words() {}

    /** {@code 0x1000}, {@code 4096}: unsigned 64 bits. @throws IllegalArgumentException for anything else */
    static long address(String word) {
        try {
            return word.regionMatches(true, 0, "0x", 0, 2)
                    ? Long.parseUnsignedLong(word.substring(2), 16)
                    : Long.parseUnsignedLong(word);
        } catch (NumberFormatException e) {
            throw new IllegalArgumentException("'" + word + "' is no address; write 0x1000 or 4096", e);
        }
    }

    /** {@code 0x0-0x1000}, as ranges are printed. */
    static MemoryRange range(String word) {
        int dash = word.indexOf('-');
        if (dash < 0) {
            throw new IllegalArgumentException("'" + word + "' is no range; write 0x0-0x1000");
        }
        return new MemoryRange(address(word.substring(0, dash)), address(word.substring(dash + 1)));
    }

    /** {@code 64M}, {@code 4096}: bytes; the letters are powers of 1,024. */
    static long size(String word) {
        Matcher matcher = SIZE.matcher(word);
        if (!matcher.matches()) {
            throw new IllegalArgumentException("'" + word + "' is no size; write 64M or 4096");
        }
        int shift = 10 * "KMGT".indexOf(matcher.group(2).toUpperCase(Locale.ROOT)) + 10;
        try {
            return Math.multiplyExact(
                    Long.parseLong(matcher.group(1)), matcher.group(2).isEmpty() ? 1L : 1L << shift);
        } catch (ArithmeticException | NumberFormatException e) {
            throw new IllegalArgumentException("size '" + word + "' is more than can be addressed", e);
        }
    }

    static String hex(long value) {
        return "0x" + Long.toHexString(value);
    }

    static String microseconds(long nanos) {
        return nanos / 1000 + " us";
    }

    /** Bytes as people read them: {@code 64 MiB}. */
    static String bytes(long value) {
        String[] units = {"B", "KiB", "MiB", "GiB", "TiB"};
        int unit = 0;
        long rest = value;
        while (unit < units.length - 1 && rest >= 1024 && rest % 1024 == 0) {
            rest /= 1024;
            unit++;
        }
        return rest + " " + units[unit];
    }
}
