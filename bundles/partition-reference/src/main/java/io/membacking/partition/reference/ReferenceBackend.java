package io.membacking.partition.reference;

import io.membacking.error.BackendException;
import io.membacking.error.Failure;
import io.membacking.partition.Availability;
import io.membacking.partition.Capabilities;
import io.membacking.partition.Partition;
import io.membacking.partition.PartitionBackend;
import io.membacking.partition.PartitionRequest;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * The reference backend: usable wherever Java runs. Thread-safe. Closing it closes its partitions; after that it is no longer
 * usable, and creating throws {@link IllegalStateException}.
 */
public final class ReferenceBackend implements PartitionBackend, AutoCloseable {
    static final String REFERENCE = "reference";

    /** APIC ids have eight bits, and the last is for all. */
    private static final int MOST_PROCESSORS = 255;

    private static final Capabilities CAPABILITIES = capabilities(CpuidTable.MOST_PHYSICAL_WIDTH);

    /** Guarded by itself, as is {@code closed}. */
    private final Set<ReferencePartition> partitions = new LinkedHashSet<>();

    private boolean closed;

    /** Of a partition, whose processors' model says how far they reach, and of the backend, whose partitions may have any. */
    static Capabilities capabilities(int physicalAddressWidth) {
        return new Capabilities(
                true, // read-only memory
                true, // partial unmap
                false, // atomic replace
                true, // follows host remapping: it reaches memory by the guest's own view
                false, // prefetch
                false, // pin
                true, // dirty log
                false, // remote process
                true, // exact RIP
                false, // interrupt controllers
                true, // trace
                true, // processors
                physicalAddressWidth,
                1 << 20,
                REFERENCE);
    }

    @Override
    public String name() {
        return REFERENCE;
    }

    @Override
    public Capabilities capabilities() {
        return CAPABILITIES;
    }

    @Override
    public Availability availability() {
        synchronized (partitions) {
            return closed ? Availability.unusable("the backend is closed", "start its bundle") : Availability.USABLE;
        }
    }

    @Override
    public Partition createPartition(PartitionRequest request) throws BackendException {
        String operation = "create partition '" + request.name() + "'";
        if (request.interruptControllers()) {
            throw new BackendException(Failure.of(
                    operation,
                    null,
                    "the reference backend has no interrupt controllers",
                    "ask for a partition without them, or use a backend with the capability "
                            + Capabilities.INTERRUPT_CONTROLLERS));
        }
        if (request.maxProcessors() > MOST_PROCESSORS) {
            throw new BackendException(Failure.of(
                    operation,
                    null,
                    request.maxProcessors() + " processors are more than " + MOST_PROCESSORS,
                    "ask for fewer"));
        }
        synchronized (partitions) {
            if (closed) {
                throw new IllegalStateException("the reference backend is closed");
            }
            ReferencePartition partition = new ReferencePartition(request, this::forget);
            partitions.add(partition);
            return partition;
        }
    }

    private void forget(ReferencePartition partition) {
        synchronized (partitions) {
            partitions.remove(partition);
        }
    }

    /** Ends every partition, waiting for its processors. Closing twice does nothing. */
    @Override
    public void close() {
        List<ReferencePartition> left;
        synchronized (partitions) {
            closed = true;
            left = List.copyOf(partitions);
        }
        left.forEach(ReferencePartition::close);
    }
}
