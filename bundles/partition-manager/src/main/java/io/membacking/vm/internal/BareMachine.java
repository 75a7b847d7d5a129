package io.membacking.vm.internal;

import io.membacking.error.BackendException;
import io.membacking.partition.CpuModel;
import io.membacking.partition.Partition;
import io.membacking.partition.PartitionRequest;
import io.membacking.partition.Processor;
import io.membacking.vm.VmRequest;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A partition and its processors, without memory. Made whole or not at all, closed once.
 *
 * @param model what a guest takes its processors for; had in advance, since a guest that stands still need not wait for it
 */
record BareMachine(Partition partition, List<Processor> processors, CpuModel model) implements AutoCloseable {
    /**
     * @param model the processor that the guest knows already; empty for the backend's own
     * @throws BackendException with nothing left behind
     */
    static BareMachine open(Backends.Installed backend, VmRequest request, Optional<CpuModel> model)
            throws BackendException {
        Partition partition = backend.backend()
                .createPartition(new PartitionRequest(
                        request.name(),
                        request.interruptControllers(),
                        request.timer(),
                        request.processors(),
                        model,
                        false));
        List<Processor> processors = new ArrayList<>();
        try {
            for (int i = 0; i < request.processors(); i++) {
                processors.add(partition.createProcessor(i));
            }
            return new BareMachine(partition, List.copyOf(processors), partition.cpuModel());
        } catch (BackendException | RuntimeException | Error e) {
            processors.forEach(Processor::close);
            partition.close();
            throw e;
        }
    }

    /** Of processors that do not run; cancels those that do, and waits for them. */
    void closeProcessors() {
        processors.forEach(Processor::close);
    }

    @Override
    public void close() {
        closeProcessors();
        partition.close();
    }
}
