package io.membacking.vm.internal;

import io.membacking.vm.VirtualMachine;
import io.membacking.vm.VirtualMachines;
import io.membacking.vm.VmRequest;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;

/** The virtual machines and the backends they may use. Works without OSGi: whoever wires it brings the backends. Thread-safe. */
public final class VirtualMachineRegistry implements VirtualMachines, AutoCloseable {
    private final Backends backends = new Backends();
    private final Map<String, GuestVirtualMachine> machines = new LinkedHashMap<>();
    private final Map<VirtualMachine, Runnable> published = Collections.synchronizedMap(new IdentityHashMap<>());
    private final Function<VirtualMachine, Runnable> publisher;
    private final ExecutorService later;
    private boolean closed;

    /** @param publisher makes a machine known and returns what takes that back */
    public VirtualMachineRegistry(Function<VirtualMachine, Runnable> publisher) {
        this.publisher = publisher;
        ThreadPoolExecutor executor = new ThreadPoolExecutor(
                1,
                1,
                5,
                TimeUnit.SECONDS,
                new LinkedBlockingQueue<>(),
                task -> {
                    Thread thread = new Thread(null, task, "membacking virtual machines", 0, false);
                    thread.setDaemon(true);
                    thread.setContextClassLoader(null);
                    return thread;
                },
                new ThreadPoolExecutor.AbortPolicy());
        executor.allowCoreThreadTimeOut(true);
        this.later = executor;
    }

    /** A registry that publishes nothing. */
    public VirtualMachineRegistry() {
        this(machine -> () -> {});
    }

    @Override
    public VirtualMachine create(VmRequest request) {
        request.backendFilter().ifPresent(Backends::checkFilter);
        GuestVirtualMachine machine = new GuestVirtualMachine(request, backends, later, this::forget);
        synchronized (machines) {
            if (closed) {
                throw new IllegalStateException("virtual machines are closed");
            }
            if (machines.putIfAbsent(request.name(), machine) != null) {
                throw new IllegalArgumentException(
                        "there is a virtual machine '" + request.name() + "' already; choose another name");
            }
        }
        machine.backendArrived();
        published.put(machine, publisher.apply(machine));
        return machine;
    }

    private void forget(GuestVirtualMachine machine) {
        synchronized (machines) {
            machines.remove(machine.name(), machine);
        }
        Runnable unpublish = published.remove(machine);
        if (unpublish != null) {
            unpublish.run();
        }
    }

    @Override
    public List<VirtualMachine> machines() {
        return List.copyOf(snapshot());
    }

    private List<GuestVirtualMachine> snapshot() {
        synchronized (machines) {
            return new ArrayList<>(machines.values());
        }
    }

    @Override
    public List<BackendInfo> backends() {
        return backends.bestFirst().stream()
                .map(b -> new BackendInfo(
                        b.name(),
                        b.serviceId(),
                        b.bundle(),
                        b.ranking(),
                        b.backend().availability(),
                        b.backend().capabilities(),
                        b.properties(),
                        snapshot().stream()
                                .filter(m -> m.uses(b.serviceId()))
                                .map(GuestVirtualMachine::name)
                                .toList()))
                .toList();
    }

    /** A backend came, or changed its properties. Machines that wait take it up before this returns. */
    void backendArrived(Backends.Installed backend) {
        backends.put(backend);
        snapshot().forEach(GuestVirtualMachine::backendArrived);
    }

    /** A backend is going: when this returns no machine holds anything of it. */
    void backendDeparting(long serviceId) {
        backends.remove(serviceId);
        long latest = System.nanoTime() + GuestVirtualMachine.DEPARTURE.toNanos();
        snapshot().forEach(m -> m.backendDeparting(serviceId, latest));
    }

    /** Closes every machine. Cannot fail; closing twice does nothing. */
    @Override
    public void close() {
        synchronized (machines) {
            closed = true;
        }
        snapshot().forEach(GuestVirtualMachine::close);
        later.shutdown();
    }
}
