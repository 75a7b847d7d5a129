package io.membacking.machine.internal;

import io.membacking.error.MembackingException;
import io.membacking.inspect.Inspectable;
import io.membacking.machine.Machine;
import io.membacking.machine.MachineConfig;
import io.membacking.machine.Machines;
import io.membacking.memory.GuestMemoryManagers;
import io.membacking.vm.VirtualMachines;
import java.time.Clock;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.osgi.framework.BundleContext;
import org.osgi.framework.FrameworkUtil;
import org.osgi.framework.ServiceRegistration;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;

/** The service. When memory or virtual machines go, this goes first, and every machine is closed in order. */
@Component(service = Machines.class)
public final class MachinesComponent implements Machines {
    private final PcMachines machines;

    @Activate
    public MachinesComponent(
            BundleContext context,
            @Reference(name = "memories") GuestMemoryManagers memories,
            @Reference(name = "virtualMachines") VirtualMachines virtualMachines) {
        machines = new PcMachines(
                memories, virtualMachines, machine -> publish(context, machine), Clock.systemUTC(), System::nanoTime);
    }

    @Deactivate
    void deactivate() {
        machines.close();
    }

    @Override
    public Machine create(MachineConfig config) throws MembackingException {
        return machines.create(config);
    }

    @Override
    public List<Machine> machines() {
        return machines.machines();
    }

    @Override
    public Optional<Machine> machine(String name) {
        return machines.machine(name);
    }

    private static Runnable publish(BundleContext context, PcMachine machine) {
        ServiceRegistration<?> registration = context.registerService(
                new String[] {Machine.class.getName(), Inspectable.class.getName()},
                machine,
                FrameworkUtil.asDictionary(
                        Map.of("guest.name", machine.name(), Inspectable.PATH, "machines/" + machine.name())));
        return () -> {
            try {
                registration.unregister();
            } catch (IllegalStateException e) {
                // The framework took it back already: the bundle is stopping.
            }
        };
    }
}
