package io.membacking.runner;

import io.membacking.machine.Machines;
import io.membacking.vm.VirtualMachines;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.ToIntFunction;
import org.osgi.framework.BundleContext;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Reference;

/**
 * What the runnable jar does: called once, on the main thread, with the command line; its result is the exit code. The
 * launcher waits until this component's references are satisfied. Its options are described in {@code help.txt}.
 */
@Component(service = ToIntFunction.class, property = "membacking.main:Boolean=true")
public final class MainJob implements ToIntFunction<List<String>> {
    private final String version;
    private final Machines machines;
    private final VirtualMachines virtualMachines;

    @Activate
    public MainJob(
            BundleContext context,
            @Reference(name = "machines") Machines machines,
            @Reference(name = "virtualMachines") VirtualMachines virtualMachines) {
        this.version = context.getBundle().getVersion().toString();
        this.machines = machines;
        this.virtualMachines = virtualMachines;
    }

    @Override
    public int applyAsInt(List<String> arguments) {
        Terminal terminal = new Terminal(System.out, System.err, isTerminal(2));
        try {
            RunOptions options = RunOptions.parse(arguments);
            if (options.version()) {
                terminal.say("Membacking " + version);
                return ExitStatus.DONE.code();
            }
            return new GuestJob(machines, virtualMachines, new Images(), terminal).run(options);
        } catch (RunFailure e) {
            terminal.complain("membacking: " + e.getMessage());
            return e.status().code();
        }
    }

    /** Java tells only of standard input and output together, and of a terminal on Windows always. */
    private static boolean isTerminal(int descriptor) {
        try {
            String target = Files.readSymbolicLink(Path.of("/proc/self/fd/" + descriptor))
                    .toString();
            return target.startsWith("/dev/pts/") || target.startsWith("/dev/tty") || target.equals("/dev/console");
        } catch (IOException | UnsupportedOperationException e) {
            return false;
        }
    }
}
