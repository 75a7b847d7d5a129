package io.membacking.host;

import java.util.OptionalInt;

/**
 * Memory asked for.
 *
 * @param name for people and error messages; shown by the operating system where it can
 * @param kind what is to hold the bytes
 * @param size bytes, a positive multiple of the page size it will have
 * @param hugePageSize bytes of a page; used for {@link BackingKind#HUGETLB} alone, 0 otherwise
 * @param transparentHugePages whether to ask for transparent huge pages (advice)
 * @param numaNode the host's node to take the memory from
 */
public record BackingRequest(
        String name,
        BackingKind kind,
        long size,
        long hugePageSize,
        boolean transparentHugePages,
        OptionalInt numaNode) {
    /** Plain shared memory. */
    public static BackingRequest shared(String name, long size) {
        return new BackingRequest(name, BackingKind.SHARED, size, 0, false, OptionalInt.empty());
    }
}
