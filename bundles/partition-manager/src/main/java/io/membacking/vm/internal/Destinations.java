package io.membacking.vm.internal;

import io.membacking.vm.MovePolicy;
import io.membacking.vm.VmRequest;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/** Where a virtual machine may go, of what is installed. Changes nothing; for any thread. */
final class Destinations {
    private final VmRequest request;
    private final Backends backends;

    Destinations(VmRequest request, Backends backends) {
        this.request = request;
        this.backends = backends;
    }

    /**
     * Where it is.
     *
     * @param backend null if it is on none
     * @param name of that backend, or of the one it was on before it was parked; empty if there was none
     * @param format of its state; empty if it has none
     * @param mappings ranges that are mapped there
     */
    record Origin(Backends.@Nullable Installed backend, String name, String format, int mappings) {
        static final Origin NOWHERE = new Origin(null, "", "", 0);

        private String title() {
            return backend == null ? name : backend.title();
        }

        private boolean isOn(Backends.Installed one) {
            return backend != null && backend.serviceId() == one.serviceId();
        }
    }

    /**
     * The backends that are wanted and that the policy admits, other than the present one, best first.
     *
     * @param refused takes a line for each that is not admitted
     */
    List<Backends.Installed> others(
            Origin from, MovePolicy policy, Predicate<Backends.Installed> wanted, List<String> refused) {
        List<Backends.Installed> others = new ArrayList<>();
        for (Backends.Installed one : backends.candidates(request, refused)) {
            if (from.isOn(one) || !wanted.test(one)) {
                continue;
            }
            boolean allowed = policy != MovePolicy.PINNED
                    || (from.backend() == null
                            && (from.name().isEmpty() || from.name().equals(one.name())));
            if (allowed) {
                others.add(one);
            } else {
                refused.add(pinned(from.title(), one));
            }
        }
        return others;
    }

    /** Likewise, when the present one is about to be gone: who is pinned may follow to another version of it. */
    List<Backends.Installed> onDeparture(Origin from, MovePolicy policy, List<String> refused) {
        List<Backends.Installed> others = new ArrayList<>();
        for (Backends.Installed one : backends.candidates(request, refused)) {
            if (policy == MovePolicy.PINNED && !one.name().equals(from.name())) {
                refused.add(pinned(from.name(), one));
            } else {
                others.add(one);
            }
        }
        return others;
    }

    private String pinned(String to, Backends.Installed other) {
        return "'" + request.name() + "' is pinned to " + to + ", not " + other.title();
    }

    /** Why there is nowhere to go. */
    static List<String> none(String filter, List<String> refused) {
        List<String> all = new ArrayList<>(refused);
        all.add(filter.isEmpty() ? "no other backend is installed" : "no other backend matches " + filter);
        return all;
    }

    /** The service of a backend that ranks higher than the present one, where the policy is to follow it. */
    Optional<Long> better(Origin from, MovePolicy policy) {
        if (policy != MovePolicy.TO_BETTER_BACKEND || from.backend() == null) {
            return Optional.empty();
        }
        List<Backends.Installed> all = backends.candidates(request, new ArrayList<>());
        int ranking = all.stream()
                .filter(from::isOn)
                .mapToInt(Backends.Installed::ranking)
                .findAny()
                .orElse(Integer.MIN_VALUE);
        return all.stream().findFirst().filter(best -> best.ranking() > ranking).map(Backends.Installed::serviceId);
    }

    /** Whether it can go there. @param reasons takes why not */
    boolean admits(Origin from, Backends.Installed target, List<String> reasons) {
        List<String> obstacles = compatibility(from, target).obstacles();
        if (!obstacles.isEmpty()) {
            reasons.add(target.title() + ": " + String.join(", ", obstacles));
        }
        return obstacles.isEmpty();
    }

    Compatibility compatibility(Origin from, Backends.Installed target) {
        return Compatibility.of(
                request,
                from.format().isEmpty() ? target.backend().capabilities().stateFormat() : from.format(),
                target.backend().capabilities(),
                request.memory().regions().size(),
                from.mappings(),
                request.memory().regions().flatView().stream().anyMatch(piece -> !piece.writable()));
    }
}
