package io.membacking.mapping.internal;

import io.membacking.error.HostMappingException;
import io.membacking.host.HostMemory;
import io.membacking.inspect.Inspectable;
import io.membacking.mapping.MappingManager;
import io.membacking.mapping.MappingManagers;
import java.util.Dictionary;
import java.util.Map;
import org.osgi.framework.BundleContext;
import org.osgi.framework.FrameworkUtil;
import org.osgi.framework.ServiceRegistration;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;

/** The service: makes managers on the host's memory, publishes each with its inspection, closes all when it goes. */
@Component(service = MappingManagers.class)
public final class MappingManagersComponent implements MappingManagers {
    private static final String GUEST_NAME = "guest.name";

    private final BundleContext context;
    private final GuestMappingManagers managers;

    @Activate
    public MappingManagersComponent(BundleContext context, @Reference(name = "host") HostMemory host) {
        this.context = context;
        this.managers = new GuestMappingManagers(host, this::announce);
    }

    @Deactivate
    void deactivate() {
        managers.close();
    }

    @Override
    public MappingManager create(String guest, long size) throws HostMappingException {
        return managers.create(guest, size);
    }

    @Override
    public HostMemory host() {
        return managers.host();
    }

    private Runnable announce(MappingManager manager) {
        ServiceRegistration<MappingManager> service =
                context.registerService(MappingManager.class, manager, properties(manager));
        ServiceRegistration<Inspectable> inspection =
                context.registerService(Inspectable.class, new VaInspection(manager), properties(manager));
        return () -> {
            unregister(inspection);
            unregister(service);
        };
    }

    private static Dictionary<String, Object> properties(MappingManager manager) {
        return FrameworkUtil.asDictionary(
                Map.of(GUEST_NAME, manager.guest(), Inspectable.PATH, "guests/" + manager.guest()));
    }

    /** A framework that stops the bundle may have done it already. */
    private static void unregister(ServiceRegistration<?> registration) {
        try {
            registration.unregister();
        } catch (IllegalStateException e) {
            // gone, which is what was wanted
        }
    }
}
