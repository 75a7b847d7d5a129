package io.membacking.vm.internal;

import io.membacking.error.AttachException;
import io.membacking.error.BackendException;
import io.membacking.partition.Partition;
import io.membacking.partition.PartitionRequest;
import io.membacking.partition.Processor;
import io.membacking.region.Attachment;
import io.membacking.vm.VmRequest;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.Consumer;

/**
 * A virtual machine's use of one backend: partition, processors, attachment, gate. Made whole or not at all, closed once.
 */
final class Engagement implements AutoCloseable {
    private final Backends.Installed backend;
    private final Partition partition;
    private final List<Processor> processors;
    private final Attachment attachment;
    private final Gate gate;

    private Engagement(
            Backends.Installed backend,
            Partition partition,
            List<Processor> processors,
            Attachment attachment,
            Gate gate) {
        this.backend = backend;
        this.partition = partition;
        this.processors = List.copyOf(processors);
        this.attachment = attachment;
        this.gate = gate;
    }

    /** @throws BackendException or {@link AttachException}, with nothing left behind */
    static Engagement open(Backends.Installed backend, VmRequest request, Consumer<String> onDetached)
            throws BackendException, AttachException {
        Partition partition = backend.backend()
                .createPartition(new PartitionRequest(
                        request.name(),
                        request.interruptControllers(),
                        request.timer(),
                        request.processors(),
                        Optional.empty(),
                        false));
        List<Processor> processors = new ArrayList<>();
        try {
            for (int i = 0; i < request.processors(); i++) {
                processors.add(partition.createProcessor(i));
            }
            Gate gate = new Gate(request.name(), onDetached);
            gate.processors(processors);
            Attachment attachment =
                    request.memory().attach(request.name(), partition, gate, request.vtl(), OptionalLong.empty());
            return new Engagement(backend, partition, processors, attachment, gate);
        } catch (BackendException | AttachException | RuntimeException | Error e) {
            processors.forEach(Processor::close);
            partition.close();
            throw e;
        }
    }

    Backends.Installed backend() {
        return backend;
    }

    Partition partition() {
        return partition;
    }

    List<Processor> processors() {
        return processors;
    }

    Attachment attachment() {
        return attachment;
    }

    Gate gate() {
        return gate;
    }

    /** Processors first, so that none is inside while its memory goes. Waits for running calls, not for exit handlers. */
    @Override
    public void close() {
        processors.forEach(Processor::close);
        attachment.close();
        partition.close();
    }
}
