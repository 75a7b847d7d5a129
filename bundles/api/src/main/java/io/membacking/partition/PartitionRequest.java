package io.membacking.partition;

/**
 * A partition asked for.
 *
 * @param name for people and error messages
 * @param interruptControllers whether it is to have the PC's interrupt controllers and timer (PICs, I/O APIC, local APICs, PIT)
 *     of its own
 * @param maxProcessors at least 1
 */
public record PartitionRequest(String name, boolean interruptControllers, int maxProcessors) {
    public PartitionRequest {
        if (maxProcessors < 1) {
            throw new IllegalArgumentException(
                    "partition " + name + " asks for " + maxProcessors + " processors; 1 is the least");
        }
    }
}
