package io.membacking.vm.internal;

import io.membacking.partition.PartitionBackend;
import java.util.Map;

/** Gives backends to a registry as the service registry would. */
public final class PlainBackends {
    private PlainBackends() {}

    /** @param serviceId tells it from others */
    public static void arrive(VirtualMachineRegistry registry, PartitionBackend backend, long serviceId) {
        registry.backendArrived(new Backends.Installed(backend, backend.name(), "benchmark", 0, serviceId, Map.of()));
    }
}
