package io.membacking.memory.internal;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Numbers of bytes as people write them: {@code 512M}, {@code 2 MiB}, {@code 0x200000}. */
final class Size {
    private static final Pattern TEXT = Pattern.compile("(0x[0-9a-f]+|[0-9]+) ?(?:([kmgt])(?:i?b)?|b)?");
    private static final String UNITS = "kmgt";

    private Size() {}

    /**
     * Reads bytes: decimal or {@code 0x} hexadecimal, with a suffix of powers of 1024 (K, M, G, T, alone or as KiB or KB) or
     * none; case does not matter.
     *
     * @throws IllegalArgumentException if it is none, or more than 63 bits hold
     */
    static long parse(String text) {
        Matcher matcher = TEXT.matcher(text.strip().toLowerCase(Locale.ROOT));
        if (!matcher.matches()) {
            throw new IllegalArgumentException("'" + text + "' is no size; write 512M, 4 GiB or 0x100000");
        }
        try {
            long number = Long.decode(matcher.group(1).replaceFirst("^0+(?=[0-9])", ""));
            int shift = matcher.group(2) == null ? 0 : 10 * (1 + UNITS.indexOf(matcher.group(2)));
            return Math.multiplyExact(number, 1L << shift);
        } catch (NumberFormatException | ArithmeticException e) {
            throw new IllegalArgumentException("'" + text + "' is more than 63 bits hold", e);
        }
    }

    /** In the largest unit that it is a whole number of. */
    static String of(long bytes) {
        int power = bytes == 0 ? 0 : Math.min(4, Long.numberOfTrailingZeros(bytes) / 10);
        return Long.toUnsignedString(bytes >>> (10 * power)) + " "
                + new String[] {"bytes", "KiB", "MiB", "GiB", "TiB"}[power];
    }
}
