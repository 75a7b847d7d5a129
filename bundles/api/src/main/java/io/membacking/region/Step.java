package io.membacking.region;

import io.membacking.mapping.AccessPiece;
import io.membacking.mapping.HeldMemory;
import io.membacking.range.MemoryRange;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * One step of a {@link Plan}, as a value: names, ranges and numbers. Every step that does something outside has an inverse,
 * which puts back exactly what it changed.
 */
public sealed interface Step {
    /** What undoes this step, or empty where there is nothing to undo. */
    Optional<Step> inverse();

    /** Accesses to these pieces wait, and none that began earlier is still under way. */
    record DrainReaders(List<MemoryRange> pieces) implements Step {
        public DrainReaders {
            pieces = List.copyOf(pieces);
        }

        @Override
        public Optional<Step> inverse() {
            return Optional.empty();
        }
    }

    /** No processor of this attachment is inside the guest, nor enters it until the commit is over. */
    record HoldProcessors(String attachment) implements Step {
        @Override
        public Optional<Step> inverse() {
            return Optional.empty();
        }
    }

    /** @param memory what it sees there, as the VA space holds it */
    record DmaUnmap(String target, HeldMemory memory, boolean writable) implements Step {
        @Override
        public Optional<Step> inverse() {
            return Optional.of(new DmaMap(target, memory, writable));
        }
    }

    record DmaMap(String target, HeldMemory memory, boolean writable) implements Step {
        @Override
        public Optional<Step> inverse() {
            return Optional.of(new DmaUnmap(target, memory, writable));
        }
    }

    /**
     * @param range in the partition's address space: with an alias offset not where the memory lies in the VA space
     * @param memoryGpa where it lies there
     * @param memory what it is there, for partitions that are told; null for those that follow what the host address holds
     */
    record PartitionUnmap(
            String attachment,
            MemoryRange range,
            long memoryGpa,
            boolean writable,
            boolean executable,
            @Nullable HeldMemory memory)
            implements Step {
        public PartitionUnmap(
                String attachment, MemoryRange range, long memoryGpa, boolean writable, boolean executable) {
            this(attachment, range, memoryGpa, writable, executable, null);
        }

        @Override
        public Optional<Step> inverse() {
            return Optional.of(new PartitionMap(attachment, range, memoryGpa, writable, executable, memory));
        }
    }

    /** As {@link PartitionUnmap}. */
    record PartitionMap(
            String attachment,
            MemoryRange range,
            long memoryGpa,
            boolean writable,
            boolean executable,
            @Nullable HeldMemory memory)
            implements Step {
        public PartitionMap(
                String attachment, MemoryRange range, long memoryGpa, boolean writable, boolean executable) {
            this(attachment, range, memoryGpa, writable, executable, null);
        }

        @Override
        public Optional<Step> inverse() {
            return Optional.of(new PartitionUnmap(attachment, range, memoryGpa, writable, executable, memory));
        }
    }

    /** Unpins a range from an attachment before it goes. */
    record Unpin(String attachment, MemoryRange range, long memoryGpa) implements Step {
        @Override
        public Optional<Step> inverse() {
            return Optional.of(new Pin(attachment, range, memoryGpa));
        }
    }

    /** Pins a range for an attachment; failing fails the commit. */
    record Pin(String attachment, MemoryRange range, long memoryGpa) implements Step {
        @Override
        public Optional<Step> inverse() {
            return Optional.of(new Unpin(attachment, range, memoryGpa));
        }
    }

    /**
     * Makes a part of the VA space hold other memory.
     *
     * @param before what it held, covering exactly {@code range}, or null if nothing
     * @param after what it is to hold, covering exactly {@code range}, or null if nothing
     */
    record ChangeVa(
            MemoryRange range,
            @Nullable HeldMemory before,
            @Nullable HeldMemory after) implements Step {
        @Override
        public Optional<Step> inverse() {
            return Optional.of(new ChangeVa(range, after, before));
        }
    }

    /** Populates; failing is a warning. @param attachmentOrNull null for the host's own tables */
    record Prefetch(@Nullable String attachmentOrNull, MemoryRange range) implements Step {
        @Override
        public Optional<Step> inverse() {
            return Optional.empty();
        }
    }

    /** Readers see the new access. Never undone: what may fail comes before it. */
    record PublishSnapshot(List<AccessPiece> pieces) implements Step {
        public PublishSnapshot {
            pieces = List.copyOf(pieces);
        }

        @Override
        public Optional<Step> inverse() {
            return Optional.empty();
        }
    }

    /**
     * Empties a part of the VA space whose memory no region holds any more. It cannot fail and cannot be undone (private memory
     * is gone), so it comes when everything else has succeeded, and before readers are let in.
     */
    record ReleaseVa(HeldMemory memory) implements Step {
        @Override
        public Optional<Step> inverse() {
            return Optional.empty();
        }
    }
}
