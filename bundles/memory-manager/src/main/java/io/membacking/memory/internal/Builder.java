package io.membacking.memory.internal;

import io.membacking.error.MembackingException;
import io.membacking.memory.BackingChoice;
import io.membacking.memory.GuestMemoryBuilder;
import io.membacking.memory.GuestMemoryManager;
import io.membacking.memory.MemoryLayout;
import io.membacking.range.MemoryRange;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.OptionalLong;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Collects; what it means is decided by {@link BuildPlanner}. */
final class Builder implements GuestMemoryBuilder {
    private final String guest;
    private final GuestMemories memories;
    private final List<BuildRequest.Own> own = new ArrayList<>();
    private @Nullable MemoryLayout layout;
    private BackingChoice choice = BackingChoice.SHARED;
    private OptionalLong aliasMapOffset = OptionalLong.empty();
    private boolean pinning;
    private boolean x86LegacySupport;

    Builder(String guest, GuestMemories memories) {
        this.guest = guest;
        this.memories = memories;
    }

    @Override
    public GuestMemoryBuilder layout(MemoryLayout layout) {
        this.layout = Objects.requireNonNull(layout, "layout");
        return this;
    }

    @Override
    public GuestMemoryBuilder backing(BackingChoice choice) {
        this.choice = Objects.requireNonNull(choice, "choice");
        return this;
    }

    @Override
    public GuestMemoryBuilder backing(Set<MemoryRange> ranges, BackingChoice choice) {
        if (ranges.isEmpty()) {
            throw new IllegalArgumentException("a backing of guest '" + guest + "' is chosen for no RAM at all");
        }
        own.add(new BuildRequest.Own(ranges, Objects.requireNonNull(choice, "choice")));
        return this;
    }

    @Override
    public GuestMemoryBuilder aliasMapOffset(long offset) {
        aliasMapOffset = OptionalLong.of(offset);
        return this;
    }

    @Override
    public GuestMemoryBuilder pinning(boolean pin) {
        pinning = pin;
        return this;
    }

    @Override
    public GuestMemoryBuilder x86LegacySupport(boolean split) {
        x86LegacySupport = split;
        return this;
    }

    @Override
    public GuestMemoryManager build() throws MembackingException {
        if (layout == null) {
            throw new IllegalStateException("the memory of guest '" + guest + "' has no layout; give it one");
        }
        return memories.build(new BuildRequest(guest, layout, choice, own, aliasMapOffset, pinning, x86LegacySupport));
    }
}
