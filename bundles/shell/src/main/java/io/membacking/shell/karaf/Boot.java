package io.membacking.shell.karaf;

import io.membacking.error.MembackingException;
import io.membacking.shell.internal.BootOptions;
import io.membacking.shell.internal.Console;
import java.io.IOException;
import org.apache.karaf.shell.api.action.Argument;
import org.apache.karaf.shell.api.action.Command;
import org.apache.karaf.shell.api.action.Completion;
import org.apache.karaf.shell.api.action.Option;
import org.apache.karaf.shell.api.action.lifecycle.Service;
import org.apache.karaf.shell.support.completers.FileCompleter;
import org.jspecify.annotations.Nullable;

@Service
@Command(scope = "membacking", name = "boot", description = "Makes a machine and boots it, or boots one again.")
public final class Boot extends ConsoleAction {
    @Argument(name = "machine", description = "Machine", required = true)
    @Completion(MachineCompleter.class)
    private String machine = "";

    @Option(name = "-m", aliases = "--memory", description = "RAM: 64M")
    private String memory = "64M";

    @Option(name = "-p", aliases = "--processors", description = "Processors")
    private int processors = 1;

    @Option(name = "-f", aliases = "--firmware", description = "Firmware image")
    @Completion(FileCompleter.class)
    private @Nullable String firmware;

    @Option(name = "-k", aliases = "--kernel", description = "Kernel image")
    @Completion(FileCompleter.class)
    private @Nullable String kernel;

    @Option(name = "-a", aliases = "--append", description = "The kernel's command line")
    private String append = "";

    @Option(
            name = "-n",
            aliases = "--no-interrupts",
            description = "Without interrupt controllers, as a move to a backend of another kind needs")
    private boolean noInterrupts;

    @Override
    Object answer(Console console) throws MembackingException, IOException {
        return console.boot(new BootOptions(machine, memory, processors, firmware, kernel, append, noInterrupts));
    }
}
