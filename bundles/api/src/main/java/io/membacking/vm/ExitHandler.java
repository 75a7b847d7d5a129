package io.membacking.vm;

import io.membacking.partition.Exit;
import org.osgi.annotation.versioning.ConsumerType;

/**
 * The monitor's part of a run: devices. Called on the processor's own thread, by several at once if there are several processors.
 * It may commit changes of the guest's memory. It is called for every exit but {@link Exit.Cancelled}.
 */
@ConsumerType
@FunctionalInterface
public interface ExitHandler {
    /**
     * Handles an exit, filling its data if it is for input.
     *
     * @return what to do next; for an exit the handler does not know, {@link Outcome#unhandled()}
     * @throws Exception ends the run with {@link RunResult.Kind#FAILED}
     */
    Outcome handle(int processor, Exit exit) throws Exception;
}
