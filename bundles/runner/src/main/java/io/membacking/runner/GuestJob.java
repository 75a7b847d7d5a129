package io.membacking.runner;

import io.membacking.error.AllocationException;
import io.membacking.error.BackendException;
import io.membacking.error.HostMappingException;
import io.membacking.error.MembackingException;
import io.membacking.guests.GuestProgram;
import io.membacking.machine.BootSource;
import io.membacking.machine.Machine;
import io.membacking.machine.MachineConfig;
import io.membacking.machine.Machines;
import io.membacking.partition.Availability;
import io.membacking.region.DriftReport;
import io.membacking.vm.Run;
import io.membacking.vm.RunResult;
import io.membacking.vm.VirtualMachines;
import io.membacking.vm.VirtualMachines.BackendInfo;
import java.io.OutputStream;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/**
 * Boots one guest, shows its output while it runs and its memory map afterwards.
 *
 * <p>Firmware without anything to boot waits for ever after it has said so: its last line, {@value #NO_BOOT_DEVICE}, is what ends
 * the run.
 */
final class GuestJob {
    static final String NO_BOOT_DEVICE = "No bootable device.";

    private static final String NAME = "guest";

    /** What our own programs end with. */
    private static final int OWN_SUCCESS = (GuestProgram.SUCCESS << 1) | 1;

    /** How long a backend's bundle may take to show up after ours. */
    private static final Duration BACKEND_DEADLINE = Duration.ofSeconds(5);

    private static final Duration TICK = Duration.ofMillis(200);

    /** Between two looks whether a guest asks for something. */
    private static final Duration SERVICE = Duration.ofMillis(20);

    private final Machines machines;
    private final VirtualMachines virtualMachines;
    private final Images images;
    private final Terminal terminal;

    GuestJob(Machines machines, VirtualMachines virtualMachines, Images images, Terminal terminal) {
        this.machines = machines;
        this.virtualMachines = virtualMachines;
        this.images = images;
        this.terminal = terminal;
    }

    /** @return the exit code */
    int run(RunOptions options) throws RunFailure {
        BootSource boot;
        try {
            boot = images.choose(options, !options.namesImage() && canRunFirmware(options));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return ExitStatus.HYPERVISOR_FAILED.code();
        }
        CompletableFuture<Run> started = new CompletableFuture<>();
        Machine machine = create(options, boot, () -> {
            var unused =
                    started.thenAccept(run -> run.stop(ExitStatus.DONE.code(), "the firmware found no boot device"));
        });
        try {
            awaitBackend(machine);
            return run(options, machine, started);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return ExitStatus.HYPERVISOR_FAILED.code();
        } finally {
            // The shell shows what is left of it; the framework's stop closes it then.
            if (!options.shell()) {
                machine.close();
            }
        }
    }

    /** Waits until a backend that may be used has shown up; what comes with it has started before us. */
    private boolean canRunFirmware(RunOptions options) throws InterruptedException {
        long end = System.nanoTime() + BACKEND_DEADLINE.toNanos();
        BackendChoice choice = new BackendChoice(options.backend());
        List<BackendInfo> backends = choice.of(virtualMachines.backends());
        while (backends.isEmpty() && System.nanoTime() < end) {
            Thread.sleep(TICK.toMillis());
            backends = choice.of(virtualMachines.backends());
        }
        return backends.stream()
                .anyMatch(backend -> backend.availability().usable()
                        && backend.capabilities().interruptControllers());
    }

    private Machine create(RunOptions options, BootSource boot, Runnable nothingToBoot) throws RunFailure {
        OutputStream serial = terminal.console();
        OutputStream debug = terminal.console();
        if (boot instanceof BootSource.Firmware) {
            serial = new LineWatch(serial, NO_BOOT_DEVICE, nothingToBoot);
            debug = new LineWatch(debug, NO_BOOT_DEVICE, nothingToBoot);
        }
        try {
            MachineConfig config = MachineConfig.of(NAME, boot)
                    .withMemory(options.memory())
                    .withProcessors(options.processors())
                    .withOutput(serial, debug);
            if (!options.backend().isEmpty()) {
                config = config.withBackendFilter(options.backend());
            }
            return machines.create(Images.isOwn(boot) ? config.withInterruptControllers(false) : config);
        } catch (IllegalArgumentException e) {
            throw new RunFailure(ExitStatus.BAD_IMAGE, message(e));
        } catch (AllocationException | HostMappingException e) {
            throw new RunFailure(ExitStatus.NO_MEMORY, message(e));
        } catch (MembackingException e) {
            throw new RunFailure(ExitStatus.BAD_MEMORY_SIZE, message(e));
        }
    }

