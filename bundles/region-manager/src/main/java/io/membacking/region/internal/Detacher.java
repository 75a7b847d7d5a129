package io.membacking.region.internal;

import io.membacking.partition.PartitionMapping;
import io.membacking.range.MemoryRange;
import io.membacking.region.Step;
import java.util.List;

/** Takes everything from a consumer. The failure of one piece does not spare the others: it becomes a warning. */
final class Detacher {
    private final HostLocks locks;
    private final List<String> warnings;

    /** @param warnings takes what went wrong */
    Detacher(HostLocks locks, List<String> warnings) {
        this.locks = locks;
        this.warnings = warnings;
    }

    interface Action {
        void run() throws Exception;
    }

    /** For what cannot fail by its contract: if it does, it is noted and the rest goes on. */
    void quietly(String operation, Action action) {
        try {
            action.run();
        } catch (VirtualMachineError e) {
            throw e;
        } catch (Throwable e) {
            warnings.add(operation + ": " + e);
        }
    }

    /** Asks the partition what it holds: after a failure that may be other than what it should. */
    void drop(GuestAttachment attachment) {
        String name = "attachment '" + attachment.name() + "'";
        if (!attachment.vanished()) {
            quietly("unmap everything from " + name, () -> {
                for (PartitionMapping mapping :
                        List.copyOf(attachment.partition().mappings())) {
                    MemoryRange range = mapping.range();
                    if (attachment.view().pinning() == Consumers.Pinning.PARTITION) {
                        quietly(
                                "unpin " + range + " from " + name,
                                () -> attachment.partition().unpin(range));
                    }
                    quietly(
                            "unmap " + range + " from " + name,
                            () -> attachment.partition().unmap(range));
                }
            });
        }
        quietly("unlock the memory of " + name, () -> locks.unlockAll(attachment.name()));
    }

    void drop(GuestTarget target) {
        for (Step.DmaMap map : target.given()) {
            MemoryRange range = map.memory().range();
            quietly("unmap " + range + " from DMA target '" + target.name() + "'", () -> target.target()
                    .unmap(range));
        }
    }
}
