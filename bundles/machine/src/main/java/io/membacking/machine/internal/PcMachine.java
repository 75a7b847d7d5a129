package io.membacking.machine.internal;

import io.membacking.error.BackendException;
import io.membacking.error.MembackingException;
import io.membacking.inspect.Inspectable;
import io.membacking.inspect.Inspection;
import io.membacking.machine.BootSource;
import io.membacking.machine.Machine;
import io.membacking.machine.MachineConfig;
import io.membacking.memory.GuestMemoryManager;
import io.membacking.memory.GuestMemoryManagers;
import io.membacking.partition.ProcessorState;
import io.membacking.vm.MovePolicy;
import io.membacking.vm.Run;
import io.membacking.vm.VirtualMachine;
import io.membacking.vm.VirtualMachines;
import io.membacking.vm.VirtualMachines.BackendInfo;
import io.membacking.vm.VmRequest;
import io.membacking.vm.VmState;
import java.lang.System.Logger.Level;
import java.time.Clock;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import org.osgi.framework.FrameworkUtil;
import org.osgi.framework.InvalidSyntaxException;

/**
 * A machine: memory, ROM, processors and devices of one guest.
 *
 * <p>With interrupt controllers, which are the partition's, a halt waits inside the hypervisor for an interrupt that may never
 * come; without, halting ends the run. The timer is the machine's own {@link Pit}, so that it moves exactly. All processors of a
 * flat binary start at its address, with their number in rax. Of a kernel's processors the first starts, and the others wait for
 * it to start them; without interrupt controllers it has one.
 */
final class PcMachine implements Machine, Inspectable {
    private static final System.Logger LOG = System.getLogger(PcMachine.class.getName());

    private final MachineConfig config;
    private final LoadedImage image;
    private final GuestMemoryManager memory;
    private final VirtualMachine vm;
    private final boolean interruptControllers;
    private final Consumer<PcMachine> onClose;
    private final GuestLegacyRam legacyRam;
    private final Pc pc;
    private final Pit timer;
    private final @Nullable TimerAlarm alarm;
    private final AtomicBoolean interruptLineFailed = new AtomicBoolean();
    private final Object lifecycle = new Object();
    private boolean closed;

    private PcMachine(
            MachineConfig config,
            LoadedImage image,
            GuestMemoryManager memory,
            VirtualMachine vm,
            boolean interruptControllers,
            ScheduledExecutorService flusher,
            Clock clock,
            LongSupplier nanoTime,
            Consumer<PcMachine> onClose) {
        this.config = config;
        this.image = image;
        this.memory = memory;
        this.vm = vm;
        this.interruptControllers = interruptControllers;
        this.onClose = onClose;
        this.legacyRam = new GuestLegacyRam(memory);
        this.alarm = interruptControllers ? new TimerAlarm(config.name()) : null;
        this.timer = new Pit(nanoTime, alarm == null ? Pit.Alarm.NONE : alarm, this::giveTimerInterrupt);
        this.pc = new Pc(
                new PcMemory(config.memorySize()),
                config.processors(),
                legacyRam,
                new ConsoleOutput(config.name() + " serial", config.serial(), flusher),
                new ConsoleOutput(config.name() + " debug", config.debug(), flusher),
                this::setSerialInterrupt,
                this.timer,
                clock,
                nanoTime);
    }

    /**
     * As {@link io.membacking.machine.Machines#create}; the name is the caller's to guard.
     *
     * @param onClose told once, before anything of the machine is closed
     */
    static PcMachine create(
            MachineConfig config,
            GuestMemoryManagers memories,
            VirtualMachines virtualMachines,
            ScheduledExecutorService flusher,
            Clock clock,
            LongSupplier nanoTime,
            Consumer<PcMachine> onClose)
            throws MembackingException {
        PcMemory layout = new PcMemory(config.memorySize());
        LoadedImage image = new ImageLoader(layout).load(config.boot());
        GuestMemoryManager memory = build(config, memories, layout);
        try {
            new GuestLegacyRam(memory).hideAll();
            if (config.boot() instanceof BootSource.Firmware firmware) {
                PcRom.place(memory, firmware.image());
            }
            image.writeTo(memory.memory());
            boolean interruptControllers = wantsInterruptControllers(config, virtualMachines.backends());
            VirtualMachine vm = virtualMachines.create(new VmRequest(
                    config.name(),
                    memory,
                    config.processors(),
                    interruptControllers,
                    false,
                    0,
                    config.backendFilter(),
                    MovePolicy.WHEN_BACKEND_DEPARTS));
            return new PcMachine(config, image, memory, vm, interruptControllers, flusher, clock, nanoTime, onClose);
        } catch (MembackingException | RuntimeException e) {
            memory.close();
            throw e;
        }
    }

