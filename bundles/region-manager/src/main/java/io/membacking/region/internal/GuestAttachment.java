package io.membacking.region.internal;

import io.membacking.mapping.HeldMemory;
import io.membacking.mapping.MappingManager;
import io.membacking.partition.Capabilities;
import io.membacking.partition.Partition;
import io.membacking.partition.PartitionMapping;
import io.membacking.partition.PartitionMapping.Remote;
import io.membacking.partition.PartitionMapping.Source;
import io.membacking.range.MemoryRange;
import io.membacking.region.AttachRequest;
import io.membacking.region.Attachment;
import io.membacking.region.ProcessorGate;
import io.membacking.region.internal.Consumers.AttachmentView;
import io.membacking.region.internal.Consumers.Pinning;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/** One attachment of a guest. Its state changes under the guest's change lock and may be read by anyone. */
final class GuestAttachment implements Attachment {
    private final GuestRegionManager manager;
    private final MappingManager mappings;
    private final Backings backings;
    private final AttachRequest request;
    private final Capabilities capabilities;
    private final String backend;
    private final AttachmentView view;
    private volatile boolean member;
    private volatile String detachedReason = "";
    private volatile Effect pin = Effect.NOT_ASKED;
    private volatile Effect prefetch = Effect.NOT_ASKED;

    GuestAttachment(GuestRegionManager manager, MappingManager mappings, Backings backings, AttachRequest request) {
        this.manager = manager;
        this.mappings = mappings;
        this.backings = backings;
        this.request = request;
        this.capabilities = request.partition().capabilities();
        this.backend = request.partition().backend();
        Pinning pinning = !request.pin() ? Pinning.NONE : capabilities.pin() ? Pinning.PARTITION : Pinning.HOST_MEMORY;
        this.view = new AttachmentView(
                request.name(),
                capabilities.followsHostRemapping() && request.remoteProcess().isEmpty(),
                capabilities.readOnlyMemory(),
                capabilities.prefetch(),
                pinning,
                request.aliasOffset(),
                request.remoteProcess().isPresent());
    }

    AttachmentView view() {
        return view;
    }

    String name() {
        return view.name();
    }

    AttachRequest request() {
        return request;
    }

    Partition partition() {
        return request.partition();
    }

    ProcessorGate gate() {
        return request.gate();
    }

    Capabilities capabilities() {
        return capabilities;
    }

    boolean attached() {
        return detachedReason.isEmpty();
    }

    /** Whether attaching it ever succeeded. */
    boolean isMember() {
        return member;
    }

    void becomeMember() {
        pinned();
        member = true;
    }

    /** The partition was closed by somebody; whatever it answers then is no error. */
    boolean vanished() {
        try {
            return partition().isClosed();
        } catch (RuntimeException | LinkageError e) {
            // It cannot even say so: the calls that follow will fail and tell.
            return false;
        }
    }

    void detached(String reason) {
        detachedReason = reason;
    }

    private void pinned() {
        pin = switch (view.pinning()) {
            case NONE -> Effect.NOT_ASKED;
            case HOST_MEMORY ->
                new Effect(
                        true,
                        Achieved.HOST_MEMORY,
                        "host memory is locked; the backend cannot pin in the partition's own tables");
            case PARTITION -> new Effect(true, Achieved.PARTITION, "");
        };
    }

    void prefetched(Effect effect) {
        prefetch = effect;
    }

    /** @param memory what lies there; null for partitions that follow what the host address holds */
    PartitionMapping mapping(
            MemoryRange range, long memoryGpa, boolean writable, boolean executable, @Nullable HeldMemory memory) {
        Optional<Source> source = memory == null ? Optional.empty() : source(memory);
        Optional<Remote> remote = request.remoteProcess().isEmpty() || memory == null
                ? Optional.empty()
                : Optional.of(new Remote(
                        request.remoteProcess().getAsLong(),
                        source.map(s -> OptionalInt.of(s.descriptor())).orElse(OptionalInt.empty()),
                        memory.backingOffset()));
        return new PartitionMapping(
                range, mappings.base() + memoryGpa, mappings.memory(), memoryGpa, writable, executable, remote, source);
    }

    /** Empty for private memory, and for a backing that was closed while it is mapped: nobody can map it anew. */
    private Optional<Source> source(HeldMemory memory) {
        try {
            OptionalInt descriptor = backings.find(memory.backing())
                    .map(backing -> backing.backing().descriptor())
                    .orElse(OptionalInt.empty());
            return descriptor.isEmpty()
                    ? Optional.empty()
                    : Optional.of(new Source(memory.backing(), descriptor.getAsInt(), memory.backingOffset()));
        } catch (IllegalStateException e) {
            return Optional.empty();
        }
    }

    @Override
    public Info info() {
        return new Info(view.name(), backend, request.vtl(), view.aliasOffset(), detachedReason, pin, prefetch);
    }

    @Override
    public List<PartitionMapping> mappings() {
        return attached() ? mappings(manager.state().runs(view.grain()).values()) : List.of();
    }

    /** What the partition should hold of these runs. */
    List<PartitionMapping> mappings(List<Run> runs) {
        List<PartitionMapping> result = new ArrayList<>();
        // In order of address: the alias lies above all else.
        List<Long> offsets = view.offsets();
        for (int i = offsets.size() - 1; i >= 0; i--) {
            for (Run run : runs) {
                result.add(mapping(
                        run.range().shift(offsets.get(i)),
                        run.range().start(),
                        run.writable(),
                        run.executable(),
                        run.memory()));
            }
        }
        return result;
    }

    @Override
    public void close() {
        manager.detach(this);
    }
}
