package io.membacking.region;

import io.membacking.access.GuestMemory;
import io.membacking.dma.DmaTarget;
import io.membacking.error.AttachException;
import io.membacking.host.Backing;
import io.membacking.mapping.MappingManager;
import io.membacking.range.MemoryRange;
import java.util.List;
import java.util.Optional;

/**
 * Decides what a guest sees: its regions, the flat view they give, and the changes of both, carried out over its VA space, the
 * partitions attached to it and its DMA targets. Thread-safe; changes are serialised. After close every call throws
 * {@link IllegalStateException} that says closed.
 */
public interface RegionManager extends AutoCloseable {
    String guest();

    /** Bytes of guest-physical space. */
    long size();

    /** The VA space beneath. */
    MappingManager mappings();

    default GuestMemory memory() {
        return mappings().memory();
    }

    /** Makes a backing known, for mappings. It is not claimed nor closed by this manager. */
    void addBacking(Backing backing);

    /** Forgets a backing. @throws IllegalStateException if a mapping still uses it */
    void removeBacking(long backing);

    Optional<Backing> backing(long id);

    /** Starts a change. @param reason what it is for, for the journal */
    Change change(String reason);

    /** In the order of creation. */
    List<RegionInfo> regions();

    Optional<RegionInfo> region(RegionId id);

    /** What the guest sees now: disjoint, in order of address. */
    List<FlatPiece> flatView();

    /** The pieces of the flat view that overlap the range, whole. */
    List<FlatPiece> flatView(MemoryRange range);

    /**
     * Attaches a partition: replays the flat view, all or nothing.
     *
     * @throws AttachException if the request cannot be, the VA space or the partition failed; nothing is left in the partition
     */
    Attachment attach(AttachRequest request) throws AttachException;

    List<Attachment> attachments();

    /**
     * Registers a DMA target: replays the flat view, all or nothing.
     *
     * @throws AttachException if it demands descriptors and there is private memory, or it failed
     */
    DmaRegistration addDmaTarget(DmaTarget target) throws AttachException;

    /** Why an address is what it is, anywhere in 64 bits. */
    Explanation explain(long gpa);

    /** The latest commits, oldest first; bounded. */
    List<JournalEntry> journal();

    /** Compares every view with the regions. Waits for a commit under way. */
    DriftReport checkDrift();

    /** Detaches everything, then closes the VA space. Cannot fail; closing twice does nothing. */
    @Override
    void close();

    /** A DMA target's registration. */
    interface DmaRegistration extends AutoCloseable {
        /** Unmaps everything from the target; cannot fail, and does nothing the second time. */
        @Override
        void close();
    }
}
