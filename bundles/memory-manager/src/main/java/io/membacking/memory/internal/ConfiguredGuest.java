package io.membacking.memory.internal;

import io.membacking.error.MembackingException;
import io.membacking.inspect.Inspectable;
import io.membacking.inspect.Inspection;
import io.membacking.memory.GuestMemoryManager;
import io.membacking.memory.GuestMemoryManagers;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.osgi.framework.BundleContext;
import org.osgi.framework.ServiceRegistration;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.ConfigurationPolicy;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Modified;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.metatype.annotations.Designate;

/**
 * A guest's memory by Config Admin: one for each configuration of the factory {@link #PID}. Nothing of a guest's memory can be
 * made otherwise while it lives, so an edit is reported, in the log and in the inspect tree at {@code
 * guests/<name>/configuration}, and the guest goes on as it was built. A configuration that cannot be built is reported in the
 * same places, and is tried again when it is edited.
 */
@Component(
        service = {},
        immediate = true,
        configurationPid = ConfiguredGuest.PID,
        configurationPolicy = ConfigurationPolicy.REQUIRE)
@Designate(ocd = GuestConfig.class, factory = true)
public final class ConfiguredGuest {
    static final String PID = "io.membacking.memory.guest";

    private static final System.Logger LOG = System.getLogger(ConfiguredGuest.class.getName());

    private final GuestMemoryManagers memories;
    private final Publication publication;

    /** What the guest was built from, or was to be. Guarded by this, like all that follows. */
    private Map<String, String> built = Map.of();

    private Map<String, String> edited = Map.of();
    private String refusal = "";
    private @Nullable GuestMemoryManager memory;
    private Runnable withdrawal = () -> {};

    /** Shows an inspectable for a guest; what it returns takes it back. */
    interface Publication {
        Runnable publish(String guest, Inspectable inspectable);
    }

    @Activate
    public ConfiguredGuest(
            BundleContext context, @Reference(name = "memories") GuestMemoryManagers memories, GuestConfig config) {
        this(memories, config, (guest, inspectable) -> {
            ServiceRegistration<Inspectable> registration =
                    MemoryManagersComponent.publish(context, guest, inspectable);
            return () -> MemoryManagersComponent.unregister(registration);
        });
    }

    ConfiguredGuest(GuestMemoryManagers memories, GuestConfig config, Publication publication) {
        this.memories = memories;
        this.publication = publication;
        build(config);
    }

    @Modified
    synchronized void modified(GuestConfig config) {
        if (memory == null) {
            build(config);
            return;
        }
        edited = GuestSettings.text(config);
        Map<String, String> kept = kept();
        if (!kept.isEmpty()) {
            LOG.log(
                    System.Logger.Level.WARNING,
                    "guest ''{0}'' keeps the memory it was built with: {1} take effect when it is built anew",
                    built.get("name"),
                    kept);
        }
    }

    @Deactivate
    synchronized void deactivate() {
        withdrawal.run();
        if (memory != null) {
            memory.close();
        }
    }

    private synchronized void build(GuestConfig config) {
        withdrawal.run();
        withdrawal = () -> {};
        built = GuestSettings.text(config);
        edited = built;
        refusal = "";
        try {
            GuestSettings settings = GuestSettings.read(config);
            memory = settings.apply(memories.builder(settings.name())).build();
        } catch (MembackingException | IllegalArgumentException | IllegalStateException e) {
            refusal = Objects.toString(e.getMessage(), e.toString());
            LOG.log(
                    System.Logger.Level.ERROR,
                    "the memory of configured guest ''{0}'' could not be built; edit its configuration: {1}",
                    config.name(),
                    refusal);
        }
        String name = Objects.toString(config.name(), "");
        if (!name.isEmpty() && name.indexOf('/') < 0) {
            withdrawal = publication.publish(name, this::inspect);
        }
    }

    /** What was edited since the guest was built, and is not so. */
    private Map<String, String> kept() {
        Map<String, String> kept = new LinkedHashMap<>();
        built.forEach((setting, value) -> {
            String now = edited.get(setting);
            if (!Objects.equals(value, now)) {
                kept.put(setting, now + " (built with " + value + ")");
            }
        });
        return kept;
    }

    private void inspect(Inspection guest) {
        guest.child("configuration", this::inspectConfiguration);
    }

    private synchronized void inspectConfiguration(Inspection node) {
        node.text("pid", PID).text("state", memory == null ? "refused" : "built");
        if (!refusal.isEmpty()) {
            node.text("refusal", refusal);
        }
        node.child("settings", settings -> built.forEach(settings::text));
        Map<String, String> kept = kept();
        if (!kept.isEmpty()) {
            node.child("edited-but-kept", changes -> kept.forEach(changes::text));
        }
    }
}
