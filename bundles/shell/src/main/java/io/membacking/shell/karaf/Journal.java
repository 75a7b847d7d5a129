package io.membacking.shell.karaf;

import io.membacking.shell.internal.Console;
import org.apache.karaf.shell.api.action.Argument;
import org.apache.karaf.shell.api.action.Command;
import org.apache.karaf.shell.api.action.Completion;
import org.apache.karaf.shell.api.action.lifecycle.Service;
import org.jspecify.annotations.Nullable;

@Service
@Command(
        scope = "membacking",
        name = "journal",
        description = "Lists the latest changes of a guest, or shows one with its plan.")
public final class Journal extends ConsoleAction {
    @Argument(name = "guest", description = "Guest", required = true)
    @Completion(GuestCompleter.class)
    private String guest = "";

    @Argument(index = 1, name = "number", description = "The change to show with its plan")
    private @Nullable Long sequence;

    @Override
    Object answer(Console console) {
        return sequence == null ? console.journal(guest) : console.journalEntry(guest, sequence);
    }
}
