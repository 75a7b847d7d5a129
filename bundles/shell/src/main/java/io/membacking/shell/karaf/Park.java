package io.membacking.shell.karaf;

import io.membacking.shell.internal.Console;
import org.apache.karaf.shell.api.action.Argument;
import org.apache.karaf.shell.api.action.Command;
import org.apache.karaf.shell.api.action.Completion;
import org.apache.karaf.shell.api.action.lifecycle.Service;

@Service
@Command(
        scope = "membacking",
        name = "park",
        description = "Takes a virtual machine off its backend until it is moved to one.")
public final class Park extends ConsoleAction {
    @Argument(name = "machine", description = "Virtual machine", required = true)
    @Completion(VirtualMachineCompleter.class)
    private String machine = "";

    @Override
    Object answer(Console console) {
        return console.park(machine, "asked for by a command");
    }
}
