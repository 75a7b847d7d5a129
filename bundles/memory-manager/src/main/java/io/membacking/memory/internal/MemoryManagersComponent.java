package io.membacking.memory.internal;

import io.membacking.host.HostMemory;
import io.membacking.inspect.Inspectable;
import io.membacking.memory.GuestMemoryBuilder;
import io.membacking.memory.GuestMemoryManager;
import io.membacking.memory.GuestMemoryManagers;
import io.membacking.region.RegionManagers;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.osgi.framework.BundleContext;
import org.osgi.framework.FrameworkUtil;
import org.osgi.framework.ServiceRegistration;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;

/** The service: builds guests' memory, publishes each with its inspection, closes all when it goes. */
@Component(service = GuestMemoryManagers.class)
public final class MemoryManagersComponent implements GuestMemoryManagers {
    static final String GUEST_NAME = "guest.name";

    private final GuestMemories memories;

    @Activate
    public MemoryManagersComponent(
            BundleContext context,
            @Reference(name = "host") HostMemory host,
            @Reference(name = "regions") RegionManagers regions) {
        memories = new GuestMemories(host, regions, memory -> publish(context, memory));
    }

    @Deactivate
    void deactivate() {
        memories.close();
    }

    @Override
    public GuestMemoryBuilder builder(String guest) {
        return memories.builder(guest);
    }

    @Override
    public List<GuestMemoryManager> managers() {
        return memories.managers();
    }

    @Override
    public Optional<GuestMemoryManager> manager(String guest) {
        return memories.manager(guest);
    }

    @Override
    public HostMemory host() {
        return memories.host();
    }

    private static Runnable publish(BundleContext context, AssembledMemory memory) {
        ServiceRegistration<GuestMemoryManager> service = context.registerService(
                GuestMemoryManager.class, memory, FrameworkUtil.asDictionary(Map.of(GUEST_NAME, memory.name())));
        ServiceRegistration<Inspectable> inspection = publish(context, memory.name(), new GuestInspection(memory));
        return () -> {
            unregister(inspection);
            unregister(service);
        };
    }

    static ServiceRegistration<Inspectable> publish(BundleContext context, String guest, Inspectable inspectable) {
        return context.registerService(
                Inspectable.class,
                inspectable,
                FrameworkUtil.asDictionary(Map.of(GUEST_NAME, guest, Inspectable.PATH, "guests/" + guest)));
    }

    /** A framework that stops the bundle may have done it already. */
    static void unregister(ServiceRegistration<?> registration) {
        try {
            registration.unregister();
        } catch (IllegalStateException e) {
            // gone, which is what was wanted
        }
    }
}
