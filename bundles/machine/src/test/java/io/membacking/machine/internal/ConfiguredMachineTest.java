package io.membacking.machine.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.error.BackendException;
import io.membacking.guests.GuestProgram;
import io.membacking.machine.Machine;
import io.membacking.vm.VmState;
import java.io.IOException;
import java.lang.reflect.Proxy;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
final class ConfiguredMachineTest {
    @TempDir
    private Path folder;

    private RealHost host;

    @BeforeEach
    void openHost() {
        host = new RealHost();
    }

    @AfterEach
    void closeHost() {
        host.close();
    }

    @Test
    void aConfigurationBootsAMachineThatWritesToItsFile() throws Exception {
        Path kernel = Files.write(folder.resolve("hello.elf"), GuestProgram.HELLO.bytes());
        Path output = folder.resolve("serial.txt");
        Map<String, Object> properties =
                Map.of("name", "web1", "kernel", kernel.toString(), "serial", output.toString(), "debug", "log");
        ConfiguredMachine configured = new ConfiguredMachine(config(properties), properties, host.machines());
        Machine machine = host.machines().machine("web1").orElseThrow();
        await(() -> machine.vm().lastResult().isPresent());
        assertEquals(33, machine.vm().lastResult().orElseThrow().code());
        await(() -> read(output).contains("All checks passed."));
        configured.deactivate();
        assertEquals(List.of(), host.machines().machines());
    }

    @Test
    void anEditNeverEndsARunningGuest() throws Exception {
        Map<String, Object> properties = spinning(Map.of("autostart", false));
        ConfiguredMachine configured = new ConfiguredMachine(config(properties), properties, host.machines());
        Machine machine = host.machines().machine("web1").orElseThrow();
        assertEquals(VmState.READY, machine.vm().state());
        Map<String, Object> edited = spinning(Map.of("memoryMib", 32L));
        configured.modified(config(edited), edited);
        await(() -> machine.vm().state() == VmState.RUNNING);
        configured.modified(config(edited), edited);
        assertEquals(VmState.RUNNING, machine.vm().state());
        assertEquals(machine, host.machines().machine("web1").orElseThrow());
        configured.deactivate();
        assertEquals(VmState.CLOSED, machine.vm().state());
    }

    @Test
    void withoutABackendItWaitsAndBootsWhenOneComes() throws Exception {
        host.kvmDeparts();
        Map<String, Object> properties = spinning(Map.of());
        ConfiguredMachine configured = new ConfiguredMachine(config(properties), properties, host.machines());
        Machine machine = host.machines().machine("web1").orElseThrow();
        assertEquals(VmState.WAITING, machine.vm().state());
        host.kvmReturns();
        await(() -> machine.vm().state() == VmState.RUNNING);
        configured.deactivate();

        host.kvmDeparts();
        ConfiguredMachine waiting = new ConfiguredMachine(config(properties), properties, host.machines());
        waiting.deactivate();
        assertFalse(Thread.getAllStackTraces().keySet().stream()
                .anyMatch(t -> t.getName().startsWith("membacking-autostart")));
    }

    @Test
    void anOutputThatCannotBeOpenedLeavesNoneOpen() throws Exception {
        Path serial = folder.resolve("serial.txt");
        Path nowhere = folder.resolve("missing").resolve("debug.txt");
        Map<String, Object> properties =
                new HashMap<>(spinning(Map.of("serial", serial.toString(), "debug", nowhere.toString())));
        assertThrows(IOException.class, () -> new ConfiguredMachine(config(properties), properties, host.machines()));
        assertEquals(List.of(), openFiles(serial));
        assertEquals(List.of(), host.machines().machines());
    }

    private static List<Path> openFiles(Path file) throws IOException {
        List<Path> open = new ArrayList<>();
        try (DirectoryStream<Path> descriptors = Files.newDirectoryStream(Path.of("/proc/self/fd"))) {
            for (Path descriptor : descriptors) {
                // The one that lists them is gone when its turn comes.
                if (Files.exists(descriptor) && Files.isSameFile(descriptor, file)) {
                    open.add(descriptor);
                }
            }
        }
        return open;
    }

    @Test
    void itHasInterruptControllersOnlyIfAskedForThem() throws Exception {
        Path kernel = Files.write(folder.resolve("hello.elf"), GuestProgram.HELLO.bytes());
        for (String asked : List.of("AUTO", "YES", "NO")) {
            Map<String, Object> properties =
                    Map.of("name", "web1", "kernel", kernel.toString(), "interruptControllers", asked);
            ConfiguredMachine configured = new ConfiguredMachine(config(properties), properties, host.machines());
            Machine machine = host.machines().machine("web1").orElseThrow();
            await(() -> machine.vm().lastResult().isPresent());
            assertEquals(33, machine.vm().lastResult().orElseThrow().code());
            assertEquals(!asked.equals("NO"), takesAnEdge(machine));
            configured.deactivate();
        }
        assertRefused(
                "AUTO, YES or NO", Map.of("name", "web1", "kernel", kernel.toString(), "interruptControllers", "?"));
    }

    @Test
    void whatIsMissingIsNamed() {
        assertRefused("'name'", Map.of("kernel", "x"));
        assertRefused("exactly one", Map.of("name", "web1"));
        assertRefused("exactly one", Map.of("name", "web1", "kernel", "x", "flat", "y"));
        Map<String, Object> properties =
                Map.of("name", "web1", "kernel", folder.resolve("none").toString());
        assertThrows(IOException.class, () -> new ConfiguredMachine(config(properties), properties, host.machines()));
        assertEquals(List.of(), host.machines().machines());
    }

    private static boolean takesAnEdge(Machine machine) {
        try {
            return machine.vm().pulseInterruptLine(5);
        } catch (BackendException e) {
            return false;
        }
    }

    private void assertRefused(String text, Map<String, Object> properties) {
        String message = assertThrows(
                        IllegalArgumentException.class,
                        () -> new ConfiguredMachine(config(properties), properties, host.machines()))
                .getMessage();
        assertTrue(message.contains(text), message);
    }

    private Map<String, Object> spinning(Map<String, Object> more) throws IOException {
        Path flat = Files.write(folder.resolve("spin"), HexFormat.of().parseHex("ebfe"));
        Map<String, Object> properties = new HashMap<>(more);
        properties.putAll(Map.of("name", "web1", "flat", flat.toString()));
        return properties;
    }

    /** As Declarative Services gives it: what is not set has its default. */
    private static ConfiguredMachine.Config config(Map<String, Object> properties) {
        return (ConfiguredMachine.Config) Proxy.newProxyInstance(
                ConfiguredMachine.Config.class.getClassLoader(),
                new Class<?>[] {ConfiguredMachine.Config.class},
                (proxy, method, arguments) -> properties.getOrDefault(method.getName(), method.getDefaultValue()));
    }

    private static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            return "";
        }
    }

    private static void await(BooleanSupplier condition) {
        while (!condition.getAsBoolean()) {
            Thread.onSpinWait();
        }
    }
}
