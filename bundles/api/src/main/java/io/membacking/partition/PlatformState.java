package io.membacking.partition;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * State that only backends of one kind understand: the registers of interrupt controllers, timers and clocks, and what a
 * hypervisor keeps for a processor beyond the architecture. Values alone, so that it outlives the bundle that it came from.
 * Immutable.
 *
 * @see Capabilities#stateFormat()
 */
public final class PlatformState {
    private final String format;
    private final SortedMap<String, byte[]> parts;

    /**
     * @param format who understands it, as in {@link Capabilities#stateFormat()}
     * @param parts contents by name, in the format's own terms; copied
     */
    public PlatformState(String format, SortedMap<String, byte[]> parts) {
        this.format = format;
        SortedMap<String, byte[]> copy = new TreeMap<>();
        parts.forEach((name, bytes) -> copy.put(name, bytes.clone()));
        this.parts = Collections.unmodifiableSortedMap(copy);
    }

    public String format() {
        return format;
    }

    public List<String> names() {
        return new ArrayList<>(parts.keySet());
    }

    public boolean has(String name) {
        return parts.containsKey(name);
    }

    /** A copy of a part. @throws IllegalArgumentException if there is none of that name */
    public byte[] part(String name) {
        byte[] bytes = parts.get(name);
        if (bytes == null) {
            throw new IllegalArgumentException(format + " state has no part '" + name + "', only " + parts.keySet());
        }
        return bytes.clone();
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof PlatformState that
                && format.equals(that.format)
                && parts.keySet().equals(that.parts.keySet())
                && parts.entrySet().stream().allMatch(e -> Arrays.equals(e.getValue(), that.parts.get(e.getKey())));
    }

    @Override
    public int hashCode() {
        return 31 * format.hashCode() + parts.keySet().hashCode();
    }

    @Override
    public String toString() {
        return format + " state " + parts.keySet();
    }
}
