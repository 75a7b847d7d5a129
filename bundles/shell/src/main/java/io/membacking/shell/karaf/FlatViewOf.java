package io.membacking.shell.karaf;

import io.membacking.shell.internal.Console;
import org.apache.karaf.shell.api.action.Argument;
import org.apache.karaf.shell.api.action.Command;
import org.apache.karaf.shell.api.action.Completion;
import org.apache.karaf.shell.api.action.lifecycle.Service;

@Service
@Command(scope = "membacking", name = "flat", description = "Shows what a guest sees.")
public final class FlatViewOf extends ConsoleAction {
    @Argument(name = "guest", description = "Guest", required = true)
    @Completion(GuestCompleter.class)
    private String guest = "";

    @Override
    Object answer(Console console) {
        return console.flatView(guest);
    }
}
