package io.membacking.itests.support;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.Constants;
import org.osgi.framework.InvalidSyntaxException;
import org.osgi.framework.ServiceReference;
import org.osgi.framework.wiring.FrameworkWiring;
import org.osgi.service.component.runtime.ServiceComponentRuntime;
import org.osgi.service.component.runtime.dto.ComponentConfigurationDTO;
import org.osgi.service.component.runtime.dto.ComponentDescriptionDTO;

/** The container that a test runs in, seen through its bundle context. */
public final class Container {
    /** How long a container under load may take for what an idle one does at once. */
    public static final Duration DEADLINE = Duration.ofSeconds(30);

    private static final String OURS = "io.membacking.";

    private final BundleContext context;

    public Container(BundleContext context) {
        this.context = context;
    }

    /** Our bundles by symbolic name, without the tests' own. */
    public Map<String, Bundle> bundles() {
        Map<String, Bundle> bundles = new TreeMap<>();
        for (Bundle bundle : context.getBundles()) {
            String name = bundle.getSymbolicName();
            if (name != null && name.startsWith(OURS) && !name.startsWith(OURS + "itests")) {
                bundles.put(name, bundle);
            }
        }
        return bundles;
    }

    /**
     * One of our bundles.
     *
     * @param part {@code partition-kvm} say
     * @throws AssertionError if it is not installed
     */
    public Bundle bundle(String part) {
        Bundle bundle = bundles().get(OURS + part);
        if (bundle == null) {
            throw new AssertionError(part + " is not among " + bundles().keySet());
        }
        return bundle;
    }

    /** Waits until all our bundles are active and nothing in them waits for a reference. */
    public void awaitComplete() {
        Conditions.await(() -> faults().isEmpty(), DEADLINE, () -> String.join("\n  ", faults()));
    }

    /**
     * Waits for a service.
     *
     * @throws AssertionError with what is missing for it to be there
     */
    public <S> S await(Class<S> type) {
        return await(type, "(" + Constants.OBJECTCLASS + "=*)");
    }

    /**
     * Waits for a service that a filter admits.
     *
     * @throws AssertionError with what is missing for it to be there
     */
    public <S> S await(Class<S> type, String filter) {
        Conditions.await(
                () -> !references(type, filter).isEmpty(),
                DEADLINE,
                () -> "no " + type.getName() + " " + filter + "\n  " + String.join("\n  ", faults()));
        return context.getService(references(type, filter).get(0));
    }

    /** Waits until the framework knows no service of a type, as after its bundle has stopped. */
    public void awaitAbsent(Class<?> type) {
        Conditions.await(
                () -> references(type, "(" + Constants.OBJECTCLASS + "=*)").isEmpty(),
                DEADLINE,
                () -> "still there: " + references(type, "(" + Constants.OBJECTCLASS + "=*)"));
    }

    private <S> List<ServiceReference<S>> references(Class<S> type, String filter) {
        try {
            return List.copyOf(context.getServiceReferences(type, filter));
        } catch (InvalidSyntaxException e) {
            throw new IllegalArgumentException(e);
        }
    }

    /** Which of our bundles are not active, and which of our components wait for what or failed; empty when all is well. */
    public List<String> faults() {
        List<String> faults = new ArrayList<>();
        Bundle[] ours = bundles().values().toArray(Bundle[]::new);
        for (Bundle bundle : ours) {
            if (bundle.getState() != Bundle.ACTIVE) {
                faults.add(bundle.getSymbolicName() + " is not active but in state " + bundle.getState());
            }
        }
        ServiceReference<ServiceComponentRuntime> reference =
                context.getServiceReference(ServiceComponentRuntime.class);
        if (reference == null) {
            faults.add("Declarative Services is not running");
            return faults;
        }
        ServiceComponentRuntime runtime = context.getService(reference);
        for (ComponentDescriptionDTO component : runtime.getComponentDescriptionDTOs(ours)) {
            for (ComponentConfigurationDTO configuration : runtime.getComponentConfigurationDTOs(component)) {
                String fault = fault(configuration);
                if (!fault.isEmpty()) {
                    faults.add(component.name + " of " + component.bundle.symbolicName + " " + fault);
                }
            }
        }
        context.ungetService(reference);
        return faults;
    }

    private static String fault(ComponentConfigurationDTO configuration) {
        return switch (configuration.state) {
            case ComponentConfigurationDTO.UNSATISFIED_REFERENCE ->
                Stream.of(configuration.unsatisfiedReferences)
                        .map(missing -> missing.target == null ? missing.name : missing.name + missing.target)
                        .collect(Collectors.joining(", ", "waits for ", ""));
            case ComponentConfigurationDTO.FAILED_ACTIVATION -> "failed: " + configuration.failure;
            default -> "";
        };
    }

    /** Uninstalls for good: afterwards nothing in the framework is wired to the bundles any more. */
    public void uninstall(Bundle... bundles) throws Exception {
        for (Bundle bundle : bundles) {
            bundle.uninstall();
        }
        FrameworkWiring wiring =
                context.getBundle(Constants.SYSTEM_BUNDLE_LOCATION).adapt(FrameworkWiring.class);
        wiring.refreshBundles(Arrays.asList(bundles));
        Conditions.await(
                () -> Stream.of(bundles).noneMatch(wiring.getRemovalPendingBundles()::contains),
                DEADLINE,
                () -> "still wired: " + wiring.getRemovalPendingBundles());
    }
}
