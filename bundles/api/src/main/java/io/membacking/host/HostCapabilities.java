package io.membacking.host;

import java.util.Set;

/**
 * What a host can do.
 *
 * @param system {@code "linux"} or {@code "windows"}
 * @param pageSize bytes of its base page
 * @param mappingGranularity bytes that bounds of mappings and their offsets in a backing are multiples of: the page size, but for a
 *     Windows without placeholders, where it is 64 KiB; a {@link AddressReservation#map} of less is refused there
 * @param hugePageSizes bytes of each huge page size with a pool; empty where there is none
 * @param numaNodes the numbers of its NUMA nodes; at least one
 * @param physicalMemory bytes of RAM
 * @param addressBits width of a physical address of the processor
 * @param replacesInPlace whether mapping over a mapping is atomic for whoever accesses it (Linux yes, Windows no)
 * @param transparentHugePages whether shared memory can be given transparent huge pages at present
 */
public record HostCapabilities(
        String system,
        long pageSize,
        long mappingGranularity,
        Set<Long> hugePageSizes,
        Set<Integer> numaNodes,
        long physicalMemory,
        int addressBits,
        boolean replacesInPlace,
        boolean transparentHugePages) {
    public HostCapabilities {
        hugePageSizes = Set.copyOf(hugePageSizes);
        numaNodes = Set.copyOf(numaNodes);
    }

    /** A host that maps any page alone. */
    public HostCapabilities(
            String system,
            long pageSize,
            Set<Long> hugePageSizes,
            Set<Integer> numaNodes,
            long physicalMemory,
            int addressBits,
            boolean replacesInPlace,
            boolean transparentHugePages) {
        this(
                system,
                pageSize,
                pageSize,
                hugePageSizes,
                numaNodes,
                physicalMemory,
                addressBits,
                replacesInPlace,
                transparentHugePages);
    }
}
