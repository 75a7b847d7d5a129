package io.membacking.mapping.internal;

import io.membacking.error.HostMappingException;
import io.membacking.host.AddressReservation;
import io.membacking.host.HostMemory;
import io.membacking.mapping.MappingManager;
import io.membacking.mapping.MappingManagers;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/** The mapping managers of one host, without a framework. Closing it closes those still open. Thread-safe. */
public final class GuestMappingManagers implements MappingManagers, AutoCloseable {
    private static final long SMALL_HUGE_PAGE = 2L << 20;
    private static final long LARGE_HUGE_PAGE = 1L << 30;

    private final HostMemory host;
    private final Function<MappingManager, Runnable> announce;

    /** Open managers and how each is retracted. Guarded by this. */
    private final Map<MappingManager, Runnable> open = new LinkedHashMap<>();

    private boolean closed;

    public GuestMappingManagers(HostMemory host) {
        this(host, manager -> () -> {});
    }

    /** @param announce called with each new manager; what it returns is run when that one begins to close */
    GuestMappingManagers(HostMemory host, Function<MappingManager, Runnable> announce) {
        this.host = host;
        this.announce = announce;
    }

    @Override
    public MappingManager create(String guest, long size) throws HostMappingException {
        long page = host.capabilities().pageSize();
        if (size <= 0 || size % page != 0) {
            throw new IllegalArgumentException("VA space of guest '" + guest + "': " + size
                    + " bytes is not a positive multiple of the page size, " + page);
        }
        requireOpen();
        AddressReservation reservation = host.reserve(size, alignment(size, page));
        MappingManager manager;
        try {
            manager = new GuestMappingManager(guest, host, reservation, new Epochs(host), this::retract);
        } catch (RuntimeException | Error e) {
            reservation.close();
            throw e;
        }
        try {
            Runnable retraction = announce.apply(manager);
            if (keep(manager, retraction)) {
                return manager;
            }
            retraction.run();
            throw new IllegalStateException("the mapping managers are closed");
        } catch (RuntimeException | Error e) {
            manager.close();
            throw e;
        }
    }

    @Override
    public HostMemory host() {
        return host;
    }

    @Override
    public void close() {
        List<MappingManager> left;
        synchronized (this) {
            closed = true;
            left = List.copyOf(open.keySet());
        }
        left.forEach(MappingManager::close);
    }

    private synchronized boolean keep(MappingManager manager, Runnable retraction) {
        if (!closed) {
            open.put(manager, retraction);
        }
        return !closed;
    }

    private void retract(MappingManager manager) {
        Runnable retraction;
        synchronized (this) {
            retraction = open.remove(manager);
        }
        if (retraction != null) {
            retraction.run();
        }
    }

    private synchronized void requireOpen() {
        if (closed) {
            throw new IllegalStateException("the mapping managers are closed");
        }
    }

    /** So that the host can use its huge pages wherever guest and host addresses agree. */
    private static long alignment(long size, long page) {
        if (size >= LARGE_HUGE_PAGE) {
            return LARGE_HUGE_PAGE;
        }
        return size >= SMALL_HUGE_PAGE ? SMALL_HUGE_PAGE : page;
    }
}
