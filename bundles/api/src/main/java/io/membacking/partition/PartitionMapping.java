package io.membacking.partition;

import io.membacking.access.GuestMemory;
import io.membacking.range.MemoryRange;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * Memory to be mapped into a partition: by its host address, for hypervisors that take one, and by a safe view of the same
 * bytes, for those written in Java. Valid until it is unmapped.
 *
 * @param range in the partition's address space
 * @param hva the host-virtual address of its first byte
 * @param memory the guest's memory, of which it is a part
 * @param memoryGpa where in {@code memory} its first byte lies
 * @param remote set if it is to be mapped through another process than this
 * @param source what holds its bytes, for platforms that must map it elsewhere by themselves; empty for private memory, and where
 *     one range has several backings
 */
public record PartitionMapping(
        MemoryRange range,
        long hva,
        GuestMemory memory,
        long memoryGpa,
        boolean writable,
        boolean executable,
        Optional<Remote> remote,
        Optional<Source> source) {

    /** In this process. */
    public PartitionMapping(
            MemoryRange range, long hva, GuestMemory memory, long memoryGpa, boolean writable, boolean executable) {
        this(range, hva, memory, memoryGpa, writable, executable, Optional.empty());
    }

    /** Without telling what holds its bytes. */
    public PartitionMapping(
            MemoryRange range,
            long hva,
            GuestMemory memory,
            long memoryGpa,
            boolean writable,
            boolean executable,
            Optional<Remote> remote) {
        this(range, hva, memory, memoryGpa, writable, executable, remote, Optional.empty());
    }

    /**
     * Memory that another process is to map.
     *
     * @param process the host's handle of it
     * @param descriptor the host's descriptor of the backing; empty for private memory, which nobody else can map
     * @param offset where in the backing the range begins, bytes
     */
    public record Remote(long process, OptionalInt descriptor, long offset) {}

    /**
     * A piece of a backing.
     *
     * @param backing its number, unique in this process for ever, as descriptors are not
     * @param descriptor the host's descriptor of it
     * @param offset where in it the range begins, bytes
     */
    public record Source(long backing, int descriptor, long offset) {}
}
