package io.membacking.itests.karaf;

import io.membacking.itests.support.Conditions;
import io.membacking.itests.support.Container;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.security.PrivilegedActionException;
import java.security.PrivilegedExceptionAction;
import javax.security.auth.Subject;
import org.apache.karaf.jaas.boot.principal.RolePrincipal;
import org.apache.karaf.shell.api.console.Session;
import org.apache.karaf.shell.api.console.SessionFactory;

/** Karaf's shell, for its administrator: commands in, text out. */
final class Shell {
    private final SessionFactory sessions;

    Shell(SessionFactory sessions) {
        this.sessions = sessions;
    }

    /** Waits for a command to be known. */
    void await(String scope, String name) {
        Conditions.await(
                () -> sessions.getRegistry().getCommand(scope, name) != null,
                Container.DEADLINE,
                () -> "no " + scope + ":" + name + " among "
                        + sessions.getRegistry().getCommands());
    }

    /** Runs a command to its end and returns what it wrote. */
    String run(String command) throws Exception {
        Subject administrator = new Subject();
        administrator.getPrincipals().add(new RolePrincipal("admin"));
        administrator.getPrincipals().add(new RolePrincipal("manager"));
        try {
            return Subject.doAs(administrator, (PrivilegedExceptionAction<String>) () -> runAsCaller(command));
        } catch (PrivilegedActionException e) {
            throw e.getException();
        }
    }

    private String runAsCaller(String command) throws Exception {
        ByteArrayOutputStream output = new ByteArrayOutputStream();
        PrintStream stream = new PrintStream(output, true, StandardCharsets.UTF_8);
        Session session = sessions.create(new ByteArrayInputStream(new byte[0]), stream, stream);
        try {
            session.execute(command);
            return output.toString(StandardCharsets.UTF_8);
        } finally {
            session.close();
        }
    }
}
