package io.membacking.vm;

import io.membacking.partition.Availability;
import io.membacking.partition.Capabilities;
import java.util.List;
import java.util.Map;

/**
 * Makes virtual machines on whatever hypervisor backend is there. A service; thread-safe. It needs no backend to be satisfied:
 * machines made while there is none wait for one. When it goes, the machines it made are closed.
 */
public interface VirtualMachines {
    /**
     * Makes a virtual machine. It attaches at once if a usable backend is there, else it {@link VmState#WAITING waits}, and
     * {@link VirtualMachine#status()} says why.
     *
     * @throws IllegalArgumentException if the name is taken or the filter cannot be parsed
     */
    VirtualMachine create(VmRequest request);

    List<VirtualMachine> machines();

    /** Every backend that is installed, usable or not, best first. */
    List<BackendInfo> backends();

    /**
     * A backend that is installed.
     *
     * @param serviceId of its service: unique, where two versions have one name
     * @param bundle the symbolic name and version of the bundle that provides it
     * @param properties the service's, for filters
     * @param ranking its service ranking; the highest usable one that a machine's filter admits is chosen
     */
    record BackendInfo(
            String name,
            long serviceId,
            String bundle,
            int ranking,
            Availability availability,
            Capabilities capabilities,
            Map<String, Object> properties,
            List<String> guests) {}
}
