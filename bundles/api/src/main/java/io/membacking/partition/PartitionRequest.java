package io.membacking.partition;

import java.util.Optional;

/**
 * A partition asked for.
 *
 * @param name for people and error messages
 * @param interruptControllers whether it is to have the PC's interrupt controllers (PICs, I/O APIC, local APICs) of its own
 * @param timer whether it is to have the PC's timer (PIT) of its own too; only with interrupt controllers
 * @param maxProcessors at least 1
 * @param model what its processors are to look like; empty for all that the backend has
 * @param dirtyLog whether it is to note which pages the guest writes
 */
public record PartitionRequest(
        String name,
        boolean interruptControllers,
        boolean timer,
        int maxProcessors,
        Optional<CpuModel> model,
        boolean dirtyLog) {
    public PartitionRequest {
        if (maxProcessors < 1) {
            throw new IllegalArgumentException(
                    "partition " + name + " asks for " + maxProcessors + " processors; 1 is the least");
        }
        if (timer && !interruptControllers) {
            throw new IllegalArgumentException(
                    "partition " + name + " asks for a timer without the interrupt controllers it is wired to");
        }
    }

    /** With the backend's own model and no dirty log; the timer comes with the controllers. */
    public PartitionRequest(String name, boolean interruptControllers, int maxProcessors) {
        this(name, interruptControllers, interruptControllers, maxProcessors, Optional.empty(), false);
    }
}
