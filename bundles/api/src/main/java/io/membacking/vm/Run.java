package io.membacking.vm;

import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletionStage;

/** One run of a virtual machine, from its start to its one result. Thread-safe. */
public interface Run {
    /** The result, once there is one. */
    Optional<RunResult> result();

    /**
     * Waits for the result.
     *
     * @return empty if there was none in time; the run goes on
     */
    Optional<RunResult> await(Duration deadline) throws InterruptedException;

    /** Completes with the result; dependents run on the thread that ended the run, so they must be short. */
    CompletionStage<RunResult> completion();

    /**
     * Asks the run to end with {@link RunResult.Kind#STOPPED}. Returns at once; an earlier end stands. May be called from an exit
     * handler.
     */
    void stop(int code, String reason);
}
