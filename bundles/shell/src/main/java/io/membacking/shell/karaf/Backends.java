package io.membacking.shell.karaf;

import io.membacking.shell.internal.Console;
import org.apache.karaf.shell.api.action.Command;
import org.apache.karaf.shell.api.action.lifecycle.Service;

@Service
@Command(scope = "membacking", name = "backends", description = "Lists the hypervisor backends, best first.")
public final class Backends extends ConsoleAction {
    @Override
    Object answer(Console console) {
        return console.backends();
    }
}
