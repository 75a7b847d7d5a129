package io.membacking.shell.karaf;

import io.membacking.error.MembackingException;
import io.membacking.shell.internal.Console;
import org.apache.karaf.shell.api.action.Argument;
import org.apache.karaf.shell.api.action.Command;
import org.apache.karaf.shell.api.action.Completion;
import org.apache.karaf.shell.api.action.lifecycle.Service;
import org.apache.karaf.shell.support.completers.StringsCompleter;

@Service
@Command(scope = "membacking", name = "visibility", description = "Sets what a guest sees of one RAM region.")
public final class Visibility extends ConsoleAction {
    @Argument(name = "guest", description = "Guest", required = true)
    @Completion(GuestCompleter.class)
    private String guest = "";

    @Argument(index = 1, name = "range", description = "Range of a RAM region: 0xc0000-0xc4000", required = true)
    private String range = "";

    @Argument(index = 2, name = "visibility", description = "read-write, read-only or unmapped", required = true)
    @Completion(
            value = StringsCompleter.class,
            values = {"read-write", "read-only", "unmapped"})
    private String visibility = "";

    @Override
    Object answer(Console console) throws MembackingException {
        return console.visibility(guest, range, visibility);
    }
}
