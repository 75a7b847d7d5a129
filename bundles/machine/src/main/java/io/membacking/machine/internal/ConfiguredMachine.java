package io.membacking.machine.internal;

import io.membacking.error.MembackingException;
import io.membacking.machine.BootSource;
import io.membacking.machine.Machine;
import io.membacking.machine.MachineConfig;
import io.membacking.machine.Machines;
import io.membacking.vm.VmState;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.System.Logger.Level;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.ConfigurationPolicy;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Modified;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.Designate;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;
import org.osgi.service.metatype.annotations.Option;

/**
 * A machine by Config Admin: one for each configuration of the factory {@link #PID}. Editing it never ends a guest; what is
 * edited takes effect when the configuration, or the bundle, starts anew, but for {@code autostart}, which starts a machine that
 * stands still.
 */
@Component(
        service = {},
        immediate = true,
        configurationPid = ConfiguredMachine.PID,
        configurationPolicy = ConfigurationPolicy.REQUIRE)
@Designate(ocd = ConfiguredMachine.Config.class, factory = true)
public final class ConfiguredMachine {
    static final String PID = "io.membacking.machine";

    private static final System.Logger LOG = System.getLogger(ConfiguredMachine.class.getName());

    private final Machine machine;
    private final OutputStream serial;
    private final OutputStream debug;
    private final Map<String, Object> properties;
    private final Starter starter;

    /** What can be configured. */
    @ObjectClassDefinition(
            name = "Membacking machine",
            description = "A small PC. Give one of firmware, kernel and flat.")
    public @interface Config {
        @AttributeDefinition(description = "Name of the guest, its memory and its virtual machine; without '/'")
        String name();

        @AttributeDefinition(description = "RAM in MiB", min = "1")
        long memoryMib() default 64;

        @AttributeDefinition(description = "Number of processors", min = "1", max = "255")
        int processors() default 1;

        @AttributeDefinition(description = "Path of a firmware image, at most 16 MiB", required = false)
        String firmware() default "";

        @AttributeDefinition(description = "Path of a multiboot version 1 kernel or an ELF image", required = false)
        String kernel() default "";

        @AttributeDefinition(description = "Command line of the kernel", required = false)
        String commandLine() default "";

        @AttributeDefinition(description = "Path of a flat binary", required = false)
        String flat() default "";

        @AttributeDefinition(description = "Address of the flat binary, in RAM", min = "0", required = false)
        long flatAddress() default 0x8000;

        @AttributeDefinition(
                description = "Mode in which the flat binary starts",
                options = {
                    @Option(label = "Real, 16 bits", value = "REAL"),
                    @Option(label = "Protected, 32 bits", value = "PROTECTED"),
                    @Option(label = "Long, 64 bits", value = "LONG"),
                    @Option(label = "Long, at privilege level 3", value = "LONG_USER")
                },
                required = false)
        String flatMode() default "REAL";

        @AttributeDefinition(
                description = "Where serial output goes: a file to append to, 'log', or nothing to drop it",
                required = false)
        String serial() default "log";

        @AttributeDefinition(
                description =
                        "Where the debug console's output goes: a file to append to, 'log', or nothing to drop it",
                required = false)
        String debug() default "";

        @AttributeDefinition(description = "LDAP filter over the backends' service properties", required = false)
        String backendFilter() default "";

        @AttributeDefinition(
                description = "Whether it has interrupt controllers; without them it can move between all kinds of"
                        + " backends, and a halt ends the guest",
                options = {
                    @Option(label = "If its image needs them", value = "AUTO"),
                    @Option(label = "Yes", value = "YES"),
                    @Option(label = "No", value = "NO")
                },
                required = false)
        String interruptControllers() default "AUTO";

        @AttributeDefinition(description = "Whether to boot it as soon as there is a backend")
        boolean autostart() default true;
    }

    @Activate
    public ConfiguredMachine(
            Config config, Map<String, Object> properties, @Reference(name = "machines") Machines machines)
            throws MembackingException, IOException {
        if (config.name() == null || config.name().isEmpty()) {
            throw new IllegalArgumentException("a machine's configuration has no name; set 'name'");
        }
        this.properties = properties;
        BootSource boot = boot(config);
        serial = output(config.name() + " serial", config.serial());
        debug = outputBeside(serial, config.name() + " debug", config.debug());
        try {
            machine = machines.create(machineConfig(config, boot, serial, debug));
        } catch (MembackingException | RuntimeException e) {
            closeOutputs();
            throw e;
        }
        starter = new Starter(machine);
        if (config.autostart()) {
            starter.start();
        }
    }

