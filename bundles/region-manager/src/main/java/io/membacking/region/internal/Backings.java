package io.membacking.region.internal;

import io.membacking.error.Failure;
import io.membacking.error.LayoutException;
import io.membacking.range.MemoryRange;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

/** The backings that mappings of one guest may name. Thread-safe. */
final class Backings {
    private final Map<Long, KnownBacking> known = new ConcurrentHashMap<>();

    /** @throws IllegalArgumentException if another backing has this id */
    void add(KnownBacking backing) {
        KnownBacking other = known.putIfAbsent(backing.id(), backing);
        if (other != null && other.backing() != backing.backing()) {
            throw new IllegalArgumentException(backing + " has the id of another: " + other);
        }
    }

    void remove(long id) {
        known.remove(id);
    }

    Optional<KnownBacking> find(long id) {
        return Optional.ofNullable(known.get(id));
    }

    KnownBacking require(String operation, MemoryRange range, long id) throws LayoutException {
        KnownBacking backing = known.get(id);
        if (backing == null) {
            throw new LayoutException(Failure.of(
                    operation,
                    range,
                    "backing " + id + " is not known to this guest",
                    "make it known with addBacking first"));
        }
        return backing;
    }

    /** What is held of a backing that was forgotten since is not private: forgetting needs that no mapping uses it. */
    boolean isPrivate(long id) {
        KnownBacking backing = known.get(id);
        return backing != null && backing.isPrivate();
    }

    String name(long id) {
        KnownBacking backing = known.get(id);
        return backing == null ? "backing " + id : backing.toString();
    }
}
