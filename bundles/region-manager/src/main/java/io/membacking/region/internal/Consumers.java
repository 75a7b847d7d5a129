package io.membacking.region.internal;

import java.util.List;
import java.util.OptionalLong;

/**
 * Who sees a guest's memory, as far as planning needs to know: values, no references.
 *
 * @param replacesInPlace whether replacing what the VA space holds is atomic for whoever accesses it
 */
record Consumers(List<AttachmentView> attachments, List<TargetView> targets, boolean replacesInPlace) {
    Consumers {
        attachments = List.copyOf(attachments);
        targets = List.copyOf(targets);
    }

    /** What pinning means for an attachment. */
    enum Pinning {
        NONE,
        /** Host memory is locked, because the partition cannot pin. */
        HOST_MEMORY,
        /** The partition pins. */
        PARTITION
    }

    /**
     * An attached partition.
     *
     * @param followsHostRemapping see {@link io.membacking.partition.Capabilities}; what is mapped in another process never does
     * @param readOnlyMemory likewise
     * @param prefetch likewise
     * @param aliasOffset everything is mapped at this offset too
     * @param remote whether everything is mapped through another process, which needs descriptors
     */
    record AttachmentView(
            String name,
            boolean followsHostRemapping,
            boolean readOnlyMemory,
            boolean prefetch,
            Pinning pinning,
            OptionalLong aliasOffset,
            boolean remote) {
        Run.Grain grain() {
            return followsHostRemapping ? Run.Grain.ACCESS : Run.Grain.BACKING;
        }

        /** Where in the partition guest-physical address 0 is mapped; the alias comes first. */
        List<Long> offsets() {
            return aliasOffset.isPresent() ? List.of(aliasOffset.getAsLong(), 0L) : List.of(0L);
        }
    }

    record TargetView(String name, boolean requiresDescriptor) {}
}
