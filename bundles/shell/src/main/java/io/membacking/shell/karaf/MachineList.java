package io.membacking.shell.karaf;

import io.membacking.shell.internal.Console;
import org.apache.karaf.shell.api.action.Command;
import org.apache.karaf.shell.api.action.lifecycle.Service;

@Service
@Command(scope = "membacking", name = "machines", description = "Lists the machines.")
public final class MachineList extends ConsoleAction {
    @Override
    Object answer(Console console) {
        return console.machines();
    }
}
