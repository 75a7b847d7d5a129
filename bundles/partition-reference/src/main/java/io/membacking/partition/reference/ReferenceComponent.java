package io.membacking.partition.reference;

import io.membacking.partition.PartitionBackend;
import java.util.Dictionary;
import java.util.HashMap;
import java.util.Map;
import org.osgi.annotation.bundle.Capability;
import org.osgi.framework.BundleContext;
import org.osgi.framework.Constants;
import org.osgi.framework.FrameworkUtil;
import org.osgi.framework.ServiceRegistration;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Modified;
import org.osgi.service.metatype.annotations.Designate;

/** Puts the backend into the service registry, with its capabilities as properties. */
@Component(
        name = ReferenceComponent.PID,
        configurationPid = ReferenceComponent.PID,
        immediate = true,
        service = {})
@Designate(ocd = ReferenceConfiguration.class)
@Capability(
        namespace = "osgi.service",
        attribute = "objectClass:List<String>=\"io.membacking.partition.PartitionBackend\"",
        uses = PartitionBackend.class,
        effective = "active")
public final class ReferenceComponent {
    static final String PID = "io.membacking.partition.reference";

    private final ReferenceBackend backend;
    private final ServiceRegistration<PartitionBackend> registration;

    @Activate
    public ReferenceComponent(BundleContext context, ReferenceConfiguration configuration) {
        backend = new ReferenceBackend();
        boolean registered = false;
        try {
            registration = context.registerService(PartitionBackend.class, backend, properties(configuration));
            registered = true;
        } finally {
            if (!registered) {
                backend.close();
            }
        }
    }

    @Modified
    void modified(ReferenceConfiguration configuration) {
        registration.setProperties(properties(configuration));
    }

    /** Who uses the backend lets go of it while it still works; only then is what is left ended. */
    @Deactivate
    void deactivate() {
        try {
            registration.unregister();
        } catch (IllegalStateException e) {
            // The framework was faster: the bundle is stopping, and its services are gone.
        } finally {
            backend.close();
        }
    }

    private Dictionary<String, Object> properties(ReferenceConfiguration configuration) {
        Map<String, Object> properties = new HashMap<>(backend.capabilities().asProperties());
        properties.put(PartitionBackend.NAME, backend.name());
        properties.put(Constants.SERVICE_RANKING, configuration.service_ranking());
        return FrameworkUtil.asDictionary(properties);
    }
}
