package io.membacking.shell.karaf;

import io.membacking.shell.internal.Console;
import org.apache.karaf.shell.api.action.Argument;
import org.apache.karaf.shell.api.action.Command;
import org.apache.karaf.shell.api.action.Completion;
import org.apache.karaf.shell.api.action.lifecycle.Service;

@Service
@Command(
        scope = "membacking",
        name = "forecast",
        description = "Says what moving a virtual machine to another backend would carry over.")
public final class Forecast extends ConsoleAction {
    @Argument(name = "machine", description = "Virtual machine", required = true)
    @Completion(VirtualMachineCompleter.class)
    private String machine = "";

    @Argument(
            index = 1,
            name = "backend",
            description = "Backend: its name, its service's number or a filter; the best other if left out")
    @Completion(BackendCompleter.class)
    private String backend = "";

    @Override
    Object answer(Console console) {
        return console.forecast(machine, backend);
    }
}
