package io.membacking.region.internal;

import io.membacking.error.HostMappingException;
import io.membacking.inspect.Inspectable;
import io.membacking.mapping.MappingManager;
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
        MappingManager space = mappings.create(guest, size);
        Publication publication = new Publication();
        GuestRegionManager manager = new GuestRegionManager(space, publication::end);
        synchronized (this) {
            if (!closed) {
                open.add(manager);
                publication.manager = manager;
            }
        }
        if (publication.manager == null) {
            manager.close();
            checkOpen();
        }
        publication.begin(publisher.publish(manager, new GuestInspection(manager)));
        return manager;
    }

    /** A manager's being known; ends with it, whichever comes first. */
    private final class Publication {
        @org.jspecify.annotations.Nullable
        GuestRegionManager manager;

        private boolean ended;
        private Runnable unpublish = () -> {};

        void begin(Runnable takeBack) {
            synchronized (this) {
                if (!ended) {
                    unpublish = takeBack;
                    return;
                }
            }
            takeBack.run();
        }

        void end() {
            Runnable takeBack;
            synchronized (this) {
                ended = true;
                takeBack = unpublish;
                unpublish = () -> {};
            }
            takeBack.run();
            synchronized (GuestRegionManagers.this) {
                open.remove(manager);
            }
        }
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
}
