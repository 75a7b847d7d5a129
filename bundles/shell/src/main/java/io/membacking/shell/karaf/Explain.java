package io.membacking.shell.karaf;

import io.membacking.shell.internal.Console;
import org.apache.karaf.shell.api.action.Argument;
import org.apache.karaf.shell.api.action.Command;
import org.apache.karaf.shell.api.action.Completion;
import org.apache.karaf.shell.api.action.lifecycle.Service;

@Service
@Command(scope = "membacking", name = "explain", description = "Says why a guest-physical address is what it is.")
public final class Explain extends ConsoleAction {
    @Argument(name = "guest", description = "Guest", required = true)
    @Completion(GuestCompleter.class)
    private String guest = "";

    @Argument(index = 1, name = "address", description = "Address: 0x1000", required = true)
    private String address = "";

    @Override
    Object answer(Console console) {
        return console.explain(guest, address);
    }
}
