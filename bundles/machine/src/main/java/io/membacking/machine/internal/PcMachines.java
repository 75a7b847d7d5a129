package io.membacking.machine.internal;

import io.membacking.error.MembackingException;
import io.membacking.machine.Machine;
import io.membacking.machine.MachineConfig;
import io.membacking.machine.Machines;
import io.membacking.memory.GuestMemoryManagers;
import io.membacking.vm.VirtualMachines;
import java.time.Clock;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;

/** Makes machines and keeps them by name, without OSGi. Thread-safe. Closing it closes them. */
final class PcMachines implements Machines, AutoCloseable {
    /** What the CMOS can tell firmware. */
    private static final int MAX_PROCESSORS = 255;

    private final GuestMemoryManagers memories;
    private final VirtualMachines virtualMachines;
    private final Publisher publisher;
    private final Clock clock;
    private final LongSupplier nanoTime;
    private final ScheduledExecutorService timer;

    // Guarded by this; nothing foreign is called under the lock.
    private final Map<String, PcMachine> machines = new LinkedHashMap<>();
    private final Map<PcMachine, Runnable> published = new HashMap<>();
    private final Set<String> beingMade = new HashSet<>();
    private boolean closed;

    PcMachines(
            GuestMemoryManagers memories,
            VirtualMachines virtualMachines,
            Publisher publisher,
            Clock clock,
            LongSupplier nanoTime) {
        this.memories = memories;
        this.virtualMachines = virtualMachines;
        this.publisher = publisher;
        this.clock = clock;
        this.nanoTime = nanoTime;
        timer = Executors.newSingleThreadScheduledExecutor(task -> {
            Thread thread = new Thread(task, "membacking-console-flush");
            thread.setDaemon(true);
            // Not this bundle's loader, which a thread that is slow to end would keep.
            thread.setContextClassLoader(null);
            return thread;
        });
    }

    @Override
    public Machine create(MachineConfig config) throws MembackingException {
        check(config);
        reserve(config.name());
        PcMachine machine;
        try {
            machine = PcMachine.create(config, memories, virtualMachines, timer, clock, nanoTime, this::forget);
        } catch (MembackingException | RuntimeException e) {
            synchronized (this) {
                beingMade.remove(config.name());
            }
            throw e;
        }
        keep(machine);
        Runnable unpublish = publisher.publish(machine);
        synchronized (this) {
            if (machines.containsValue(machine)) {
                published.put(machine, unpublish);
                return machine;
            }
        }
        // Somebody closed it as soon as it could be seen.
        unpublish.run();
        return machine;
    }

    @Override
    public synchronized List<Machine> machines() {
        return List.copyOf(machines.values());
    }

    @Override
    public synchronized Optional<Machine> machine(String name) {
        return Optional.ofNullable(machines.get(name));
    }

    @Override
    public void close() {
        List<PcMachine> open;
        synchronized (this) {
            closed = true;
            open = List.copyOf(machines.values());
        }
        open.forEach(PcMachine::close);
        timer.shutdownNow();
        try {
            // At most a flush is under way, and it ends unless the caller's stream blocks.
            var unused = timer.awaitTermination(1, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static void check(MachineConfig config) {
        if (config.name().isEmpty() || config.name().contains("/")) {
            throw new IllegalArgumentException(
                    "a machine cannot be named '" + config.name() + "'; give a name that is not empty and has no '/'");
        }
        if (config.processors() < 1 || config.processors() > MAX_PROCESSORS) {
            throw new IllegalArgumentException("machine " + config.name() + " cannot have " + config.processors()
                    + " processors; give 1 to " + MAX_PROCESSORS);
        }
    }

    private synchronized void reserve(String name) {
        requireOpen();
        if (machines.containsKey(name) || !beingMade.add(name)) {
            throw new IllegalArgumentException("there is a machine named " + name + " already; give another name");
        }
    }

    private void keep(PcMachine machine) {
        synchronized (this) {
            beingMade.remove(machine.name());
            if (!closed) {
                machines.put(machine.name(), machine);
                return;
            }
        }
        machine.close();
        throw new IllegalStateException("machines are closed");
    }

    private void forget(PcMachine machine) {
        Runnable unpublish;
        synchronized (this) {
            machines.remove(machine.name(), machine);
            unpublish = published.remove(machine);
        }
        if (unpublish != null) {
            unpublish.run();
        }
    }

    private void requireOpen() {
        if (closed) {
            throw new IllegalStateException("machines are closed");
        }
    }

    /** Shows machines to others. */
    @FunctionalInterface
    interface Publisher {
        /** @return takes the machine back */
        Runnable publish(PcMachine machine);
    }
}
