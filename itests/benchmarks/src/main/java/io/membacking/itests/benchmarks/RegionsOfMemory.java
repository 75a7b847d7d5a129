package io.membacking.itests.benchmarks;

import io.membacking.access.GuestMemory;
import io.membacking.access.GuestMemoryAccessor;
import io.membacking.error.MembackingException;
import io.membacking.host.Backing;
import io.membacking.host.BackingRequest;
import io.membacking.host.linux.LinuxHostMemory;
import io.membacking.mapping.AccessPiece;
import io.membacking.mapping.MappingManager;
import io.membacking.mapping.internal.GuestMappingManagers;
import io.membacking.range.MemoryRange;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * Guest memory at equal distances in a VA space, on memfds that are mapped shared, all of it readable and writable. Pages that
 * nobody touches cost nothing.
 */
final class RegionsOfMemory implements AutoCloseable {
    /** A backing larger than the host's memory is refused. */
    private static final int REGIONS_PER_BACKING = 32;

    private final LinuxHostMemory host = new LinuxHostMemory();
    private final GuestMappingManagers managers = new GuestMappingManagers(host);
    private final MappingManager mappings;

    /**
     * @param space bytes of the VA space
     * @param count how many, a divisor of the space
     * @param length bytes of each
     */
    RegionsOfMemory(long space, int count, long length) throws MembackingException {
        mappings = managers.create("benchmark", space);
        List<Backing> backings = new ArrayList<>();
        for (int i = 0; i < count; i += REGIONS_PER_BACKING) {
            backings.add(host.allocate(
                    BackingRequest.shared("benchmark" + i, Math.min(count - i, REGIONS_PER_BACKING) * length)));
        }
        List<AccessPiece> pieces = new ArrayList<>();
        MappingManager.Transition transition = mappings.begin(List.of(), Duration.ofSeconds(1));
        for (int i = 0; i < count; i++) {
            long start = i * (space / count);
            MemoryRange range = new MemoryRange(start, start + length);
            mappings.map(range, backings.get(i / REGIONS_PER_BACKING), i % REGIONS_PER_BACKING * length);
            pieces.add(new AccessPiece(range, AccessPiece.Access.READ_WRITE));
        }
        transition.publish(pieces);
        useBothWays();
    }

    GuestMemory memory() {
        return mappings.memory();
    }

    /** For the calling thread. */
    GuestMemoryAccessor accessor() {
        return mappings.memory().accessor();
    }

    /**
     * Both kinds of access in one JVM, as in a monitor: compiled for one kind alone, the code is faster than it would be there.
     */
    private void useBothWays() {
        try (GuestMemoryAccessor accessor = accessor()) {
            byte[] bytes = new byte[4096];
            for (int i = 0; i < 20_000; i++) {
                for (GuestMemory memory : List.of(memory(), accessor)) {
                    memory.writeLong(0, memory.readLong(0));
                    if (i % 10 == 0) {
                        memory.write(0, bytes, 0, bytes.length);
                        memory.read(0, bytes, 0, bytes.length);
                    }
                }
            }
        }
    }

    @Override
    public void close() {
        managers.close();
        host.close();
    }
}
