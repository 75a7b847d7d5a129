package io.membacking.vm.internal;

import io.membacking.partition.PartitionBackend;
import java.util.Map;

/** Gives backends to a registry as the service registry would. */
public final class PlainBackends {
    private PlainBackends() {}

    public static void arrive(VirtualMachineRegistry registry, PartitionBackend backend) {
        arrive(registry, backend, 1);
    }

    public static void arrive(VirtualMachineRegistry registry, PartitionBackend backend, long serviceId) {
        registry.backendArrived(new Backends.Installed(backend, backend.name(), "test", 0, serviceId, Map.of()));
    }

    public static void depart(VirtualMachineRegistry registry) {
        registry.backendDeparting(1);
    }
}
