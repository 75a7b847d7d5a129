package io.membacking.partition;

import io.membacking.error.BackendException;

/**
 * A hypervisor, as a service; how many there are may change at any time. Thread-safe. When its bundle stops, its partitions are
 * closed.
 *
 * <p>Service properties: {@link #NAME} and, for filters, each capability under its constant in {@link Capabilities}.
 */
public interface PartitionBackend {
    /** Service property: the backend's name, {@code "kvm"} say. */
    String NAME = "membacking.backend";

    String name();

    Capabilities capabilities();

    /** Whether it can be used here, asked afresh. */
    Availability availability();

    /**
     * Makes a partition without memory and processors.
     *
     * @throws BackendException if the platform is missing, refuses permission or cannot do what is asked; the message has the
     *     remedy
     */
    Partition createPartition(PartitionRequest request) throws BackendException;
}
