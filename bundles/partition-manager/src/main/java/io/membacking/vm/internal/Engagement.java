package io.membacking.vm.internal;

import io.membacking.error.AttachException;
import io.membacking.error.BackendException;
import io.membacking.partition.Capabilities;
import io.membacking.partition.CpuModel;
import io.membacking.partition.Partition;
import io.membacking.partition.Processor;
import io.membacking.region.Attachment;
import io.membacking.vm.VmRequest;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.BiConsumer;

/**
 * A virtual machine's use of one backend: partition, processors, attachment. Made whole or not at all, closed once. While a machine
 * moves there are two on one memory.
 */
final class Engagement implements AutoCloseable {
    private final Backends.Installed backend;
    private final BareMachine machine;
    private final Gate.Door door;
    private final Attachment attachment;

    private Engagement(Backends.Installed backend, BareMachine machine, Gate.Door door, Attachment attachment) {
        this.backend = backend;
        this.machine = machine;
        this.door = door;
        this.attachment = attachment;
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
        BareMachine machine = BareMachine.open(backend, request, model);
        Gate.Door door = gate.door(reason -> onDetached.accept(attachment, reason));
        try {
            return new Engagement(
                    backend,
                    machine,
                    door,
                    request.memory()
                            .attach(attachment, machine.partition(), door, request.vtl(), OptionalLong.empty()));
        } catch (AttachException | RuntimeException | Error e) {
            machine.close();
            door.release();
            throw e;
        }
    }

    Backends.Installed backend() {
        return backend;
    }

    BareMachine machine() {
        return machine;
    }

    Partition partition() {
        return machine.partition();
    }

    Capabilities capabilities() {
        return partition().capabilities();
    }

    /** What the guest takes its processors for. */
    CpuModel model() {
        return machine.model();
    }

    List<Processor> processors() {
        return machine.processors();
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
        machine.closeProcessors();
        attachment.close();
        machine.close();
        door.release();
    }
}
