package io.membacking.app;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.function.ToIntFunction;
import java.util.stream.Stream;
import org.apache.felix.framework.FrameworkFactory;
import org.jspecify.annotations.Nullable;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.BundleException;
import org.osgi.framework.Constants;
import org.osgi.framework.Filter;
import org.osgi.framework.FrameworkUtil;
import org.osgi.framework.InvalidSyntaxException;
import org.osgi.framework.launch.Framework;
import org.osgi.service.component.runtime.ServiceComponentRuntime;
import org.osgi.util.tracker.ServiceTracker;

/** A running framework whose storage is temporary. Closing stops it and deletes the storage; closing again does nothing. */
final class EmbeddedFelix implements AutoCloseable {
    /** How long the main job may take to be satisfied; on an idle machine it takes a second. */
    private static final Duration START_DEADLINE = Duration.ofSeconds(30);

    /** How long bundles may take to stop; guests are ended by then. */
    private static final Duration STOP_DEADLINE = Duration.ofSeconds(20);

    private static final String MAIN_JOB =
            "(&(" + Constants.OBJECTCLASS + "=" + ToIntFunction.class.getName() + ")(membacking.main=true))";

    /** The launcher reads these, so it owns them and the bundles import them from it. */
    private static final String OWN_PACKAGES = String.join(
            ",",
            "org.osgi.service.component;version=1.5",
            "org.osgi.service.component.runtime;version=1.5",
            "org.osgi.service.component.runtime.dto;version=1.5",
            "org.osgi.util.promise;version=1.3",
            "org.osgi.util.function;version=1.2");

    private final Path storage;
    private final Framework framework;
    private List<Bundle> shellBundles = List.of();

    /** Starts nothing yet, so that the caller can arrange for {@link #close} first. */
    EmbeddedFelix() throws IOException {
        storage = Files.createTempDirectory("membacking-");
        framework = new FrameworkFactory()
                .newFramework(Map.of(
                        Constants.FRAMEWORK_STORAGE,
                        storage.toString(),
                        Constants.FRAMEWORK_SYSTEMPACKAGES_EXTRA,
                        OWN_PACKAGES,
                        // Flight Recorder's generated event code needs it (an import is not enough).
                        Constants.FRAMEWORK_BOOTDELEGATION,
                        "jdk.jfr,jdk.jfr.*",
                        "felix.log.level",
                        "1",
                        "ds.loglevel",
                        "1"));
    }

    /** Installs everything, then starts the framework and only then the bundles: so a bundle that cannot says so here. */
    void start(NestedBundles nested, boolean shell) throws IOException, BundleException {
        framework.init();
        BundleContext context = framework.getBundleContext();
        List<Bundle> bundles = HostSystem.of(framework).select(nested.install(context, "bundles"));
        if (shell) {
            shellBundles = nested.install(context, "shell");
        }
        framework.start();
        for (Bundle bundle : bundles) {
            bundle.start();
        }
    }

    /** Waits for the job that a bundle registers as a {@link ToIntFunction} with {@code membacking.main=true}. */
    @Nullable
    ToIntFunction<List<String>> mainJob() throws InterruptedException {
        ServiceTracker<ToIntFunction<List<String>>, ToIntFunction<List<String>>> tracker =
                new ServiceTracker<>(framework.getBundleContext(), filter(MAIN_JOB), null);
        // Left open: closing it would give the job back, and the component with it. The framework's stop ends it.
        tracker.open();
        return tracker.waitForService(START_DEADLINE.toMillis());
    }

    /** Starts the shell on this terminal and returns when it has been left, which stops the framework. */
    void runShell() throws BundleException, InterruptedException {
        for (Bundle bundle : shellBundles) {
            bundle.start();
        }
        framework.waitForStop(0);
    }

    /** Which component waits for what. */
    String explainMissing() {
        BundleContext context = framework.getBundleContext();
        var reference = context.getServiceReference(ServiceComponentRuntime.class);
        if (reference == null) {
            return "Declarative Services is not running.";
        }
        return UnsatisfiedComponents.in(context.getService(reference)).explain();
    }

    @Override
    public synchronized void close() {
        try {
            framework.stop();
            framework.waitForStop(STOP_DEADLINE.toMillis());
        } catch (BundleException e) {
            System.err.println("The framework did not stop: " + e.getMessage());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        delete(storage);
    }

    private static void delete(Path folder) {
        if (!Files.exists(folder)) {
            return;
        }
        try (Stream<Path> paths = Files.walk(folder)) {
            for (Path path : (Iterable<Path>) paths.sorted(Comparator.reverseOrder())::iterator) {
                Files.deleteIfExists(path);
            }
        } catch (IOException e) {
            System.err.println("Left behind: " + folder + ": " + e.getMessage());
        }
    }

    private static Filter filter(String text) {
        try {
            return FrameworkUtil.createFilter(text);
        } catch (InvalidSyntaxException e) {
            throw new IllegalStateException(e);
        }
    }
}
