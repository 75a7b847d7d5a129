package io.membacking.host.linux;

import java.util.function.LongSupplier;

/**
 * How many more mappings the process may have. At the limit of {@code vm.max_map_count} the kernel refuses every mmap, even one
 * that would put a single mapping in the place of another, and a JVM that needs memory for itself there ends. So the limit is
 * never met: a part of it is kept for the JVM, and another for releasing, which can make mappings more. Thread-safe.
 *
 * <p>Reservations say what they have; everything else of the process is counted in /proc/self/maps, which is slow with many
 * mappings, so only after they have grown by some.
 */
final class MappingBudget {
    private static final long STEP = 1024;

    private final LongSupplier limit;
    private final LongSupplier counted;
    private long knownLimit;
    private long own;
    private long others;
    private long countAgainAt;

    /**
     * @param limit the kernel's, which an operator may raise while this lives
     * @param counted how many mappings the process has
     */
    MappingBudget(LongSupplier limit, LongSupplier counted) {
        this.limit = limit;
        this.counted = counted;
        count();
    }

    /** Whether so many more may be mapped. */
    synchronized boolean allowsMapping(long more) {
        return allows(more, 1);
    }

    /** Whether releasing may make so many more: it reaches further than mapping, so that what was mapped can be undone. */
    synchronized boolean allowsReleasing(long more) {
        return allows(more, 2);
    }

    private boolean allows(long more, int share) {
        if (more <= 0) {
            return true;
        }
        if (own + more > countAgainAt) {
            count();
        }
        if (others + own + more <= knownLimit - kept(knownLimit) / share) {
            return true;
        }
        // It may have been raised, as the refusal asks for.
        knownLimit = limit.getAsLong();
        return others + own + more <= knownLimit - kept(knownLimit) / share;
    }

    private void count() {
        knownLimit = limit.getAsLong();
        // What reservations say is what they have at most; others must not seem fewer for it.
        others = Math.max(others, counted.getAsLong() - own);
        countAgainAt = own + STEP;
    }

    /** A reservation has so many more, or fewer. */
    synchronized void changed(long more) {
        own += more;
    }

    /** Of the limit, what mapping leaves: half of it for releasing, half for the JVM. */
    static long kept(long limit) {
        return Math.max(256, limit / 32);
    }
}
