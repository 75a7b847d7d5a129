package io.membacking.host;

import io.membacking.error.HostMappingException;
import io.membacking.range.MemoryRange;
import java.util.List;

/**
 * A linear reservation of host addresses. Offsets are in bytes from {@link #base()}, page aligned, inside the reservation;
 * others are refused with {@link IllegalArgumentException}. Not thread-safe: its owner serialises calls, and answers for nobody
 * accessing what goes.
 */
public interface AddressReservation extends AutoCloseable {
    /** The host-virtual address of offset 0. @throws IllegalStateException after close */
    long base();

    /** Bytes. */
    long size();

    /**
     * Makes a part hold a piece of a backing, replacing what it held: atomically where the host
     * {@link HostCapabilities#replacesInPlace() can}. Private memory arrives zeroed.
     *
     * @throws HostMappingException with its own problem text where the limit on mappings is reached; what was there stays
     */
    void map(MemoryRange offsets, Backing backing, long backingOffset) throws HostMappingException;

    /**
     * What a {@link #map} of this part makes inaccessible for a moment: the part, and what is mapped around it where the host cannot
     * cut a mapping that stays. The owner keeps everyone out of all of it meanwhile. Asked before a change of several parts, the
     * answers together hold for all of it.
     */
    default MemoryRange disturbed(MemoryRange offsets) {
        return offsets;
    }

    /** Empties a part, and disturbs nothing around it. Cannot fail; private memory in it is gone. */
    void release(MemoryRange offsets);

    /** Populates the host's page tables, for writing. @throws HostMappingException if the host could not */
    void prefetch(MemoryRange offsets) throws HostMappingException;

    /** Locks a part into host memory. @throws HostMappingException if it could not, with nothing locked */
    void lock(MemoryRange offsets) throws HostMappingException;

    /** Unlocks a part; cannot fail. */
    void unlock(MemoryRange offsets);

    /**
     * What the operating system says is mapped here now, read afresh, in order: for the drift check. Neighbours with the same
     * backing and contiguous offsets may be one.
     */
    List<HostPiece> observe();

    /** Gives everything back; cannot fail. Closing twice does nothing. */
    @Override
    void close();
}
