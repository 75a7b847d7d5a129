package io.membacking.shell.karaf;

import io.membacking.error.MembackingException;
import io.membacking.shell.internal.Console;
import java.util.Optional;
import org.apache.karaf.shell.api.action.Argument;
import org.apache.karaf.shell.api.action.Command;
import org.apache.karaf.shell.api.action.Completion;
import org.apache.karaf.shell.api.action.lifecycle.Service;
import org.apache.karaf.shell.support.completers.StringsCompleter;
import org.jspecify.annotations.Nullable;

@Service
@Command(scope = "membacking", name = "plan", description = "Shows the plan of a change without carrying it out.")
public final class PlanOf extends ConsoleAction {
    @Argument(name = "guest", description = "Guest", required = true)
    @Completion(GuestCompleter.class)
    private String guest = "";

    @Argument(index = 1, name = "operation", description = "map, map-read-only, unmap, remove or move", required = true)
    @Completion(
            value = StringsCompleter.class,
            values = {"map", "map-read-only", "unmap", "remove", "move"})
    private String operation = "";

    @Argument(index = 2, name = "region", description = "Region: ram#1", required = true)
    @Completion(RegionCompleter.class)
    private String region = "";

    @Argument(index = 3, name = "address", description = "Where to move to")
    private @Nullable String address;

    @Override
    Object answer(Console console) throws MembackingException {
        return console.plan(guest, operation, region, Optional.ofNullable(address));
    }
}
