package io.membacking.itests.windows.launch;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.apache.felix.framework.FrameworkFactory;
import org.junit.platform.engine.discovery.DiscoverySelectors;
import org.junit.platform.launcher.Launcher;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.Constants;
import org.osgi.framework.launch.Framework;
import org.osgi.framework.namespace.NativeNamespace;
import org.osgi.framework.wiring.BundleCapability;
import org.osgi.framework.wiring.BundleRevision;

/**
 * {@code ContainerTests FOLDER TESTS [NAME]...}: Felix with every bundle of a folder that is for this operating system, and the
 * JUnit tests in the bundle file TESTS, all or those classes whose simple names are given. Prints a line for every test; ends with
 * 0 if none failed, 1 if one did, 2 if there were none.
 */
public final class ContainerTests {
    private static final String PACKAGE = "io.membacking.itests.windows";
    /** The tests see the JUnit that runs them. */
    private static final String JUNIT =
            "org.junit.jupiter.api,org.junit.jupiter.api.function,org.junit.jupiter.api.condition,org.opentest4j";

    private ContainerTests() {}

    public static void main(String[] arguments) throws Exception {
        Path storage = Files.createTempDirectory("membacking-tests-");
        Framework felix = new FrameworkFactory()
                .newFramework(Map.of(
                        Constants.FRAMEWORK_STORAGE,
                        storage.toString(),
                        Constants.FRAMEWORK_SYSTEMPACKAGES_EXTRA,
                        JUNIT,
                        // Flight Recorder's generated event code needs it.
                        Constants.FRAMEWORK_BOOTDELEGATION,
                        "jdk.jfr,jdk.jfr.*",
                        "felix.log.level",
                        "1"));
        felix.init();
        Bundle tests;
        try {
            tests = start(felix, Path.of(arguments[0]), Path.of(arguments[1]));
        } catch (Exception e) {
            e.printStackTrace();
            System.exit(1); // the framework's threads would go on
            throw e;
        }
        ConsoleLines lines = new ConsoleLines(System.out);
        Launcher launcher = LauncherFactory.create();
        launcher.execute(request(tests, List.of(arguments).subList(2, arguments.length)), lines);
        felix.stop();
        felix.waitForStop(20_000);
        delete(storage);
        System.exit(lines.exitStatus());
    }

    private static Bundle start(Framework felix, Path folder, Path testsFile) throws Exception {
        BundleContext context = felix.getBundleContext();
        List<Bundle> bundles = new ArrayList<>();
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : (Iterable<Path>) files.sorted()::iterator) {
                bundles.add(context.installBundle(file.toUri().toString()));
            }
        }
        Bundle tests = context.installBundle(testsFile.toUri().toString());
        bundles.add(tests);
        felix.start();
        for (Bundle bundle : bundles) {
            if (isForThisSystem(bundle, felix)) {
                bundle.start();
            } else {
                System.out.println("not for this system: " + bundle.getSymbolicName());
                bundle.uninstall();
            }
        }
        return tests;
    }

    private static boolean isForThisSystem(Bundle bundle, Framework felix) {
        List<BundleCapability> system =
                felix.adapt(BundleRevision.class).getDeclaredCapabilities(NativeNamespace.NATIVE_NAMESPACE);
        return bundle.adapt(BundleRevision.class).getDeclaredRequirements(NativeNamespace.NATIVE_NAMESPACE).stream()
                .allMatch(requirement -> system.stream().anyMatch(requirement::matches));
    }

    private static LauncherDiscoveryRequest request(Bundle tests, List<String> names) throws Exception {
        LauncherDiscoveryRequestBuilder request = LauncherDiscoveryRequestBuilder.request();
        String folder = PACKAGE.replace('.', '/');
        for (String path : java.util.Collections.list(tests.getEntryPaths(folder))) {
            String name = path.substring(folder.length() + 1);
            if (name.endsWith("Test.class")) {
                String simpleName = name.substring(0, name.length() - ".class".length());
                if (names.isEmpty() || names.contains(simpleName)) {
                    request.selectors(DiscoverySelectors.selectClass(tests.loadClass(PACKAGE + "." + simpleName)));
                }
            }
        }
        return request.build();
    }

    private static void delete(Path folder) throws IOException {
        try (Stream<Path> paths = Files.walk(folder)) {
            for (Path path : (Iterable<Path>) paths.sorted(Comparator.reverseOrder())::iterator) {
                Files.deleteIfExists(path);
            }
        }
    }
}