    @Modified
    void modified(Config config, Map<String, Object> edited) {
        if (config.autostart() && machine.vm().state() != VmState.RUNNING) {
            starter.start();
        }
        if (!edited.equals(properties)) {
            LOG.log(
                    Level.INFO,
                    "machine {0} keeps what it was made with; what was edited takes effect when it is made anew",
                    machine.name());
        }
    }

    @Deactivate
    void deactivate() {
        starter.close();
        machine.close();
        closeOutputs();
    }

    private static MachineConfig machineConfig(
            Config config, BootSource boot, OutputStream serial, OutputStream debug) {
        MachineConfig asked = new MachineConfig(
                config.name(),
                Math.multiplyExact(config.memoryMib(), 1L << 20),
                config.processors(),
                boot,
                serial,
                debug,
                Optional.of(config.backendFilter()).filter(filter -> !filter.isEmpty()));
        return switch (config.interruptControllers()) {
            case "AUTO" -> asked;
            case "YES" -> asked.withInterruptControllers(true);
            case "NO" -> asked.withInterruptControllers(false);
            default ->
                throw new IllegalArgumentException("machine " + config.name() + " has interruptControllers '"
                        + config.interruptControllers() + "'; set AUTO, YES or NO");
        };
    }

    private static BootSource boot(Config config) throws IOException {
        int given = (config.firmware().isEmpty() ? 0 : 1)
                + (config.kernel().isEmpty() ? 0 : 1)
                + (config.flat().isEmpty() ? 0 : 1);
        if (given != 1) {
            throw new IllegalArgumentException("machine " + config.name() + " has " + given
                    + " images; set exactly one of 'firmware', 'kernel' and 'flat'");
        }
        if (!config.firmware().isEmpty()) {
            return new BootSource.Firmware(config.firmware(), Files.readAllBytes(Path.of(config.firmware())));
        }
        if (!config.kernel().isEmpty()) {
            return new BootSource.Kernel(
                    config.kernel(), Files.readAllBytes(Path.of(config.kernel())), config.commandLine());
        }
        return new BootSource.Flat(
                config.flat(),
                Files.readAllBytes(Path.of(config.flat())),
                config.flatAddress(),
                BootSource.Mode.valueOf(config.flatMode()));
    }

    private static OutputStream output(String name, String where) throws IOException {
        return switch (where) {
            case "" -> OutputStream.nullOutputStream();
            case "log" -> new LogOutput(name);
            default -> Files.newOutputStream(Path.of(where), StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        };
    }

    private static OutputStream outputBeside(OutputStream first, String name, String where) throws IOException {
        try {
            return output(name, where);
        } catch (IOException | RuntimeException e) {
            first.close();
            throw e;
        }
    }

    private void closeOutputs() {
        for (OutputStream output : new OutputStream[] {serial, debug}) {
            try {
                output.close();
            } catch (IOException e) {
                LOG.log(Level.WARNING, "output of a machine could not be closed", e);
            }
        }
    }

    /** Boots a machine when it has a backend, once for each call of start. */
    private static final class Starter implements AutoCloseable {
        private static final Duration ROUND = Duration.ofMinutes(1);

        private final Machine machine;
        private Thread thread;

        Starter(Machine machine) {
            this.machine = machine;
            this.thread = newThread();
        }

        synchronized void start() {
            if (thread.isAlive()) {
                return;
            }
            if (thread.getState() == Thread.State.TERMINATED) {
                thread = newThread();
            }
            thread.start();
        }

        private Thread newThread() {
            Thread starting = new Thread(this::run, "membacking-autostart-" + machine.name());
            starting.setDaemon(true);
            starting.setContextClassLoader(null);
            return starting;
        }

        private void run() {
            try {
                while (!machine.vm().awaitReady(ROUND)) {
                    if (machine.vm().state() == VmState.CLOSED) {
                        return;
                    }
                    // Without a backend it waits for as long as it is configured.
                    LOG.log(
                            Level.DEBUG,
                            "machine {0} waits: {1}",
                            machine.name(),
                            machine.vm().status());
                }
                machine.start();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            } catch (MembackingException | IllegalStateException e) {
                LOG.log(Level.WARNING, "machine " + machine.name() + " did not start", e);
            }
        }

        @Override
        public void close() {
            Thread starting;
            synchronized (this) {
                starting = thread;
            }
            starting.interrupt();
            try {
                starting.join();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
    }
}
