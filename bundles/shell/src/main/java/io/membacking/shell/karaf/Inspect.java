package io.membacking.shell.karaf;

import io.membacking.shell.internal.Console;
import org.apache.karaf.shell.api.action.Argument;
import org.apache.karaf.shell.api.action.Command;
import org.apache.karaf.shell.api.action.Completion;
import org.apache.karaf.shell.api.action.Option;
import org.apache.karaf.shell.api.action.lifecycle.Service;

@Service
@Command(scope = "membacking", name = "inspect", description = "Shows the inspect tree.")
public final class Inspect extends ConsoleAction {
    @Argument(name = "path", description = "Path: guests/x/regions")
    @Completion(InspectPathCompleter.class)
    private String path = "";

    @Option(name = "-d", aliases = "--depth", description = "Levels to enter")
    private int depth = 8;

    @Option(name = "-s", aliases = "--sensitive", description = "Show host addresses too")
    private boolean sensitive;

    @Option(name = "-j", aliases = "--json", description = "As JSON")
    private boolean json;

    @Override
    Object answer(Console console) {
        return console.inspect(path, depth, sensitive, json);
    }
}
