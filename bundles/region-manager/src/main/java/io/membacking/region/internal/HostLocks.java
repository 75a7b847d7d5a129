package io.membacking.region.internal;

import io.membacking.error.HostMappingException;
import io.membacking.mapping.MappingManager;
import io.membacking.range.MemoryRange;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Which attachments have locked which host memory. The host does not count locks: what one attachment unlocks would be unlocked
 * for all, so memory is unlocked when the last lets go. Not thread-safe: under the guest's change lock.
 */
final class HostLocks {
    private final MappingManager mappings;
    private final Map<String, List<MemoryRange>> locked = new HashMap<>();

    HostLocks(MappingManager mappings) {
        this.mappings = mappings;
    }

    /** Locks all of the range or nothing. */
    void lock(String attachment, MemoryRange range) throws HostMappingException {
        List<MemoryRange> done = new ArrayList<>();
        try {
            for (MemoryRange part : lockedByNobody(range)) {
                mappings.lock(part);
                done.add(part);
            }
        } catch (HostMappingException | RuntimeException | LinkageError e) {
            done.forEach(mappings::unlock);
            throw e;
        }
        List<MemoryRange> all = new ArrayList<>(of(attachment));
        all.add(range);
        locked.put(attachment, Pieces.union(all));
    }

    /** Unlocks what no other attachment has locked. */
    void unlock(String attachment, MemoryRange range) {
        List<MemoryRange> mine = of(attachment);
        List<MemoryRange> rest = Pieces.subtract(mine, List.of(range));
        List<MemoryRange> given = Pieces.subtract(mine, rest);
        if (rest.isEmpty()) {
            locked.remove(attachment);
        } else {
            locked.put(attachment, rest);
        }
        for (MemoryRange part : given) {
            lockedByNobody(part).forEach(mappings::unlock);
        }
    }

    void unlockAll(String attachment) {
        of(attachment).forEach(range -> unlock(attachment, range));
    }

    private List<MemoryRange> of(String attachment) {
        return locked.getOrDefault(attachment, List.of());
    }

    private List<MemoryRange> lockedByNobody(MemoryRange range) {
        List<MemoryRange> rest = List.of(range);
        for (List<MemoryRange> others : locked.values()) {
            rest = Pieces.subtract(rest, others);
        }
        return rest;
    }
}
