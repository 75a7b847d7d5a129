package io.membacking.region.internal;

import io.membacking.error.HostMappingException;
import io.membacking.inspect.Inspectable;
import io.membacking.mapping.MappingManagers;
import io.membacking.region.RegionManager;
import io.membacking.region.RegionManagers;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/** The region managers of all guests: makes them, makes them known, and closes those that are left. Thread-safe. */
public final class GuestRegionManagers implements RegionManagers, AutoCloseable {
    private final MappingManagers mappings;
    private final Publisher publisher;
    private final Set<GuestRegionManager> open = new LinkedHashSet<>();
    private boolean closed;

    /** Makes a guest known to others. */
    public interface Publisher {
        /** @return what takes it back; it does nothing the second time */
        Runnable publish(RegionManager manager, Inspectable inspectable);
    }

    /** Without a service registry. */
    public GuestRegionManagers(MappingManagers mappings) {
        this(mappings, (manager, inspectable) -> () -> {});
    }

    public GuestRegionManagers(MappingManagers mappings, Publisher publisher) {
        this.mappings = mappings;
        this.publisher = publisher;
    }

    @Override
    public RegionManager create(String guest, long size) throws HostMappingException {
        checkOpen();
        Publication publication = new Publication();
        GuestRegionManager manager =
                new GuestRegionManager(mappings.create(guest, size), publication::end, this::forget);
        try {
            publication.begin(publisher.publish(manager, new GuestInspection(manager)));
            keep(manager);
        } catch (RuntimeException | Error e) {
            manager.close();
            throw e;
        }
        return manager;
    }

    private synchronized void keep(GuestRegionManager manager) {
        checkOpen();
        open.add(manager);
    }

    private synchronized void forget(GuestRegionManager manager) {
        open.remove(manager);
    }

    private synchronized void checkOpen() {
        if (closed) {
            throw new IllegalStateException("the region managers are closed");
        }
    }

    /** Closes every manager that is left, the latest first. */
    @Override
    public void close() {
        List<GuestRegionManager> left;
        synchronized (this) {
            closed = true;
            left = new ArrayList<>(open);
        }
        for (int i = left.size() - 1; i >= 0; i--) {
            left.get(i).close();
        }
    }

    /** A manager's being known. It may end before it has quite begun. */
    private static final class Publication {
        private boolean ended;
        private Runnable takeBack = () -> {};

        void begin(Runnable newTakeBack) {
            synchronized (this) {
                if (!ended) {
                    takeBack = newTakeBack;
                    return;
                }
            }
            newTakeBack.run();
        }

        void end() {
            Runnable now;
            synchronized (this) {
                ended = true;
                now = takeBack;
                takeBack = () -> {};
            }
            now.run(); // calls others: without a lock
        }
    }
}
