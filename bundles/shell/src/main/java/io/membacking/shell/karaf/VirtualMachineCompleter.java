package io.membacking.shell.karaf;

import io.membacking.shell.internal.Console;
import java.util.List;
import org.apache.karaf.shell.api.action.lifecycle.Reference;
import org.apache.karaf.shell.api.action.lifecycle.Service;
import org.apache.karaf.shell.api.console.CommandLine;
import org.apache.karaf.shell.api.console.Completer;
import org.apache.karaf.shell.api.console.Session;
import org.apache.karaf.shell.support.completers.StringsCompleter;
import org.jspecify.annotations.Nullable;

/** Completes virtual machines. */
@Service
public final class VirtualMachineCompleter implements Completer {
    @Reference
    private @Nullable Console console;

    @Override
    public int complete(Session session, CommandLine line, List<String> candidates) {
        Console current = console;
        return current == null
                ? -1
                : new StringsCompleter(current.virtualMachineNames()).complete(session, line, candidates);
    }
}
