package io.membacking.partition;

import io.membacking.error.BackendException;
import io.membacking.range.MemoryRange;
import java.util.List;

/**
 * One virtual machine of a hypervisor. Memory calls are serialised by the caller; everything else is thread-safe. After close
 * {@link #isClosed()} is true, unmapping does nothing and every other call throws {@link IllegalStateException} that says closed.
 */
public interface Partition extends AutoCloseable {
    String name();

    /** The name of its backend. */
    String backend();

    Capabilities capabilities();

    /**
     * Maps memory where nothing is mapped.
     *
     * @throws BackendException if it overlaps what is mapped, lies where the platform keeps its own pages or beyond the physical
     *     address width, there are too many mappings, or the platform refuses; nothing has changed then
     */
    void map(PartitionMapping mapping) throws BackendException;

    /**
     * Unmaps exactly what one map call gave or, with {@link Capabilities#partialUnmap()}, a part of it.
     *
     * @throws BackendException if nothing is mapped there or the platform refuses; it is mapped still then
     */
    void unmap(MemoryRange range) throws BackendException;

    /** Populates the partition's own tables. @throws BackendException if it cannot, or has no such capability */
    void prefetch(MemoryRange range) throws BackendException;

    /** Pins in the partition's own tables. @throws BackendException if it cannot, or has no such capability */
    void pin(MemoryRange range) throws BackendException;

    /** Unpins; cannot fail. */
    void unpin(MemoryRange range);

    /** What is mapped, as far as the backend knows it, in order of address. */
    List<PartitionMapping> mappings();

    /**
     * Makes a virtual processor in its reset state: real mode at the reset vector.
     *
     * @param index 0 to the most processors asked for, exclusive; each once
     * @throws BackendException if it exists, the host is not x86-64, or the platform refuses
     */
    Processor createProcessor(int index) throws BackendException;

    /**
     * Raises or lowers a line of the partition's interrupt controllers.
     *
     * @param line 0 to 23, the global system interrupt
     * @throws BackendException if it has no interrupt controllers or no such line
     */
    void setInterruptLine(int line, boolean raised) throws BackendException;

    boolean isClosed();

    /**
     * Ends it: processors are cancelled and their running calls return, memory is unmapped. Waits for those calls. Cannot fail;
     * closing twice does nothing.
     */
    @Override
    void close();
}
