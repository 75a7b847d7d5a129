package io.membacking.host.windows;

import static org.junit.jupiter.api.Assumptions.abort;

import com.sun.jna.Platform;

/** These tests need Windows, or Wine: elsewhere they are skipped aloud, by name. */
final class OnWindows {
    private OnWindows() {}

    static void require(Class<?> test) {
        if (!Platform.isWindows()) {
            String skipped = test.getName() + " needs a JVM for Windows (itests/wine runs it under Wine)";
            System.err.println("SKIPPED: " + skipped);
            abort(skipped);
        }
    }
}
