package io.membacking.itests.windows;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * A Windows JVM under Wine with the Windows Hypervisor Platform's interface on KVM: not Microsoft's, hence the label on every result.
 *
 * @param version of Wine: 8 is without placeholders, 10 with
 * @param switches environment variables that set what Windows versions differ in
 */
record Wine(int version, Map<String, String> switches) {
    private static final Duration DEADLINE = Duration.ofMinutes(5);
    private static final Path SCRIPTS = Path.of("").toAbsolutePath();

    static Wine of(int version, String... switches) {
        Map<String, String> map = new TreeMap<>();
        for (String one : switches) {
            String[] parts = one.split("=", 2);
            map.put("WHV_SHIM_" + parts[0], parts[1]);
        }
        return new Wine(version, map);
    }

    /** Skips the test, or fails it where everything is required, unless all of this is here. */
    Wine require() throws Exception {
        if (Place.WINDOWS) {
            Place.missing("Wine: this is Windows itself");
        }
        if (!Files.isWritable(Path.of("/dev/kvm"))) {
            Place.missing("/dev/kvm; load the kvm modules and give this user access");
        }
        if (!Files.isDirectory(Place.SHIM)) {
            Place.missing(Place.SHIM + "; apt-get install make wine64-tools libwine-dev, then make -C native/whp-shim");
        }
        Program version = java("version", "-version");
        if (version.status() == 2) {
            Place.missing(String.join(" ", version.lines()));
        }
        return this;
    }

    /** Runs {@code java.exe} with these arguments. @param name of the log */
    Program java(String name, String... arguments) throws Exception {
        return run("windows-java", name, Arrays.asList(arguments));
    }

    /**
     * Runs the JUnit tests of a folder on the class path, without a container.
     *
     * @param name of the log
     * @param which options of JUnit's console
     */
    Program junit(String name, List<String> classpath, Path testClasses, List<String> which) throws Exception {
        List<String> arguments = new ArrayList<>(List.of(
                "-cp",
                String.join(":", classpath),
                "-Dmembacking.require=" + System.getProperty("membacking.require", ""),
                "--",
                "--scan-classpath",
                testClasses.toString()));
        arguments.addAll(which);
        return run("junit", name, arguments);
    }

    Program containerTests() throws Exception {
        return java("container-tests", Place.containerTests().toArray(String[]::new));
    }

    private Program run(String script, String name, List<String> arguments) throws Exception {
        List<String> command =
                new ArrayList<>(List.of(SCRIPTS.resolve(script).toString(), "--wine", Integer.toString(version)));
        if (Files.isDirectory(Place.SHIM)) {
            command.addAll(List.of("--dlls", Place.SHIM.toString()));
        }
        command.addAll(arguments);
        return Program.run(
                command, switches, Place.TARGET.resolve("logs").resolve(name + "-" + id() + ".log"), DEADLINE);
    }

    private String id() {
        return "wine-" + version
                + String.join(
                        "",
                        switches.entrySet().stream()
                                .map(e -> "-"
                                        + e.getKey()
                                                .substring("WHV_SHIM_".length())
                                                .toLowerCase(java.util.Locale.ROOT) + "-" + e.getValue())
                                .toList());
    }

    @Override
    public String toString() {
        return "Wine/KVM shim, Wine " + version + (switches.isEmpty() ? "" : " " + switches);
    }
}
