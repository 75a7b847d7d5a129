package io.membacking.partition.kvm;

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

/**
 * Puts the backend into the service registry. It registers the service itself, because the properties say what this host's KVM can
 * do, which is known only now. Where KVM cannot be asked yet, they say the least that it can do, until it is asked with success:
 * whoever calls {@link KvmBackend#availability()} or makes a partition then brings them up to date.
 */
@Component(
        name = KvmComponent.PID,
        configurationPid = KvmComponent.PID,
        immediate = true,
        service = {})
@Designate(ocd = KvmConfiguration.class)
@Capability(
        namespace = "osgi.service",
        attribute = "objectClass:List<String>=\"io.membacking.partition.PartitionBackend\"",
        uses = PartitionBackend.class,
        effective = "active")
public final class KvmComponent {
    static final String PID = "io.membacking.partition.kvm";

    private final KvmBackend backend;
    private final ServiceRegistration<PartitionBackend> registration;

    private volatile KvmConfiguration configuration;

    @Activate
    public KvmComponent(BundleContext context, KvmConfiguration configuration) {
        this(new KvmBackend(), context, configuration);
    }

    /** Closes the backend with itself. */
    KvmComponent(KvmBackend backend, BundleContext context, KvmConfiguration configuration) {
        this.backend = backend;
        this.configuration = configuration;
        boolean registered = false;
        try {
            Dictionary<String, Object> properties = properties(configuration);
            boolean complete = backend.hasAnswered();
            registration = context.registerService(PartitionBackend.class, backend, properties);
            registered = true;
            if (!complete) {
                backend.whenAnswered(this::publish);
            }
        } finally {
            if (!registered) {
                backend.close();
            }
        }
    }

    @Modified
    void modified(KvmConfiguration changed) {
        configuration = changed;
        publish();
    }

    /** On any thread, and on two at once: each goes on until what it has published is up to date. */
    private void publish() {
        KvmConfiguration published;
        do {
            published = configuration;
            try {
                registration.setProperties(properties(published));
            } catch (IllegalStateException e) {
                return; // the service is gone
            }
        } while (published != configuration);
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

    private Dictionary<String, Object> properties(KvmConfiguration configuration) {
        Map<String, Object> properties = new HashMap<>(backend.capabilities().asProperties());
        properties.put(PartitionBackend.NAME, backend.name());
        properties.put(Constants.SERVICE_RANKING, configuration.service_ranking());
        return FrameworkUtil.asDictionary(properties);
    }
}
