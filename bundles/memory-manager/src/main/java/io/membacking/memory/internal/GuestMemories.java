package io.membacking.memory.internal;

import io.membacking.error.MembackingException;
import io.membacking.host.HostMemory;
import io.membacking.memory.GuestMemoryBuilder;
import io.membacking.memory.GuestMemoryManager;
import io.membacking.memory.GuestMemoryManagers;
import io.membacking.region.RegionManagers;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;

/** The memory managers of one host, without a framework. Closing it closes those still open, the latest first. Thread-safe. */
public final class GuestMemories implements GuestMemoryManagers, AutoCloseable {
    private final HostMemory host;
    private final RegionManagers regions;
    private final Function<AssembledMemory, Runnable> announce;

    /** Names of guests that are being built, are there, or are closing. Guarded by this. */
    private final Set<String> taken = new HashSet<>();

    /** In the order in which they were built. Guarded by this. */
    private final Map<String, AssembledMemory> open = new LinkedHashMap<>();

    private boolean closed;

    public GuestMemories(HostMemory host, RegionManagers regions) {
        this(host, regions, memory -> () -> {});
    }

    /** @param announce called with each new manager; what it returns is run when that one begins to close */
    GuestMemories(HostMemory host, RegionManagers regions, Function<AssembledMemory, Runnable> announce) {
        this.host = host;
        this.regions = regions;
        this.announce = announce;
    }

    @Override
    public GuestMemoryBuilder builder(String guest) {
        if (guest.isEmpty() || guest.indexOf('/') >= 0) {
            throw new IllegalArgumentException("'" + guest + "' cannot name a guest: it is empty or has a '/'");
        }
        return new Builder(guest, this);
    }

    GuestMemoryManager build(BuildRequest request) throws MembackingException {
        reserve(request.guest());
        AssembledMemory memory;
        try {
            memory = Assembly.assemble(BuildPlanner.plan(request, host.capabilities()), host, regions, this::forget);
        } catch (MembackingException | RuntimeException | Error e) {
            release(request.guest());
            throw e;
        }
        try {
            memory.announced(announce.apply(memory));
            keep(memory);
        } catch (RuntimeException | Error e) {
            memory.close();
            throw e;
        }
        return memory;
    }

    private synchronized void reserve(String guest) {
        requireOpen();
        if (!taken.add(guest)) {
            throw new IllegalStateException(
                    "there is a guest named '" + guest + "' already; close it or choose another name");
        }
    }

    private synchronized void release(String guest) {
        taken.remove(guest);
    }

    private synchronized void keep(AssembledMemory memory) {
        requireOpen();
        if (memory.isOpen()) {
            open.put(memory.name(), memory);
        }
    }

    private synchronized void forget(AssembledMemory memory) {
        open.remove(memory.name(), memory);
        taken.remove(memory.name());
    }

    @Override
    public synchronized List<GuestMemoryManager> managers() {
        requireOpen();
        return List.copyOf(open.values());
    }

    @Override
    public synchronized Optional<GuestMemoryManager> manager(String guest) {
        requireOpen();
        return Optional.ofNullable(open.get(guest));
    }

    @Override
    public HostMemory host() {
        return host;
    }

    /** Closes every manager; cannot fail. Closing twice does nothing. */
    @Override
    public void close() {
        List<AssembledMemory> left;
        synchronized (this) {
            closed = true;
            left = new ArrayList<>(open.values());
        }
        for (int i = left.size() - 1; i >= 0; i--) {
            left.get(i).close();
        }
    }

    private void requireOpen() {
        if (closed) {
            throw new IllegalStateException("the guest memory managers are closed");
        }
    }
}
