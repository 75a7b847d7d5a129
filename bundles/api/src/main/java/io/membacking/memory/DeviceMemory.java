package io.membacking.memory;

import io.membacking.error.MembackingException;
import io.membacking.host.Backing;
import io.membacking.range.MemoryRange;
import java.util.List;
import java.util.Optional;

/**
 * Memory of a device, of fixed length: a {@link #control() control} places it in the guest, and a {@link #mappings() memory handle}
 * fills it; they may be with different parties. Thread-safe. Mappings made while it is out of the guest appear when it is placed,
 * and survive its moves. Its priority is 0: RAM that is visible hides it.
 */
public interface DeviceMemory extends AutoCloseable {
    String name();

    /** Bytes. */
    long length();

    Control control();

    Mappings mappings();

    /** Takes it out of the guest and ends it, with its mappings. Cannot fail; closing twice does nothing. */
    @Override
    void close();

    /** Where it is. */
    interface Control {
        /**
         * Places it, or places it elsewhere or otherwise in one change.
         *
         * @throws MembackingException if it does not fit the guest, or the commit failed; it stays as it was
         */
        void place(long gpa, boolean writable) throws MembackingException;

        /** Takes it out of the guest; its mappings stay. */
        void remove() throws MembackingException;

        /** Where it is, while it is placed. */
        Optional<MemoryRange> placed();
    }

    /** What is in it. Offsets are in bytes from its start, page aligned. */
    interface Mappings {
        /** Maps a piece of a backing over whatever was there, as mmap does. The backing must outlive the mapping. */
        void map(MemoryRange offsets, Backing backing, long backingOffset, boolean writable) throws MembackingException;

        /** Empties a part. */
        void unmap(MemoryRange offsets) throws MembackingException;

        /** What is mapped, in order, disjoint. */
        List<MemoryRange> mapped();
    }
}
