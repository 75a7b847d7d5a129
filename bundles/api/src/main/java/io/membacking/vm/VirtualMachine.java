package io.membacking.vm;

import io.membacking.error.BackendException;
import io.membacking.memory.GuestMemoryManager;
import io.membacking.partition.ProcessorState;
import java.time.Duration;
import java.util.Optional;

/**
 * A guest's processors on whatever backend there is. Thread-safe. Also a service, with {@code guest.name} and {@code vm.name}.
 *
 * <p>When its backend departs while it runs, the run ends with {@link RunResult.Kind#BACKEND_DEPARTED} and the machine waits; the
 * memory and its contents stay. When a backend comes it is attached anew, with processors in their reset state.
 */
public interface VirtualMachine extends AutoCloseable {
    String name();

    GuestMemoryManager memory();

    int processors();

    VmState state();

    /** One line for people: what it runs on, or why it waits. */
    String status();

    /** The name of the backend that it is attached to. */
    Optional<String> backend();

    /** How the last run ended. */
    Optional<RunResult> lastResult();

    /**
     * Waits until it is attached or running, trying the backends there are once more first.
     *
     * @return whether it is
     */
    boolean awaitReady(Duration deadline) throws InterruptedException;

    /** A processor's registers. @throws IllegalStateException unless {@link VmState#READY} */
    ProcessorState processorState(int processor) throws BackendException;

    /** Sets a processor's registers. @throws IllegalStateException unless {@link VmState#READY} */
    void setProcessorState(int processor, ProcessorState state) throws BackendException;

    /**
     * Runs the processors, each on a thread of its own, from the state they have.
     *
     * @throws IllegalStateException unless {@link VmState#READY}; the message says why
     */
    Run start(ExitHandler handler);

    /** As {@link #start(ExitHandler)}, with only the first {@code processors} of them. */
    Run start(ExitHandler handler, int processors);

    /**
     * Puts the processors and interrupt controllers back into their reset state, attaching anew, to the best backend there is.
     *
     * @throws BackendException if no backend would have it; it waits then
     * @throws IllegalStateException while it runs or after close
     */
    void reset() throws BackendException;

    /** Raises or lowers a line of the partition's interrupt controllers; ignored while waiting. @throws BackendException if it has none or no such line */
    void setInterruptLine(int line, boolean raised) throws BackendException;

    /** Ends the run, detaches and closes the partition; the memory stays. Cannot fail; closing twice does nothing. */
    @Override
    void close();
}
