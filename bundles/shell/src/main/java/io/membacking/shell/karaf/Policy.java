package io.membacking.shell.karaf;

import io.membacking.shell.internal.Console;
import org.apache.karaf.shell.api.action.Argument;
import org.apache.karaf.shell.api.action.Command;
import org.apache.karaf.shell.api.action.Completion;
import org.apache.karaf.shell.api.action.lifecycle.Service;
import org.apache.karaf.shell.support.completers.StringsCompleter;

@Service
@Command(scope = "membacking", name = "policy", description = "Says when a virtual machine moves by itself.")
public final class Policy extends ConsoleAction {
    @Argument(name = "machine", description = "Virtual machine", required = true)
    @Completion(VirtualMachineCompleter.class)
    private String machine = "";

    @Argument(index = 1, name = "policy", description = "When", required = true)
    @Completion(
            value = StringsCompleter.class,
            values = {"when-backend-departs", "to-better-backend", "pinned"})
    private String policy = "";

    @Override
    Object answer(Console console) {
        return console.policy(machine, policy);
    }
}
