package io.membacking.partition;

import io.membacking.error.BackendException;
import java.util.Optional;

/**
 * A virtual x86-64 processor. {@link #run()} and the state calls are for one thread at a time, a platform thread; {@link #cancel()}
 * is for any.
 */
public interface Processor extends AutoCloseable {
    int index();

    /**
     * Enters the guest until something happens that the caller must handle. An exit for input ({@link Exit.PortIo#input()},
     * {@link Exit.Mmio#input()}) is completed by filling its data before the next call of run or {@link #completeExit()}.
     *
     * @throws BackendException if the platform fails
     * @throws IllegalStateException after close; or on a thread that the guest must not hold, unless it is cancelled already and does
     *     not enter
     */
    Exit run() throws BackendException;

    /**
     * Finishes the instruction of the last exit without running another, so that the state can be taken. Does nothing if there
     * is nothing to finish.
     *
     * @return the next exit of the same instruction, if it needs one: it is to be handled, and this called again; empty once the
     *     state can be taken
     */
    Optional<Exit> completeExit() throws BackendException;

    /**
     * Makes the call of {@link #run()} under way, or else the next one, return {@link Exit.Cancelled}. Any number of calls before
     * that return count as one. Does nothing after close.
     */
    void cancel();

    /**
     * Its state, whole. Not while it runs.
     *
     * @throws IllegalStateException in the middle of an instruction that {@link #completeExit()} has not finished
     */
    ProcessorState state() throws BackendException;

    /**
     * Sets its state; parts that are empty stay as they are, and a platform state of another format is left alone. Not while it
     * runs.
     *
     * @throws BackendException if the platform refuses it; the state is as before then
     */
    void setState(ProcessorState state) throws BackendException;

    /** Ends it, cancelling a run under way and waiting for it. Cannot fail; closing twice does nothing. */
    @Override
    void close();
}
