package io.membacking.itests.windows;

import io.membacking.error.MembackingException;
import io.membacking.host.Backing;
import io.membacking.memory.GuestMemoryManager;
import io.membacking.memory.GuestMemoryManagers;
import io.membacking.memory.MemoryLayout;
import io.membacking.memory.RamRange;
import io.membacking.range.MemoryRange;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Optional;

/** Makes guests' memories through the services of the container, and ends what was made when closed, the last first. For one thread. */
final class GuestMemories {
    static final long MIB = 1 << 20;
    /** A RAM region of its own, aligned so that any Windows can map it, those that map in units of 64 KiB too. */
    static final MemoryRange SEGMENT = new MemoryRange(MIB, 2 * MIB);
    /** Another. */
    static final MemoryRange OTHER_SEGMENT = new MemoryRange(4 * MIB, 5 * MIB);

    final GuestMemoryManagers managers = InContainer.container().await(GuestMemoryManagers.class);
    private final Deque<AutoCloseable> made = new ArrayDeque<>();

    /** The least that this host can map, bytes. */
    long page() {
        return managers.host().capabilities().mappingGranularity();
    }

    /** 16 MiB in five regions, shared. */
    GuestMemoryManager memory(String guest) throws MembackingException {
        List<RamRange> ram = List.of(
                RamRange.of(new MemoryRange(0, MIB)),
                RamRange.of(SEGMENT),
                RamRange.of(new MemoryRange(2 * MIB, 4 * MIB)),
                RamRange.of(OTHER_SEGMENT),
                RamRange.of(new MemoryRange(5 * MIB, 16 * MIB)));
        return keep(managers.builder(guest)
                .layout(MemoryLayout.of(ram, List.of(), Optional.empty()))
                .build());
    }

    /** Has it closed with this. */
    <T extends AutoCloseable> T keep(T made) {
        this.made.push(made);
        return made;
    }

    /** A new backing that holds the same 64-bit word all over. */
    static Backing filled(GuestMemoryManager memory, String name, long size, long value) throws Exception {
        Backing backing = memory.allocate(name, size);
        byte[] words = new byte[(int) size];
        for (int i = 0; i < words.length; i++) {
            words[i] = (byte) (value >>> (8 * (i % 8)));
        }
        backing.write(0, words, 0, words.length);
        return backing;
    }

    void close() throws Exception {
        while (!made.isEmpty()) {
            made.pop().close();
        }
    }
}
