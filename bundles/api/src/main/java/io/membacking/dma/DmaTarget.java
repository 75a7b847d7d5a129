package io.membacking.dma;

import io.membacking.error.MembackingException;
import io.membacking.range.MemoryRange;
import org.osgi.annotation.versioning.ConsumerType;

/**
 * Something other than a processor that reaches guest memory directly: an IOMMU, a device in another process. Called by one
 * commit at a time; it must not call back into the guest's objects.
 */
@ConsumerType
public interface DmaTarget {
    /** Unique among the targets of a guest. */
    String name();

    /** Whether it can use only memory that has a descriptor. */
    boolean requiresDescriptor();

    /** @throws MembackingException if it cannot; it then holds what it held before */
    void map(DmaMapping mapping) throws MembackingException;

    /** Takes away exactly what one {@link #map} gave. @throws MembackingException if it cannot; it then holds it still */
    void unmap(MemoryRange range) throws MembackingException;
}
