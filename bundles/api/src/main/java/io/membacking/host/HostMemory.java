package io.membacking.host;

import io.membacking.error.AllocationException;
import io.membacking.error.HostMappingException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;

/**
 * The memory of the machine this runs on: one service per operating system. Thread-safe. When its bundle stops, every
 * reservation and every backing made here that is still open is closed; calls then say closed.
 */
public interface HostMemory {
    /** What this host can do. Never changes while the service lives. */
    HostCapabilities capabilities();

    /**
     * Reserves address space without committing memory. Nothing in it is accessible yet.
     *
     * @param size bytes, a positive multiple of the page size
     * @param alignment bytes, a power of two, at least the page size
     * @throws HostMappingException if the host has no such room
     */
    AddressReservation reserve(long size, long alignment) throws HostMappingException;

    /**
     * Allocates and commits: a shortage of huge pages or of commit charge fails here, never later as a fault.
     *
     * @throws AllocationException naming the pages, the size and the pool
     */
    Backing allocate(BackingRequest request) throws AllocationException;

    /**
     * A new handle on the same bytes, with a life of its own: what is exported outlives the manager it came from.
     *
     * @throws AllocationException if the backing has no descriptor (private memory) or the host refuses
     */
    Backing duplicate(Backing backing) throws AllocationException;

    /**
     * Hands backings to one other process of this host through a local socket, and returns when it has them. The socket's file
     * is made, with access for this user alone, and removed.
     *
     * @param socket where the other process calls {@link #receive}
     * @throws AllocationException if one has no descriptor, or nobody came in time
     */
    void offer(Path socket, List<Backing> backings, Duration deadline) throws AllocationException;

    /**
     * Takes what another process {@link #offer}s: the same names, sizes and contents, in the same order.
     *
     * @throws AllocationException if nothing was offered in time, or what came could be shrunk by others
     */
    List<Backing> receive(Path socket, Duration deadline) throws AllocationException;

    /** Whether {@link #processBarrier()} is there. Never changes while the service lives. */
    default boolean hasProcessBarrier() {
        return false;
    }

    /**
     * Returns after every thread of this process has executed a full memory barrier since the call (membarrier on Linux,
     * FlushProcessWriteBuffers on Windows): who changes seldom pays for it, so that who reads often need not.
     *
     * @throws UnsupportedOperationException if {@link #hasProcessBarrier()} is false
     */
    default void processBarrier() {
        throw new UnsupportedOperationException("this host has no barrier for all threads of a process");
    }
}
