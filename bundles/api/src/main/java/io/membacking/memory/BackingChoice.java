package io.membacking.memory;

import io.membacking.host.Backing;
import io.membacking.host.BackingKind;
import java.util.Optional;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * What some RAM is to be made of. Choices that exclude each other are refused when the guest is built, with a named error.
 *
 * @param kind shared by default
 * @param hugePageSize bytes of a page of {@link BackingKind#HUGETLB}; 0 otherwise
 * @param transparentHugePages whether to ask for them
 * @param prefetch whether to populate at build
 * @param hostNode the host's NUMA node to take it from
 * @param existingOrNull a backing to adopt: nothing is allocated and its contents stay. The manager closes its own handle only
 */
public record BackingChoice(
        BackingKind kind,
        long hugePageSize,
        boolean transparentHugePages,
        boolean prefetch,
        OptionalInt hostNode,
        @Nullable Backing existingOrNull) {
    /** Fresh shared memory, nothing else. */
    public static final BackingChoice SHARED =
            new BackingChoice(BackingKind.SHARED, 0, false, false, OptionalInt.empty(), null);

    public static BackingChoice privateMemory() {
        return new BackingChoice(BackingKind.PRIVATE, 0, false, false, OptionalInt.empty(), null);
    }

    public static BackingChoice hugetlb(long pageSize) {
        return new BackingChoice(BackingKind.HUGETLB, pageSize, false, false, OptionalInt.empty(), null);
    }

    public static BackingChoice existing(Backing backing) {
        return new BackingChoice(backing.kind(), 0, false, false, OptionalInt.empty(), backing);
    }

    public BackingChoice withPrefetch() {
        return new BackingChoice(kind, hugePageSize, transparentHugePages, true, hostNode, existingOrNull);
    }

    public BackingChoice withTransparentHugePages() {
        return new BackingChoice(kind, hugePageSize, true, prefetch, hostNode, existingOrNull);
    }

    public BackingChoice onHostNode(int node) {
        return new BackingChoice(
                kind, hugePageSize, transparentHugePages, prefetch, OptionalInt.of(node), existingOrNull);
    }

    public Optional<Backing> existing() {
        return Optional.ofNullable(existingOrNull);
    }
}
