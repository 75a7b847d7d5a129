package io.membacking.itests.windows.launch;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.Principal;
import java.security.PrivilegedExceptionAction;
import java.util.List;
import java.util.concurrent.TimeUnit;
import javax.security.auth.Subject;
import org.osgi.framework.BundleContext;
import org.osgi.framework.InvalidSyntaxException;
import org.osgi.framework.launch.Framework;
import org.osgi.util.tracker.ServiceTracker;

/**
 * {@code KarafCommands KAR COMMAND...}: stock Karaf in this JVM, which its system properties and class path are to be set for, a
 * KAR file that is installed, and commands of its shell, each with what it writes, as its administrator. A command in the form
 * {@code TEXT <- COMMAND} is given again until it writes the text. Ends with 0 if all went well, and otherwise with 1 and why.
 *
 * <p>Its shell is asked for as a service, for there is no terminal; Karaf's classes are not compiled against.
 */
public final class KarafCommands {
    private static final String UNTIL = " <- ";
    private static final long DEADLINE = TimeUnit.SECONDS.toMillis(90);
    private static final long PAUSE = 100;

    private KarafCommands() {}

    public static void main(String[] arguments) {
        int status = 1;
        try {
            Object karaf = Class.forName("org.apache.karaf.main.Main")
                    .getConstructor(String[].class)
                    .newInstance((Object) new String[0]);
            call(karaf, "launch");
            Framework framework = (Framework) call(karaf, "getFramework");
            BundleContext context = framework.getBundleContext();
            await(context, "org.apache.karaf.features.BootFinished");
            // Not by the shell, which starts anew with the features that come.
            Object kars = await(context, "org.apache.karaf.kar.KarService");
            call(
                    kars,
                    "install",
                    new Class<?>[] {URI.class},
                    Path.of(arguments[0]).toUri());
            for (String command : List.of(arguments).subList(1, arguments.length)) {
                run(context, command);
            }
            status = 0;
        } catch (Exception e) {
            e.printStackTrace(System.out);
        }
        System.out.flush();
        // Not by stopping the framework: Karaf would wait for a console.
        Runtime.getRuntime().halt(status);
    }

    private static Object await(BundleContext context, String service)
            throws InterruptedException, InvalidSyntaxException {
        ServiceTracker<Object, Object> tracker =
                new ServiceTracker<>(context, context.createFilter("(objectClass=" + service + ")"), null);
        tracker.open(true);
        try {
            Object found = tracker.waitForService(DEADLINE);
            if (found == null) {
                throw new IllegalStateException("no service " + service);
            }
            return found;
        } finally {
            tracker.close();
        }
    }

    private static void run(BundleContext context, String argument) throws Exception {
        int split = argument.indexOf(UNTIL);
        String expected = split < 0 ? "" : argument.substring(0, split);
        String command = split < 0 ? argument : argument.substring(split + UNTIL.length());
        System.out.println("> " + command);
        long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(DEADLINE);
        while (true) {
            String output;
            try {
                output = output(context, command);
            } catch (Exception e) {
                // It may not be known yet.
                if (split < 0 || System.nanoTime() > deadline) {
                    throw e;
                }
                output = "";
            }
            if (split < 0 || output.contains(expected)) {
                System.out.println(output);
                return;
            }
            if (System.nanoTime() > deadline) {
                throw new IllegalStateException("it never wrote '" + expected + "', at last: " + output);
            }
            TimeUnit.MILLISECONDS.sleep(PAUSE);
        }
    }

    private static String output(BundleContext context, String command) throws Exception {
        Object sessions = await(context, "org.apache.karaf.shell.api.console.SessionFactory");
        Subject administrator = new Subject();
        for (String role : List.of("admin", "manager", "viewer", "systembundles")) {
            administrator.getPrincipals().add((Principal) sessions.getClass()
                    .getClassLoader()
                    .loadClass("org.apache.karaf.jaas.boot.principal.RolePrincipal")
                    .getConstructor(String.class)
                    .newInstance(role));
        }
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        PrintStream stream = new PrintStream(bytes, true, StandardCharsets.UTF_8);
        Subject.doAs(administrator, (PrivilegedExceptionAction<Object>) () -> {
            Object session = call(
                    sessions,
                    "create",
                    new Class<?>[] {InputStream.class, PrintStream.class, PrintStream.class},
                    new ByteArrayInputStream(new byte[0]),
                    stream,
                    stream);
            try {
                return call(session, "execute", new Class<?>[] {CharSequence.class}, command);
            } finally {
                call(session, "close");
            }
        });
        return bytes.toString(StandardCharsets.UTF_8);
    }

    private static Object call(Object target, String name) throws Exception {
        return call(target, name, new Class<?>[0]);
    }

    private static Object call(Object target, String name, Class<?>[] types, Object... arguments) throws Exception {
        Method method = target.getClass().getMethod(name, types);
        method.setAccessible(true);
        try {
            return method.invoke(target, arguments);
        } catch (InvocationTargetException e) {
            throw e.getCause() instanceof Exception cause ? cause : e;
        }
    }
}
