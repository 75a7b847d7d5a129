package io.membacking.region;

import io.membacking.partition.Partition;
import java.util.OptionalLong;

/**
 * A partition to be attached.
 *
 * @param name unique among the attachments of the guest
 * @param gate keeps its processors out while a change needs it
 * @param vtl 0 to 2
 * @param aliasOffset maps everything a second time at this offset, in bytes
 * @param pin whether every mapping is to be pinned; failing fails the attaching or the commit
 * @param remoteProcess a process of the host to map in, where the platform has such a thing
 */
public record AttachRequest(
        String name,
        Partition partition,
        ProcessorGate gate,
        int vtl,
        OptionalLong aliasOffset,
        boolean pin,
        OptionalLong remoteProcess) {
    public AttachRequest {
        if (vtl < 0 || vtl > 2) {
            throw new IllegalArgumentException("VTL " + vtl + " of attachment " + name + " is not within 0 to 2");
        }
    }

    /** VTL 0, no alias, not pinned, this process. */
    public static AttachRequest of(String name, Partition partition, ProcessorGate gate) {
        return new AttachRequest(name, partition, gate, 0, OptionalLong.empty(), false, OptionalLong.empty());
    }
}
