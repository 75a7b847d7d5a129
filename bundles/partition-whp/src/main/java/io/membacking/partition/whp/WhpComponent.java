package io.membacking.partition.whp;

import com.sun.jna.Platform;
import io.membacking.partition.PartitionBackend;
import java.util.Dictionary;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
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

/**
 * Puts the backend into the service registry: on Windows unasked; elsewhere only if the system property {@value WinHvCalls#SHIM}
 * names a library for tests. It registers the service itself, because the properties say what this host's platform can do, which is
 * known only now.
 */
@Component(
        name = WhpComponent.PID,
        configurationPid = WhpComponent.PID,
        immediate = true,
        service = {})
@Designate(ocd = WhpConfiguration.class)
@Capability(
        namespace = "osgi.service",
        attribute = "objectClass:List<String>=\"io.membacking.partition.PartitionBackend\"",
        uses = PartitionBackend.class,
        effective = "active")
public final class WhpComponent {
    static final String PID = "io.membacking.partition.whp";

    private final @Nullable WhpBackend backend;
    private final @Nullable ServiceRegistration<PartitionBackend> registration;

    @Activate
    public WhpComponent(BundleContext context, WhpConfiguration configuration) {
        if (!Platform.isWindows() && System.getProperty(WinHvCalls.SHIM) == null) {
            backend = null;
            registration = null;
            return;
        }
        WhpBackend made = new WhpBackend();
        boolean registered = false;
        try {
            registration = context.registerService(PartitionBackend.class, made, properties(made, configuration));
            registered = true;
        } finally {
            if (!registered) {
                made.close();
            }
        }
        backend = made;
    }

    @Modified
    void modified(WhpConfiguration configuration) {
        if (registration != null && backend != null) {
            registration.setProperties(properties(backend, configuration));
        }
    }

    /** Who uses the backend lets go of it while it still works; only then is what is left ended. */
    @Deactivate
    void deactivate() {
        try {
            if (registration != null) {
                registration.unregister();
            }
        } catch (IllegalStateException e) {
            // The framework was faster: the bundle is stopping, and its services are gone.
        } finally {
            if (backend != null) {
                backend.close();
            }
        }
    }

    private static Dictionary<String, Object> properties(WhpBackend backend, WhpConfiguration configuration) {
        Map<String, Object> properties = new HashMap<>(backend.capabilities().asProperties());
        properties.put(PartitionBackend.NAME, backend.name());
        properties.put(Constants.SERVICE_RANKING, configuration.service_ranking());
        properties.put(Constants.SERVICE_DESCRIPTION, backend.description());
        return FrameworkUtil.asDictionary(properties);
    }
}
