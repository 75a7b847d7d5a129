package io.membacking.shell.karaf;

import io.membacking.error.MembackingException;
import io.membacking.shell.internal.Console;
import java.util.Optional;
import org.apache.karaf.shell.api.action.Argument;
import org.apache.karaf.shell.api.action.Command;
import org.apache.karaf.shell.api.action.Completion;
import org.apache.karaf.shell.api.action.lifecycle.Service;

@Service
@Command(
        scope = "membacking",
        name = "trace",
        description = "Writes what a virtual machine's processors do to a file, or ends that.")
public final class Trace extends ConsoleAction {
    @Argument(name = "machine", description = "Virtual machine", required = true)
    @Completion(VirtualMachineCompleter.class)
    private String machine = "";

    @Argument(index = 1, name = "file", description = "File; left out, the trace ends")
    private String file = "";

    @Override
    Object answer(Console console) throws MembackingException {
        return console.trace(machine, file.isEmpty() ? Optional.empty() : Optional.of(file));
    }
}
