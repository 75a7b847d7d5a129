package io.membacking.region;

/**
 * How a region is mapped into the guest.
 *
 * @param prefetch an action, taken when the region is mapped; never a difference between two mappings
 */
public record MapParameters(boolean writable, boolean executable, boolean prefetch) {
    /** What RAM gets: writable and executable. */
    public static final MapParameters RAM = new MapParameters(true, true, false);

    public static final MapParameters READ_ONLY = new MapParameters(false, true, false);

    /** Whether the guest would see a difference. */
    public boolean sameAccess(MapParameters other) {
        return writable == other.writable && executable == other.executable;
    }
}
