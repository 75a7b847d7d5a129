package io.membacking.partition;

import io.membacking.access.GuestMemory;
import io.membacking.range.MemoryRange;

/**
 * Memory to be mapped into a partition: by its host address, for hypervisors that take one, and by a safe view of the same
 * bytes, for those written in Java. Valid until it is unmapped.
 *
 * @param range in the partition's address space
 * @param hva the host-virtual address of its first byte
 * @param memory the guest's memory, of which it is a part
 * @param memoryGpa where in {@code memory} its first byte lies
 */
public record PartitionMapping(
        MemoryRange range, long hva, GuestMemory memory, long memoryGpa, boolean writable, boolean executable) {}
