package io.membacking.region.internal;

import io.membacking.error.HostMappingException;
import io.membacking.inspect.Inspectable;
import io.membacking.mapping.MappingManagers;
import io.membacking.region.RegionManager;
import io.membacking.region.RegionManagers;
import java.util.Map;
import org.osgi.framework.BundleContext;
import org.osgi.framework.FrameworkUtil;
import org.osgi.framework.ServiceRegistration;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;

/** The region managers as a service, and each of them as one. */
@Component(service = RegionManagers.class)
public final class RegionManagersComponent implements RegionManagers {
    private final GuestRegionManagers managers;

    @Activate
    public RegionManagersComponent(BundleContext context, @Reference(name = "mappings") MappingManagers mappings) {
        managers = new GuestRegionManagers(mappings, (manager, inspectable) -> publish(context, manager, inspectable));
    }

    @Deactivate
    void deactivate() {
        managers.close();
    }

    @Override
    public RegionManager create(String guest, long size) throws HostMappingException {
        return managers.create(guest, size);
    }

    private static Runnable publish(BundleContext context, RegionManager manager, Inspectable inspectable) {
        String guest = manager.guest();
        ServiceRegistration<RegionManager> service = context.registerService(
                RegionManager.class, manager, FrameworkUtil.asDictionary(Map.of("guest.name", guest)));
        ServiceRegistration<Inspectable> inspect = context.registerService(
                Inspectable.class,
                inspectable,
                FrameworkUtil.asDictionary(Map.of(Inspectable.PATH, "guests/" + guest)));
        return () -> {
            unregister(inspect);
            unregister(service);
        };
    }

    private static void unregister(ServiceRegistration<?> registration) {
        try {
            registration.unregister();
        } catch (IllegalStateException e) {
            // The framework was faster: the bundle has stopped.
        }
    }
}
