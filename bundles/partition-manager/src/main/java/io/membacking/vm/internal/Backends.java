package io.membacking.vm.internal;

import io.membacking.partition.Availability;
import io.membacking.partition.PartitionBackend;
import io.membacking.vm.VmRequest;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import org.osgi.framework.FrameworkUtil;
import org.osgi.framework.InvalidSyntaxException;

/** The backends that are installed, best first. Thread-safe. */
final class Backends {
    private static final Comparator<Installed> BEST_FIRST =
            Comparator.comparingInt(Installed::ranking).reversed().thenComparingLong(Installed::serviceId);

    private List<Installed> installed = List.of();

    /**
     * A backend as a service.
     *
     * @param bundle symbolic name and version of who provides it
     * @param properties the service's, for filters
     */
    record Installed(
            PartitionBackend backend,
            String name,
            String bundle,
            int ranking,
            long serviceId,
            Map<String, Object> properties) {
        /** For people; two versions of one backend differ in it. */
        String title() {
            return name + " (" + bundle + ", service " + serviceId + ")";
        }

        boolean matches(String filter) {
            return Backends.matches(filter, properties);
        }
    }

    /** Adds a backend, or takes up its new properties. */
    synchronized void put(Installed backend) {
        List<Installed> next = without(backend.serviceId());
        next.add(backend);
        next.sort(BEST_FIRST);
        installed = List.copyOf(next);
    }

    synchronized void remove(long serviceId) {
        installed = List.copyOf(without(serviceId));
    }

    synchronized List<Installed> bestFirst() {
        return installed;
    }

    private List<Installed> without(long serviceId) {
        List<Installed> rest = new ArrayList<>(installed);
        rest.removeIf(i -> i.serviceId() == serviceId);
        return rest;
    }

    /**
     * The backends on which the request can run, best first.
     *
     * @param refused takes a line for each that cannot
     */
    List<Installed> candidates(VmRequest request, List<String> refused) {
        List<Installed> candidates = new ArrayList<>();
        for (Installed one : bestFirst()) {
            String why = whyNot(one, request);
            if (why.isEmpty()) {
                candidates.add(one);
            } else {
                refused.add(one.name() + ": " + why);
            }
        }
        return candidates;
    }

    private static String whyNot(Installed one, VmRequest request) {
        if (!request.backendFilter().map(f -> matches(f, one.properties())).orElse(true)) {
            return "not admitted by the filter " + request.backendFilter().orElseThrow();
        }
        if (!one.backend().capabilities().processors()) {
            return "runs no x86-64 processors on this host";
        }
        if (request.interruptControllers() && !one.backend().capabilities().interruptControllers()) {
            return "has no interrupt controllers";
        }
        Availability availability = one.backend().availability();
        return availability.usable() ? "" : availability.reason() + "; " + availability.remedy();
    }

    private static boolean matches(String filter, Map<String, Object> properties) {
        try {
            return FrameworkUtil.createFilter(filter).matches(properties);
        } catch (InvalidSyntaxException e) {
            throw new IllegalArgumentException("backend filter '" + filter + "': " + e.getMessage(), e);
        }
    }

    /** @throws IllegalArgumentException if it cannot be parsed */
    static void checkFilter(String filter) {
        if (!filter.isEmpty()) {
            matches(filter, Map.of());
        }
    }
}
