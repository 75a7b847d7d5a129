package io.membacking.memory;

import io.membacking.access.GuestMemory;
import io.membacking.error.AllocationException;
import io.membacking.error.AttachException;
import io.membacking.error.MembackingException;
import io.membacking.host.Backing;
import io.membacking.partition.Partition;
import io.membacking.range.MemoryRange;
import io.membacking.region.Attachment;
import io.membacking.region.ProcessorGate;
import io.membacking.region.RegionManager;
import java.util.List;
import java.util.OptionalLong;

/**
 * The memory of one guest. Thread-safe. Also a service, with {@code guest.name}. After close every call throws
 * {@link IllegalStateException} that says closed.
 */
public interface GuestMemoryManager extends AutoCloseable {
    String guest();

    MemoryLayout layout();

    /** Reading and writing it. */
    GuestMemory memory();

    /** Its regions, for changes beyond visibility and device memory, and for all that there is to see. */
    RegionManager regions();

    /** The RAM regions, in order of address: the ranges for which a visibility can be set. */
    List<MemoryRange> ramRegions();

    /** Sets what the guest sees of exactly one RAM region. */
    default void setVisibility(MemoryRange range, RamVisibility visibility) throws MembackingException {
        changeVisibility("set visibility of " + range + " to " + visibility)
                .set(range, visibility)
                .commit();
    }

    /** Starts a change of several visibilities at once. @param reason for the journal */
    VisibilityChange changeVisibility(String reason);

    /** @throws io.membacking.error.VisibilityException if {@code range} is not exactly one RAM region */
    RamVisibility visibility(MemoryRange range) throws io.membacking.error.VisibilityException;

    /**
     * Makes device memory, out of the guest and empty.
     *
     * @param length bytes, a positive multiple of the page size
     */
    DeviceMemory createDeviceMemory(String name, long length) throws MembackingException;

    List<DeviceMemory> deviceMemory();

    /** Allocates shared memory for device memory or ROM; it is closed with this manager. @param size bytes */
    Backing allocate(String name, long size) throws AllocationException;

    /**
     * Attaches a partition with the guest's choices for pinning and, for VTL2, the alias map.
     *
     * @param name unique among the guest's attachments
     * @param remoteProcess a process of the host to map in, where the platform has such a thing
     */
    Attachment attach(String name, Partition partition, ProcessorGate gate, int vtl, OptionalLong remoteProcess)
            throws AttachException;

    /** The alias map offset, if one was chosen. */
    OptionalLong aliasMapOffset();

    boolean pinning();

    /** RAM with its descriptors, for consumers outside; empty if any of it is private. */
    List<SharedRam> shareableRam();

    /**
     * New handles on the backings of RAM, in the order in which {@link GuestMemoryBuilder#backing} takes them up again, with a life
     * of their own: a manager can be built on them once this one is closed.
     *
     * @throws AllocationException if any RAM is private
     */
    List<Backing> export() throws AllocationException;

    /** Detaches and frees everything. Cannot fail; closing twice does nothing. */
    @Override
    void close();
}
