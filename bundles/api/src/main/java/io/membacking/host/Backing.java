package io.membacking.host;

import io.membacking.error.AllocationException;
import java.util.OptionalInt;

/**
 * What holds the bytes of one or more mappings. Its size never changes: it is sealed against shrinking. Thread-safe.
 *
 * <p>Closing it closes the descriptor; memory that is mapped stays until it is unmapped too.
 */
public interface Backing extends AutoCloseable {
    /** A number unique in this process, for plans and journals. */
    long id();

    String name();

    BackingKind kind();

    /** Bytes. */
    long size();

    /** Bytes of its pages. */
    long pageSize();

    /** The operating system's descriptor, where there is one; it stays this backing's own. @throws IllegalStateException after close */
    OptionalInt descriptor();

    /**
     * Reads without a mapping. Never faults.
     *
     * @throws IndexOutOfBoundsException if array or backing has no such part
     * @throws UnsupportedOperationException for private memory, which can only be reached through the guest's memory
     */
    void read(long position, byte[] target, int offset, int length);

    /** Writes without a mapping, as {@link #read}: the way to fill a ROM before the guest sees it. */
    void write(long position, byte[] source, int offset, int length);

    /**
     * Claims it for one manager of any process of this host, until the claim is closed or the process ends.
     *
     * @param owner who claims it, for the refusal of the next
     * @throws AllocationException if it is claimed already
     */
    Claim claim(String owner) throws AllocationException;

    /** Closes the descriptor. Closing twice does nothing. */
    @Override
    void close();

    /** A manager's claim on a backing. */
    interface Claim extends AutoCloseable {
        /** Lets go; cannot fail, and does nothing the second time. */
        @Override
        void close();
    }
}
