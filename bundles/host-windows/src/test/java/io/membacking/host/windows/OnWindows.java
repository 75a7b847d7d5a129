package io.membacking.host.windows;

import static org.junit.jupiter.api.Assumptions.abort;

import com.sun.jna.Platform;

/** These tests need Windows, or Wine: elsewhere they are skipped aloud, by name. */
final class OnWindows {
    private OnWindows() {}

    static boolean here() {
        return Platform.isWindows();
    }

    static void require(Class<?> test) {
        if (!here()) {
            String skipped = test.getName() + " needs a JVM for Windows (itests/wine runs it under Wine)";
            System.err.println("SKIPPED: " + skipped);
            abort(skipped);
        }
    }
}
