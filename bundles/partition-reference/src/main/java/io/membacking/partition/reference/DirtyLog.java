package io.membacking.partition.reference;

import io.membacking.range.MemoryRange;
import java.util.BitSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.atomic.AtomicLongArray;

/** Which pages of a partition were written. Thread-safe. Memory follows what was written, a bit a page in chunks of 128 MiB. */
final class DirtyLog {
    private static final int CHUNK_SHIFT = 27;
    private static final int PAGE_SHIFT = 12;
    private static final int WORDS = 1 << (CHUNK_SHIFT - PAGE_SHIFT - 6);

    private final ConcurrentMap<Long, AtomicLongArray> chunks = new ConcurrentHashMap<>();

    void mark(long gpa) {
        AtomicLongArray chunk = chunks.computeIfAbsent(gpa >>> CHUNK_SHIFT, n -> new AtomicLongArray(WORDS));
        int page = page(gpa);
        long bit = 1L << page;
        int word = page >>> 6;
        if ((chunk.get(word) & bit) == 0) {
            chunk.getAndUpdate(word, old -> old | bit);
        }
    }

    /** The pages of a range that are marked, as indices from its first; they are not after that. */
    BitSet take(MemoryRange range) {
        BitSet taken = new BitSet();
        for (long gpa = range.start(); gpa != range.end(); gpa += MemoryRange.PAGE_SIZE) {
            AtomicLongArray chunk = chunks.get(gpa >>> CHUNK_SHIFT);
            if (chunk == null) { // to the last page of it
                gpa |= (1L << CHUNK_SHIFT) - 1 & -MemoryRange.PAGE_SIZE;
                if (Long.compareUnsigned(gpa, range.end() - MemoryRange.PAGE_SIZE) >= 0) {
                    break;
                }
                continue;
            }
            int page = page(gpa);
            long bit = 1L << page;
            if ((chunk.get(page >>> 6) & bit) != 0 && (chunk.getAndUpdate(page >>> 6, old -> old & ~bit) & bit) != 0) {
                taken.set(Math.toIntExact((gpa - range.start()) >>> PAGE_SHIFT));
            }
        }
        return taken;
    }

    private static int page(long gpa) {
        return (int) (gpa >>> PAGE_SHIFT) & (WORDS * 64 - 1);
    }
}
