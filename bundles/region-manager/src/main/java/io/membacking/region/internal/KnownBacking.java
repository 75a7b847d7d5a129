package io.membacking.region.internal;

import io.membacking.host.Backing;
import io.membacking.host.BackingKind;

/**
 * A backing with what decides about it, read once: deciding calls nobody.
 *
 * @param size bytes
 * @param pageSize bytes
 */
record KnownBacking(Backing backing, long id, String name, BackingKind kind, long size, long pageSize) {
    static KnownBacking of(Backing backing) {
        return new KnownBacking(
                backing, backing.id(), backing.name(), backing.kind(), backing.size(), backing.pageSize());
    }

    boolean isPrivate() {
        return kind == BackingKind.PRIVATE;
    }

    @Override
    public String toString() {
        return "backing '" + name + "' (" + id + ")";
    }
}
