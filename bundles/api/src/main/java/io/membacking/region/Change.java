package io.membacking.region;

import io.membacking.error.MembackingException;
import io.membacking.range.MemoryRange;
import java.time.Duration;
import java.util.List;

/**
 * One or many region operations, committed once, whole or not at all. Nothing outside changes until {@link #commit()}. Not
 * thread-safe. After a commit that failed, the same change may be committed again and then really acts; after one that
 * succeeded it is spent.
 *
 * <p>Arguments that cannot be whatever the state of the guest are refused at once with {@link IllegalArgumentException};
 * everything that depends on the state, when it is committed or planned.
 */
public interface Change {
    /** Makes a region; its id is good in this change and, once committed, after it. */
    RegionId add(String name, MemoryRange range, int priority, RegionKind kind);

    Change remove(RegionId region);

    Change map(RegionId region, MapParameters parameters);

    Change unmap(RegionId region);

    Change move(RegionId region, long start);

    Change addMapping(RegionId region, MemoryRange offsets, long backing, long backingOffset, boolean writable);

    Change removeMappings(RegionId region, MemoryRange offsets);

    /** Adds operations as values: replaying a journal. Regions they add keep their ids. */
    Change apply(List<RegionOperation> operations);

    List<RegionOperation> operations();

    /** What committing now would do, without doing it. @throws MembackingException what {@link #commit()} would refuse */
    Plan plan() throws MembackingException;

    /** As {@link #commit(Duration)} with the guest's default deadline. */
    JournalEntry commit() throws MembackingException;

    /**
     * Carries the change out. Synchronous; serialised with other changes of the guest; may be called from an exit handler.
     *
     * @param deadline the longest it waits for readers and processors, in all
     * @throws io.membacking.error.LayoutException if an operation cannot be in the guest's present state
     * @throws io.membacking.error.HostMappingException if the host failed, or readers did not leave in time
     * @throws io.membacking.error.AttachException if a partition or DMA target failed
     * @throws IllegalStateException if called from within a step of a commit, spent, or after close
     */
    JournalEntry commit(Duration deadline) throws MembackingException;
}
