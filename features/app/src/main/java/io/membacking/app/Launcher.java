package io.membacking.app;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.function.ToIntFunction;
import org.jspecify.annotations.Nullable;
import org.osgi.framework.BundleException;

/** Starts the framework, calls the main job and ends with its exit code. */
public final class Launcher {
    /** The set of bundles did not start: a fault of the program (EX_SOFTWARE of sysexits.h), never of what was asked. */
    private static final int EXIT_NOT_STARTED = 70;

    /** Every option that the launcher itself obeys; both are described by the main job's help. */
    private static final String HELP = "--help";

    private static final String SHELL = "--shell";

    private Launcher() {}

    public static void main(String[] arguments) {
        System.exit(run(List.of(arguments)));
    }

    private static int run(List<String> arguments) {
        try {
            if (arguments.contains(HELP)) {
                printHelp();
                return 0;
            }
            boolean shell = arguments.contains(SHELL);
            try (EmbeddedFelix felix = new EmbeddedFelix()) {
                // Ctrl-C ends the JVM without unwinding this stack, so the framework is also stopped from a hook.
                Runtime.getRuntime().addShutdownHook(new Thread(felix::close, "membacking-stop"));
                felix.start(NestedBundles.ofThisJar(), shell);
                @Nullable ToIntFunction<List<String>> mainJob = felix.mainJob();
                if (mainJob == null) {
                    System.err.println("The main job did not start. " + felix.explainMissing());
                    return EXIT_NOT_STARTED;
                }
                int exitCode = mainJob.applyAsInt(arguments);
                if (shell) {
                    felix.runShell();
                }
                return exitCode;
            }
        } catch (IOException | BundleException e) {
            System.err.println("Membacking could not start: " + e.getMessage());
            return EXIT_NOT_STARTED;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return EXIT_NOT_STARTED;
        }
    }

    /** The text belongs to the main job; the build copies it here so that asking for help starts nothing. */
    private static void printHelp() throws IOException {
        try (InputStream help = Launcher.class.getResourceAsStream("/help.txt")) {
            if (help == null) {
                throw new IOException("help.txt is missing from this jar");
            }
            System.out.print(new String(help.readAllBytes(), StandardCharsets.UTF_8));
        }
    }
}
