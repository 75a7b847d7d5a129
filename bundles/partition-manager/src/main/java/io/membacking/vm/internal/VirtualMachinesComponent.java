package io.membacking.vm.internal;

import io.membacking.inspect.Inspectable;
import io.membacking.inspect.Inspection;
import io.membacking.memory.GuestMemoryManagers;
import io.membacking.partition.PartitionBackend;
import io.membacking.vm.VirtualMachine;
import io.membacking.vm.VirtualMachines;
import io.membacking.vm.VmRequest;
import java.util.List;
import java.util.Map;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.Constants;
import org.osgi.framework.FrameworkUtil;
import org.osgi.framework.ServiceReference;
import org.osgi.framework.ServiceRegistration;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.component.annotations.ReferenceCardinality;
import org.osgi.service.component.annotations.ReferencePolicy;

/** Wires the registry: backends come from the service registry, machines go into it. */
@Component
public final class VirtualMachinesComponent implements VirtualMachines {
    private final VirtualMachineRegistry registry;

    /** @param memories not called: while it is there the memories of all machines are, so machines close before memories do */
    @Activate
    public VirtualMachinesComponent(BundleContext context, @Reference(name = "memories") GuestMemoryManagers memories) {
        registry = new VirtualMachineRegistry(machine -> publish(context, machine));
    }

    @Deactivate
    void deactivate() {
        registry.close();
    }

    @Reference(
            name = "backends",
            cardinality = ReferenceCardinality.MULTIPLE,
            policy = ReferencePolicy.DYNAMIC,
            updated = "bindBackend",
            unbind = "unbindBackend")
    void bindBackend(PartitionBackend backend, ServiceReference<PartitionBackend> reference) {
        Bundle bundle = reference.getBundle();
        String provider = bundle == null ? "gone" : bundle.getSymbolicName() + " " + bundle.getVersion();
        Object ranking = reference.getProperty(Constants.SERVICE_RANKING);
        registry.backendArrived(new Backends.Installed(
                backend,
                backend.name(),
                provider,
                ranking instanceof Integer number ? number : 0,
                serviceId(reference),
                FrameworkUtil.asMap(reference.getProperties())));
    }

    void unbindBackend(PartitionBackend backend, ServiceReference<PartitionBackend> reference) {
        registry.backendDeparting(serviceId(reference));
    }

    private static long serviceId(ServiceReference<?> reference) {
        return (Long) reference.getProperty(Constants.SERVICE_ID);
    }

    @Override
    public VirtualMachine create(VmRequest request) {
        return registry.create(request);
    }

    @Override
    public List<VirtualMachine> machines() {
        return registry.machines();
    }

    @Override
    public List<BackendInfo> backends() {
        return registry.backends();
    }

    private static Runnable publish(BundleContext context, VirtualMachine machine) {
        String guest = machine.memory().guest();
        ServiceRegistration<VirtualMachine> service = context.registerService(
                VirtualMachine.class,
                machine,
                FrameworkUtil.asDictionary(Map.of("guest.name", guest, "vm.name", machine.name())));
        ServiceRegistration<Inspectable> inspectable = context.registerService(
                Inspectable.class,
                inspection -> inspect(machine, inspection),
                FrameworkUtil.asDictionary(
                        Map.of(Inspectable.PATH, "guests/" + guest + "/virtual-machines/" + machine.name())));
        return () -> {
            unregister(inspectable);
            unregister(service);
        };
    }

    private static void unregister(ServiceRegistration<?> registration) {
        try {
            registration.unregister();
        } catch (IllegalStateException e) {
            // The framework was faster: it takes a stopping bundle's services away itself.
        }
    }

    private static void inspect(VirtualMachine machine, Inspection inspection) {
        inspection
                .text("state", machine.state().name())
                .text("status", machine.status())
                .number("processors", machine.processors())
                .text("last-result", machine.lastResult().map(Object::toString).orElse("none"))
                .text("policy", machine.policy().name())
                .counter("moves", machine.moves())
                .text("last-move", machine.lastMove().map(Object::toString).orElse("none"));
    }
}
