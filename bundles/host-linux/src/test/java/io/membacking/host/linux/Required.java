package io.membacking.host.linux;

import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.abort;

/** What a test needs of the machine. Without it the test is skipped aloud; with {@code -Dmembacking.require=all} it fails. */
final class Required {
    private Required() {}

    static void require(boolean there, String whatToDo) {
        if (there) {
            return;
        }
        if ("all".equals(System.getProperty("membacking.require"))) {
            fail(whatToDo);
        }
        System.err.println("SKIPPED: " + whatToDo);
        abort(whatToDo);
    }
}
