package io.membacking.runner;

import io.membacking.vm.VirtualMachines.BackendInfo;
import java.util.List;
import org.osgi.framework.FrameworkUtil;
import org.osgi.framework.InvalidSyntaxException;

/**
 * Which backends may be used.
 *
 * @param filter an LDAP filter that can be parsed, or empty for all
 */
record BackendChoice(String filter) {
    /** Those of them that may be used, in the same order. */
    List<BackendInfo> of(List<BackendInfo> backends) {
        return backends.stream().filter(this::admits).toList();
    }

    /** Why a better one than the one that is used is not, a line each. */
    List<String> passedOver(List<BackendInfo> bestFirst, String used) {
        return of(bestFirst).stream()
                .takeWhile(backend -> !backend.name().equals(used))
                .filter(backend -> !backend.availability().usable())
                .map(backend -> "Not on " + backend.name() + ": "
                        + backend.availability().reason() + "; "
                        + backend.availability().remedy())
                .toList();
    }

    private boolean admits(BackendInfo backend) {
        if (filter.isEmpty()) {
            return true;
        }
        try {
            return FrameworkUtil.createFilter(filter).matches(backend.properties());
        } catch (InvalidSyntaxException e) {
            throw new IllegalArgumentException("backend filter " + filter + " cannot be parsed", e);
        }
    }
}