    private void awaitBackend(Machine machine) throws RunFailure, InterruptedException {
        long end = System.nanoTime() + BACKEND_DEADLINE.toNanos();
        while (!machine.vm().awaitReady(TICK)) {
            List<BackendInfo> backends = virtualMachines.backends();
            if (!backends.isEmpty() || System.nanoTime() > end) {
                throw noBackend(machine, backends);
            }
        }
    }

    private static RunFailure noBackend(Machine machine, List<BackendInfo> backends) {
        if (backends.isEmpty()) {
            return new RunFailure(
                    ExitStatus.NO_HYPERVISOR,
                    "no hypervisor backend is installed; add one, for example partition-kvm or partition-whp");
        }
        for (BackendInfo backend : backends) {
            Availability availability = backend.availability();
            if (!availability.usable()) {
                return new RunFailure(
                        isPermission(availability.reason()) ? ExitStatus.NO_PERMISSION : ExitStatus.NO_HYPERVISOR,
                        backend.name() + " cannot be used: " + availability.reason() + "; " + availability.remedy());
            }
        }
        return new RunFailure(
                ExitStatus.NO_HYPERVISOR,
                "no hypervisor can run this guest: " + machine.vm().status());
    }

    /** By the name of the system's error, which backends put into their reason. */
    private static boolean isPermission(String reason) {
        return reason.contains("EACCES") || reason.contains("EPERM") || reason.contains("ACCESSDENIED");
    }

    private int run(RunOptions options, Machine machine, CompletableFuture<Run> started)
            throws RunFailure, InterruptedException {
        MemoryMapReport report = new MemoryMapReport(machine.memory().regions());
        String backend = machine.vm().backend().orElse("?");
        new BackendChoice(options.backend())
                .passedOver(virtualMachines.backends(), backend)
                .forEach(terminal::say);
        terminal.say("Booting " + machine.config().boot().name() + " with " + (options.memory() >> 20) + " MiB on "
                + backend + ".");
        long begun = System.nanoTime();
        long before = report.lastSequence();
        Run run = start(machine);
        started.complete(run);
        Workout workout = Images.isWorkout(machine.config().boot()) ? new Workout(machine, terminal) : null;
        Duration tick = workout == null ? TICK : SERVICE;
        Optional<RunResult> result = run.await(tick);
        while (result.isEmpty()) {
            if (workout != null) {
                workout.serve();
            }
            Duration elapsed = Duration.ofNanos(System.nanoTime() - begun);
            if (!options.timeout().isZero() && elapsed.compareTo(options.timeout()) >= 0) {
                run.stop(
                        ExitStatus.TIMEOUT.code(),
                        "its time of " + options.timeout().toSeconds() + " s was over");
            }
            terminal.progress("running for " + elapsed.toSeconds() + " s");
            result = run.await(tick);
        }
        int code = finish(machine, report, before, result.get());
        return workout != null && !workout.served() && code == OWN_SUCCESS ? ExitStatus.GUEST_NOT_SERVED.code() : code;
    }

    private static Run start(Machine machine) throws RunFailure {
        try {
            return machine.start();
        } catch (BackendException e) {
            throw new RunFailure(ExitStatus.NO_HYPERVISOR, message(e));
        } catch (MembackingException | IllegalStateException e) {
            throw new RunFailure(ExitStatus.HYPERVISOR_FAILED, message(e));
        }
    }

    private int finish(Machine machine, MemoryMapReport report, long before, RunResult result) {
        int code = code(result);
        terminal.say("");
        terminal.say("Guest ended: " + result.reason() + ".");
        terminal.say("");
        terminal.say("Memory map as the guest left it:");
        report.table().forEach(terminal::say);
        terminal.say("");
        terminal.say(report.changesSince(before));
        DriftReport drift = machine.memory().regions().checkDrift();
        MemoryMapReport.drift(drift).forEach(terminal::say);
        return code == ExitStatus.DONE.code() && !drift.clean() ? ExitStatus.DRIFT.code() : code;
    }

    /** What a guest gave at its exit port is odd; only the low 8 bits survive the operating system. */
    private static int code(RunResult result) {
        return switch (result.kind()) {
            case STOPPED -> result.code() & 0xff;
            case HALTED -> ExitStatus.DONE.code();
            case SHUTDOWN -> ExitStatus.GUEST_CRASHED.code();
            case MEMORY_FAULT, EMULATION_FAILED, BACKEND_DEPARTED, DETACHED, FAILED, CLOSED ->
                ExitStatus.HYPERVISOR_FAILED.code();
        };
    }

    private static String message(Exception e) {
        return e.getMessage() == null
                ? e.toString()
                : e.getMessage().lines().findFirst().orElse(e.toString());
    }
}
