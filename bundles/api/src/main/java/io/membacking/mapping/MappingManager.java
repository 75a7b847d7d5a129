package io.membacking.mapping;

import io.membacking.access.GuestMemory;
import io.membacking.error.HostMappingException;
import io.membacking.host.Backing;
import io.membacking.range.MemoryRange;
import java.time.Duration;
import java.util.List;

/**
 * Owns the VA space of one guest: what it holds, the snapshot that readers check against, and the passing of a change between
 * them. {@link #memory()} is for everyone; the rest is for the guest's region manager, which serialises its calls.
 */
public interface MappingManager extends AutoCloseable {
    String guest();

    /** Bytes of the VA space: guest-physical addresses from 0 to this, exclusive. */
    long size();

    /** The host-virtual address of guest-physical address 0. @throws IllegalStateException after close */
    long base();

    /** Whether replacing a mapping is atomic for whoever accesses it through the VA space. */
    boolean replacesInPlace();

    /** The guest's memory, as the last published snapshot shows it. */
    GuestMemory memory();

    /**
     * Opens a transition: from here until it ends, accesses to these pieces wait (on the calling thread they throw), and no
     * access that began earlier is still under way in them. One transition at a time.
     *
     * @param pieces what is taken away, narrowed or replaced; may be empty
     * @param deadline how long to wait for readers
     * @throws HostMappingException if readers did not leave in time; nothing has changed then
     */
    Transition begin(List<MemoryRange> pieces, Duration deadline) throws HostMappingException;

    /**
     * What a {@link #map} of this range makes inaccessible for a moment: the range and, on a host that cannot cut a mapping that
     * stays, what is mapped around it. Asked before a change of several ranges, the answers together hold for all of it.
     */
    default MemoryRange disturbed(MemoryRange range) {
        return range;
    }

    /**
     * Makes a part of the VA space hold a piece of a backing, replacing what it held. What readers could see of what it
     * {@link #disturbed disturbs} must be in transition.
     *
     * @throws HostMappingException with what was held still held
     */
    void map(MemoryRange range, Backing backing, long backingOffset) throws HostMappingException;

    /** Empties a part; cannot fail. What readers could see of it must be in transition. */
    void release(MemoryRange range);

    /** Populates host page tables. */
    void prefetch(MemoryRange range) throws HostMappingException;

    /** Locks into host memory, all or nothing. */
    void lock(MemoryRange range) throws HostMappingException;

    void unlock(MemoryRange range);

    /** What the VA space holds by this manager's own book, in order, neighbours with contiguous backing as one. */
    List<HeldMemory> held();

    /** What the operating system says it holds; the same as {@link #held()} unless something drifted. */
    List<HeldMemory> observe();

    /** What readers may access, in order, neighbours with the same access as one: for the drift check. */
    List<AccessPiece> snapshot();

    /** Readers' and transitions' counters since the guest was made. */
    Counters counters();

    /** Waits for the readers inside, then gives the VA space back. Cannot fail; closing twice does nothing. */
    @Override
    void close();

    /** A change in passing. Ends once, by {@link #publish} or {@link #abandon}; not thread-safe. */
    interface Transition {
        /**
         * Makes the new access visible and lets waiting readers go on. Cannot fail.
         *
         * @param changed the access of every piece that changed, disjoint; pieces in transition that are not named are as before
         */
        void publish(List<AccessPiece> changed);

        /** Lets waiting readers go on as if nothing had been; the VA space must be as it was. Cannot fail. */
        void abandon();
    }

    /**
     * @param transitions transitions opened
     * @param drainNanos nanoseconds spent waiting for readers, in all
     * @param waits accesses that had to wait for a transition
     */
    record Counters(long transitions, long drainNanos, long waits) {}
}
