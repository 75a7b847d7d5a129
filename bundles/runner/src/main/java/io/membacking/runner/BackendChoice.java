package io.membacking.runner;

import io.membacking.partition.PartitionBackend;
import io.membacking.vm.VirtualMachines.BackendInfo;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.osgi.framework.Constants;
import org.osgi.framework.FrameworkUtil;
import org.osgi.framework.InvalidSyntaxException;

/**
 * Which backends may be used.
 *
 * @param filter an LDAP filter that can be parsed, or empty for all
 */
record BackendChoice(String filter) {
    /** Those of them that can be used here, in the same order. */
    List<BackendInfo> usable(List<BackendInfo> backends) {
        return backends.stream()
                .filter(backend -> backend.availability().usable() && admits(backend))
                .toList();
    }

    private boolean admits(BackendInfo backend) {
        if (filter.isEmpty()) {
            return true;
        }
        Map<String, Object> properties = new HashMap<>(backend.capabilities().asProperties());
        properties.put(PartitionBackend.NAME, backend.name());
        properties.put(Constants.SERVICE_RANKING, backend.ranking());
        try {
            return FrameworkUtil.createFilter(filter).matches(properties);
        } catch (InvalidSyntaxException e) {
            throw new IllegalArgumentException("backend filter " + filter + " cannot be parsed", e);
        }
    }
}
