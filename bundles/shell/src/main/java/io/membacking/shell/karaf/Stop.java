package io.membacking.shell.karaf;

import io.membacking.shell.internal.Console;
import org.apache.karaf.shell.api.action.Argument;
import org.apache.karaf.shell.api.action.Command;
import org.apache.karaf.shell.api.action.Completion;
import org.apache.karaf.shell.api.action.lifecycle.Service;

@Service
@Command(scope = "membacking", name = "stop", description = "Stops a machine and frees its memory.")
public final class Stop extends ConsoleAction {
    @Argument(name = "machine", description = "Machine", required = true)
    @Completion(MachineCompleter.class)
    private String machine = "";

    @Override
    Object answer(Console console) {
        return console.stop(machine);
    }
}