    private static GuestMemoryManager build(MachineConfig config, GuestMemoryManagers memories, PcMemory layout)
            throws MembackingException {
        if (memories.manager(config.name()).isPresent()) {
            throw new IllegalArgumentException(
                    "there is a guest named " + config.name() + " already; give another name");
        }
        return memories.builder(config.name())
                .layout(layout.layout())
                .x86LegacySupport(true)
                .build();
    }

    /** A kernel may do without them: it gets none where the backends that are there have none. */
    private static boolean wantsInterruptControllers(MachineConfig config, List<BackendInfo> backends) {
        if (config.interruptControllers().isPresent()) {
            return config.interruptControllers().get();
        }
        if (!(config.boot() instanceof BootSource.Kernel)) {
            return config.boot() instanceof BootSource.Firmware;
        }
        List<BackendInfo> usable = backends.stream()
                .filter(backend -> backend.availability().usable())
                .filter(backend -> config.backendFilter()
                        .map(filter -> admits(filter, backend))
                        .orElse(true))
                .toList();
        return usable.isEmpty()
                || usable.stream().anyMatch(backend -> backend.capabilities().interruptControllers());
    }

    private static boolean admits(String filter, BackendInfo backend) {
        try {
            return FrameworkUtil.createFilter(filter).matches(backend.properties());
        } catch (InvalidSyntaxException e) {
            throw new IllegalArgumentException("backend filter " + filter + " cannot be parsed", e);
        }
    }

    @Override
    public String name() {
        return config.name();
    }

    @Override
    public MachineConfig config() {
        return config;
    }

    @Override
    public GuestMemoryManager memory() {
        return memory;
    }

    @Override
    public VirtualMachine vm() {
        return vm;
    }

    Pit timer() {
        return timer;
    }

    ExitCounters exits() {
        return pc.counters();
    }

    @Override
    public Run start() throws MembackingException {
        synchronized (lifecycle) {
            if (closed) {
                throw new IllegalStateException("machine " + name() + " is closed");
            }
            if (vm.state() != VmState.READY) {
                throw new IllegalStateException(
                        "machine " + name() + " cannot start, it is " + vm.state() + ": " + vm.status());
            }
            vm.reset();
            legacyRam.hideAll();
            Runnable atEnd = pc.reset();
            image.writeTo(memory.memory());
            for (int processor = 0; processor < vm.processors(); processor++) {
                Optional<ProcessorState> start = image.start().state(vm.processorState(processor), processor);
                if (start.isPresent()) {
                    vm.setProcessorState(processor, start.get());
                }
            }
            // Without interrupt controllers nothing can start a kernel's other processors.
            int running = interruptControllers || config.boot() instanceof BootSource.Flat ? vm.processors() : 1;
            return new MachineRun(vm.start(pc, running), atEnd);
        }
    }

    @Override
    public void close() {
        synchronized (lifecycle) {
            if (closed) {
                return;
            }
            closed = true;
        }
        onClose.accept(this);
        if (alarm != null) {
            alarm.close();
        }
        vm.close();
        pc.end();
        memory.close();
    }

    private void setSerialInterrupt(boolean raised) {
        if (!interruptControllers) {
            return;
        }
        try {
            vm.setInterruptLine(Serial16550.INTERRUPT, raised);
        } catch (BackendException e) {
            interruptsAreLost(e);
        }
    }

    private boolean giveTimerInterrupt() {
        try {
            return vm.pulseInterruptLine(Pit.INTERRUPT);
        } catch (BackendException e) {
            interruptsAreLost(e);
            return true;
        }
    }

    private void interruptsAreLost(BackendException e) {
        if (!interruptLineFailed.getAndSet(true)) {
            LOG.log(Level.WARNING, name() + ": interrupts are lost", e);
        }
    }

    @Override
    public void inspect(Inspection inspection) {
        inspection.text("boot", config.boot().name());
        inspection.text("state", vm.state().toString());
        inspection.text("status", vm.status());
        vm.lastResult().ifPresent(result -> inspection.text("last result", result.kind() + ": " + result.reason()));
        inspection.number("memory", config.memorySize());
        inspection.number("processors", config.processors());
        inspection.bool("interrupt controllers", interruptControllers);
        pc.inspect(inspection);
    }
}
