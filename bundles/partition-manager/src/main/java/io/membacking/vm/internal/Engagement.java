package io.membacking.vm.internal;

import io.membacking.error.AttachException;
import io.membacking.error.BackendException;
import io.membacking.partition.Capabilities;
import io.membacking.partition.CpuModel;
import io.membacking.partition.Partition;
import io.membacking.partition.PartitionRequest;
import io.membacking.partition.Processor;
import io.membacking.region.Attachment;
import io.membacking.vm.VmRequest;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.BiConsumer;

/**
 * A virtual machine's use of one backend: partition, processors, attachment. Made whole or not at all, closed once. While a machine
 * moves there are two on one memory.
 */
final class Engagement implements AutoCloseable {
    /** Measured: once loads the classes, ten times have most of it compiled, and fifty gain little more. */
    private static final int REHEARSALS = 10;

    private final Backends.Installed backend;
    private final Partition partition;
    private final List<Processor> processors;
    private final Gate.Door door;
    private final Attachment attachment;
    /** Had in advance: processors that stand still need not wait for it. */
    private final CpuModel model;

    private Engagement(
            Backends.Installed backend,
            Partition partition,
            List<Processor> processors,
            Gate.Door door,
            Attachment attachment,
            CpuModel model) {
        this.backend = backend;
        this.partition = partition;
        this.processors = List.copyOf(processors);
        this.door = door;
        this.attachment = attachment;
        this.model = model;
    }

    /**
     * @param attachment its name, unique among those of the guest
     * @param model the processor that the guest knows already; empty for the backend's own
     * @param onDetached told the attachment's name and why, once it has lost its memory
     * @throws BackendException or {@link AttachException}, with nothing left behind
     */
    static Engagement open(
            Backends.Installed backend,
            VmRequest request,
            String attachment,
            Optional<CpuModel> model,
            Gate gate,
            BiConsumer<String, String> onDetached)
            throws BackendException, AttachException {
        Partition partition = createPartition(backend, request, model);
        List<Processor> processors = new ArrayList<>();
        Gate.Door door = gate.door(reason -> onDetached.accept(attachment, reason));
        try {
            createProcessors(partition, request, processors);
            CpuModel offered = partition.cpuModel();
            return new Engagement(
                    backend,
                    partition,
                    processors,
                    door,
                    request.memory().attach(attachment, partition, door, request.vtl(), OptionalLong.empty()),
                    offered);
        } catch (BackendException | AttachException | RuntimeException | Error e) {
            processors.forEach(Processor::close);
            partition.close();
            door.release();
            throw e;
        }
    }

    /**
     * Makes another, memory aside, takes and sets its state as is done while a guest stands still, and leaves nothing: to see whether
     * the backend would, and so that no guest waits for classes to be loaded and code to be compiled. Not on one that is to be used: its
     * processors would have to be fetched from this thread's host processor, which costs more than it gains.
     *
     * @throws BackendException why it would not
     */
    static void rehearse(Backends.Installed backend, VmRequest request, Optional<CpuModel> model)
            throws BackendException {
        List<Processor> processors = new ArrayList<>();
        Partition partition = createPartition(backend, request, model);
        try {
            createProcessors(partition, request, processors);
            for (int i = 0; i < REHEARSALS; i++) {
                GuestState.of(partition.cpuModel(), partition, processors, new BitSet())
                        .give(partition, processors);
            }
        } finally {
            processors.forEach(Processor::close);
            partition.close();
        }
    }

    private static Partition createPartition(Backends.Installed backend, VmRequest request, Optional<CpuModel> model)
            throws BackendException {
        return backend.backend()
                .createPartition(new PartitionRequest(
                        request.name(),
                        request.interruptControllers(),
                        request.timer(),
                        request.processors(),
                        model,
                        false));
    }

    private static void createProcessors(Partition partition, VmRequest request, List<Processor> processors)
            throws BackendException {
        for (int i = 0; i < request.processors(); i++) {
            processors.add(partition.createProcessor(i));
        }
    }

    Backends.Installed backend() {
        return backend;
    }

    Partition partition() {
        return partition;
    }

    Capabilities capabilities() {
        return partition.capabilities();
    }

    /** What the guest takes its processors for. */
    CpuModel model() {
        return model;
    }

    List<Processor> processors() {
        return processors;
    }

    Attachment attachment() {
        return attachment;
    }

    boolean attached() {
        return attachment.info().attached();
    }

    String attachmentName() {
        return attachment.info().name();
    }

    /** Processors first, so that none is inside while its memory goes. Waits for running calls, not for exit handlers. */
    @Override
    public void close() {
        processors.forEach(Processor::close);
        attachment.close();
        partition.close();
        door.release();
    }
}
