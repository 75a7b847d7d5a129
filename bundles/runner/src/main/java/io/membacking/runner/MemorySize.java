package io.membacking.runner;

import java.math.BigInteger;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Sizes as users write them: 64M, 2G, 1048576. */
final class MemorySize {
    private static final Pattern FORM = Pattern.compile("([+-]?[0-9]+)([KMGT]?)(?:i?B)?", Pattern.CASE_INSENSITIVE);
    private static final String UNITS = "KMGT";
    private static final long LEAST = 1 << 20;
    private static final long PAGE = 4096;

    private MemorySize() {}

    /** @return bytes: a multiple of the page size, at least 1 MiB */
    static long parse(String text) throws RunFailure {
        Matcher form = FORM.matcher(text);
        if (!form.matches()) {
            throw bad(text, "is not a size");
        }
        String unit = form.group(2).toUpperCase(Locale.ROOT);
        BigInteger bytes = new BigInteger(form.group(1)).shiftLeft(unit.isEmpty() ? 0 : 10 * (UNITS.indexOf(unit) + 1));
        if (bytes.compareTo(BigInteger.valueOf(LEAST)) < 0) {
            throw bad(text, "is less than a PC can have (1M)");
        }
        if (bytes.bitLength() > 52) {
            throw bad(text, "is more than a processor can address");
        }
        if (bytes.longValue() % PAGE != 0) {
            throw bad(text, "is not a multiple of " + PAGE + " bytes");
        }
        return bytes.longValue();
    }

    private static RunFailure bad(String text, String problem) {
        return new RunFailure(
                ExitStatus.BAD_MEMORY_SIZE,
                "memory size '" + text + "' " + problem + "; give a number with K, M or G, for example --memory 128M");
    }
}
