package io.membacking.range;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/**
 * A half-open, page-aligned, never empty range of addresses or offsets, in bytes, compared unsigned. Which address space it
 * lies in is said by who holds it; without a word it is guest-physical. Immutable.
 *
 * @param start the first address, a multiple of {@link #PAGE_SIZE}
 * @param end the address after the last, a multiple of {@link #PAGE_SIZE}, unsigned above {@code start}; so the last page of
 *     the 64-bit space belongs to no range
 */
public record MemoryRange(long start, long end) implements Comparable<MemoryRange> {
    /** The granularity of guest memory: the x86-64 base page, 4,096 bytes. */
    public static final int PAGE_SIZE = 4096;

    private static final Comparator<MemoryRange> ORDER = Comparator.<MemoryRange, Long>comparing(
                    MemoryRange::start, Long::compareUnsigned)
            .thenComparing(MemoryRange::end, Long::compareUnsigned);

    /** @throws IllegalArgumentException if a bound is not page aligned or the range is empty or wraps */
    public MemoryRange {
        if (!isAligned(start) || !isAligned(end)) {
            throw new IllegalArgumentException(
                    "range " + format(start, end) + " is not aligned to pages of " + PAGE_SIZE + " bytes");
        }
        if (Long.compareUnsigned(start, end) >= 0) {
            throw new IllegalArgumentException("range " + format(start, end) + " is empty or wraps");
        }
    }

    /** The range that starts at {@code start} and is {@code length} bytes long. @throws IllegalArgumentException as above */
    public static MemoryRange ofLength(long start, long length) {
        if (length <= 0 || Long.compareUnsigned(start + length, start) < 0) {
            throw new IllegalArgumentException("range of 0x" + Long.toHexString(length) + " bytes at 0x"
                    + Long.toHexString(start) + " is empty or wraps");
        }
        return new MemoryRange(start, start + length);
    }

    /** Whether an address or a length is a multiple of the page size. */
    public static boolean isAligned(long addressOrLength) {
        return (addressOrLength & (PAGE_SIZE - 1)) == 0;
    }

    /** Bytes; unsigned, never 0. */
    public long length() {
        return end - start;
    }

    /** Pages of {@link #PAGE_SIZE}. */
    public long pages() {
        return length() >>> 12;
    }

    public boolean contains(long address) {
        return Long.compareUnsigned(start, address) <= 0 && Long.compareUnsigned(address, end) < 0;
    }

    public boolean contains(MemoryRange other) {
        return Long.compareUnsigned(start, other.start) <= 0 && Long.compareUnsigned(other.end, end) <= 0;
    }

    public boolean overlaps(MemoryRange other) {
        return Long.compareUnsigned(start, other.end) < 0 && Long.compareUnsigned(other.start, end) < 0;
    }

    /** What both ranges have in common. */
    public Optional<MemoryRange> intersection(MemoryRange other) {
        return overlaps(other)
                ? Optional.of(new MemoryRange(max(start, other.start), min(end, other.end)))
                : Optional.empty();
    }

    /** What is left of this range without the other: none, one or two ranges, in order. */
    public List<MemoryRange> minus(MemoryRange other) {
        if (!overlaps(other)) {
            return List.of(this);
        }
        List<MemoryRange> rest = new ArrayList<>(2);
        if (Long.compareUnsigned(start, other.start) < 0) {
            rest.add(new MemoryRange(start, other.start));
        }
        if (Long.compareUnsigned(other.end, end) < 0) {
            rest.add(new MemoryRange(other.end, end));
        }
        return rest;
    }

    /** This range with {@code delta} bytes added to its start, modulo 2^64. @throws IllegalArgumentException if the range would reach over the end of the address space or lose its alignment */
    public MemoryRange shift(long delta) {
        return ofLength(start + delta, length());
    }

    @Override
    public int compareTo(MemoryRange other) {
        return ORDER.compare(this, other);
    }

    /** {@code 0x0-0x80000000}: how every range is printed. */
    @Override
    public String toString() {
        return format(start, end);
    }

    private static String format(long start, long end) {
        return "0x" + Long.toHexString(start) + "-0x" + Long.toHexString(end);
    }

    private static long min(long a, long b) {
        return Long.compareUnsigned(a, b) <= 0 ? a : b;
    }

    private static long max(long a, long b) {
        return Long.compareUnsigned(a, b) >= 0 ? a : b;
    }
}
