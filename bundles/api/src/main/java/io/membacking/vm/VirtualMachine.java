package io.membacking.vm;

import io.membacking.error.BackendException;
import io.membacking.memory.GuestMemoryManager;
import io.membacking.partition.ProcessorState;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletionStage;

/**
 * A guest's processors on whatever backend there is. Thread-safe. Also a service, with {@code guest.name} and {@code vm.name}.
 *
 * <p>When its backend departs, running or not, it moves to the best other that will have it, or is {@link VmState#PARKED parked}
 * until one comes; then it goes on where it was. Its run ends with {@link RunResult.Kind#BACKEND_DEPARTED} only if its state could
 * not be had in time; the memory and its contents stay then too.
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

    /**
     * Tells what {@link #move} would do.
     *
     * @param backendFilter as there
     * @throws IllegalStateException from an exit handler of this machine, which a move under way may be waiting for
     */
    MoveForecast forecast(String backendFilter);

    /**
     * Moves to the best backend that a filter admits, other than the one it is on; a parked machine goes on there. Returns at once:
     * moves of one machine follow one another. Every exit handler must return within a second of the other partition's being ready,
     * one that asked for the move among them, or the machine stays where it is: an exit handler does not wait for the result.
     *
     * @param backendFilter an LDAP filter over the backends' service properties; the empty string admits all
     * @return completes with how it ended, never exceptionally; dependents must be short
     * @throws IllegalArgumentException if the filter cannot be parsed
     * @throws IllegalStateException after close
     */
    CompletionStage<MoveResult> move(String backendFilter);

    /**
     * Lets go of the backend with the state kept, until {@link #move} is called.
     *
     * @return as {@link #move}
     */
    CompletionStage<MoveResult> park(String reason);

    /** How the last move ended, parking and going on among them. */
    Optional<MoveResult> lastMove();

    /** Moves that ended in another backend. */
    long moves();

    MovePolicy policy();

    /** Takes effect at the next occasion to move. */
    void setPolicy(MovePolicy policy);

    /**
     * Writes each instruction and memory access of its processors to a file as text, until {@link #stopTrace()} or the next move.
     *
     * @throws BackendException if the file cannot be written, or its backend has no such capability: move it to one that has
     * @throws IllegalStateException if it has no backend
     */
    void startTrace(Path file) throws BackendException;

    /** Ends the trace; cannot fail. */
    void stopTrace();

    /** Raises or lowers a line of the partition's interrupt controllers; remembered while parked, ignored while waiting. @throws BackendException if it has none or no such line */
    void setInterruptLine(int line, boolean raised) throws BackendException;

    /**
     * Gives a line an edge: raises it and lowers it again.
     *
     * @return whether the interrupt controllers took it. If not, the edge before it still waits for a processor, or the machine is
     *     parked, being moved or waiting: edges do not add up, so give it again later
     * @throws BackendException if the partition has no interrupt controllers or no such line
     */
    boolean pulseInterruptLine(int line) throws BackendException;

    /** Ends the run, detaches and closes the partition; the memory stays. Cannot fail; closing twice does nothing. */
    @Override
    void close();
}
