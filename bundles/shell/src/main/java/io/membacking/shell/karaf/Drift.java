package io.membacking.shell.karaf;

import io.membacking.shell.internal.Console;
import java.util.Optional;
import org.apache.karaf.shell.api.action.Argument;
import org.apache.karaf.shell.api.action.Command;
import org.apache.karaf.shell.api.action.Completion;
import org.apache.karaf.shell.api.action.lifecycle.Service;
import org.jspecify.annotations.Nullable;

@Service
@Command(
        scope = "membacking",
        name = "drift",
        description = "Compares every view of every guest, or of one, with its regions.")
public final class Drift extends ConsoleAction {
    @Argument(name = "guest", description = "Guest", required = false)
    @Completion(GuestCompleter.class)
    private @Nullable String guest;

    @Override
    Object answer(Console console) {
        return console.drift(Optional.ofNullable(guest));
    }
}
