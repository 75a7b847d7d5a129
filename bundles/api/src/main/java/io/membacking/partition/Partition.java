package io.membacking.partition;

import io.membacking.error.BackendException;
import io.membacking.error.Failure;
import io.membacking.range.MemoryRange;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.List;
import java.util.TreeMap;

/**
 * One virtual machine of a hypervisor. Memory calls are serialised by the caller; everything else is thread-safe. After close
 * {@link #isClosed()} is true, unmapping does nothing and every other call throws {@link IllegalStateException} that says closed.
 */
public interface Partition extends AutoCloseable {
    String name();

    /** The name of its backend. */
    String backend();

    /** Its backend's, with no more bits of physical addresses than its processors have. */
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

    /**
     * Gives a line an edge: raises it and lowers it again.
     *
     * @return whether the interrupt controllers took it; false if the edge before it still waits for a processor, since edges do
     *     not add up. A backend that cannot tell says true
     * @throws BackendException as {@link #setInterruptLine}
     */
    default boolean pulseInterruptLine(int line) throws BackendException {
        setInterruptLine(line, true);
        setInterruptLine(line, false);
        return true;
    }

    /** What its processors look like to the guest; another partition made with it looks the same. */
    default CpuModel cpuModel() {
        return new CpuModel(List.of());
    }

    /**
     * The state of what belongs to no processor: interrupt controllers, timers, clock. While none of its processors runs.
     *
     * @throws BackendException if the platform does not give it
     */
    default PlatformState platformState() throws BackendException {
        return new PlatformState(capabilities().stateFormat(), new TreeMap<>());
    }

    /**
     * Sets what {@link #platformState()} of a partition with the same devices gave, after the state of its processors. While none of
     * them runs. The clock goes on as if it had never stood still.
     *
     * @throws BackendException if the format is another or the platform refuses; the partition is of no use then
     */
    default void setPlatformState(PlatformState state) throws BackendException {
        if (!state.format().equals(capabilities().stateFormat())) {
            throw new BackendException(Failure.of(
                    "set the state of partition '" + name() + "'",
                    null,
                    backend() + " does not understand " + state,
                    "set the portable state of its processors alone"));
        }
    }

    /**
     * The pages of a range that the guest wrote since the last call, as indices from its first page; takes them back.
     *
     * @throws BackendException if it was not asked for when the partition was made, or nothing is mapped there
     */
    default BitSet takeDirty(MemoryRange range) throws BackendException {
        throw new BackendException(Failure.of(
                "take the dirty pages of partition '" + name() + "'",
                range,
                "backend " + backend() + " has no dirty log",
                "use a backend with the capability " + Capabilities.DIRTY_LOG));
    }

    /**
     * Writes each instruction and memory access of its processors to a file as text, until {@link #stopTrace()} or close.
     *
     * @throws BackendException if the file cannot be written or the backend has no such {@link Capabilities#trace() capability}
     */
    default void startTrace(Path file) throws BackendException {
        throw new BackendException(Failure.of(
                "trace partition '" + name() + "'",
                null,
                "backend " + backend() + " cannot trace",
                "move the guest to a backend with the capability " + Capabilities.TRACE));
    }

    /** Ends the trace, with the file complete; cannot fail, and does nothing without one. */
    default void stopTrace() {}

    boolean isClosed();

    /**
     * Ends it: processors are cancelled and their running calls return, memory is unmapped. Waits for those calls. Cannot fail;
     * closing twice does nothing.
     */
    @Override
    void close();
}
