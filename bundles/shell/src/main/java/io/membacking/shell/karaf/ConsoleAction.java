package io.membacking.shell.karaf;

import io.membacking.error.MembackingException;
import io.membacking.shell.internal.Console;
import io.membacking.shell.internal.Table;
import java.io.IOException;
import java.io.PrintStream;
import org.apache.karaf.shell.api.action.Action;
import org.apache.karaf.shell.api.action.Option;
import org.apache.karaf.shell.api.action.lifecycle.Reference;
import org.apache.karaf.shell.api.console.Session;
import org.apache.karaf.shell.support.table.ShellTable;
import org.jspecify.annotations.Nullable;

/** A command that shows the console's answer: a table, with or without format, or text. */
abstract class ConsoleAction implements Action {
    @Option(name = "--no-format", description = "Disable table rendered output")
    private boolean noFormat;

    @Reference
    private @Nullable Console console;

    @Reference
    private @Nullable Session session;

    abstract Object answer(Console from) throws MembackingException, IOException;

    @Override
    public final @Nullable Object execute() throws MembackingException, IOException {
        if (console == null || session == null) {
            throw new IllegalStateException("the console has gone");
        }
        Object answer = answer(console);
        PrintStream out = session.getConsole();
        if (answer instanceof Table table) {
            ShellTable shown = new ShellTable();
            table.headings().forEach(shown::column);
            table.rows().forEach(row -> shown.addRow().addContent(row.toArray()));
            shown.print(out, !noFormat);
        } else {
            out.print(answer);
        }
        return null;
    }
}
