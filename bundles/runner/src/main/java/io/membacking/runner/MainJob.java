package io.membacking.runner;

import java.util.List;
import java.util.function.ToIntFunction;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;

/**
 * What the runnable jar does: called once, on the main thread, with the command line; its result is the exit code. The
 * launcher waits until this component's references are satisfied. Its options are described in {@code help.txt}.
 */
@Component(service = ToIntFunction.class, property = "membacking.main:Boolean=true")
public final class MainJob implements ToIntFunction<List<String>> {
    private final BundleContext context;

    @Activate
    public MainJob(BundleContext context) {
        this.context = context;
    }

    @Override
    public int applyAsInt(List<String> arguments) {
        int exitCode = 0;
        for (Bundle bundle : context.getBundles()) {
            boolean active = bundle.getState() == Bundle.ACTIVE;
            System.out.printf(
                    "%-40s %-16s %s%n",
                    bundle.getSymbolicName(), bundle.getVersion(), active ? "active" : "state " + bundle.getState());
            if (!active && bundle.getSymbolicName().startsWith("io.membacking.")) {
                exitCode = 1;
            }
        }
        return exitCode;
    }
}
