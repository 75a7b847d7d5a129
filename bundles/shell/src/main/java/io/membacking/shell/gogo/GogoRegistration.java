package io.membacking.shell.gogo;

import io.membacking.shell.internal.Console;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.Arrays;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.osgi.framework.BundleContext;
import org.osgi.framework.FrameworkUtil;
import org.osgi.framework.ServiceRegistration;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;

/** Offers the commands to Gogo, unless Karaf's shell is here: that one has its own, and would show both. */
@Component(service = {})
public final class GogoRegistration {
    private final @Nullable ServiceRegistration<GogoCommands> registration;

    @Activate
    public GogoRegistration(BundleContext context, @Reference(name = "console") Console console) {
        registration = karafIsHere()
                ? null
                : context.registerService(
                        GogoCommands.class,
                        new GogoCommands(console),
                        FrameworkUtil.asDictionary(
                                Map.of("osgi.command.scope", "membacking", "osgi.command.function", functions())));
    }

    @Deactivate
    void deactivate() {
        if (registration != null) {
            registration.unregister();
        }
    }

    private static String[] functions() {
        return Arrays.stream(GogoCommands.class.getDeclaredMethods())
                .filter(method -> Modifier.isPublic(method.getModifiers()))
                .map(Method::getName)
                .distinct()
                .toArray(String[]::new);
    }

    private static boolean karafIsHere() {
        try {
            Class.forName("org.apache.karaf.shell.api.console.Session", false, GogoRegistration.class.getClassLoader());
            return true;
        } catch (ClassNotFoundException e) {
            return false;
        }
    }
}
