package io.membacking.itests.windows;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/**
 * The container tests on the system that builds: on Windows the real Windows Hypervisor Platform, where it is enabled, without
 * anybody asking for it; on Linux KVM, which shows that the tests themselves are right.
 */
final class ThisHostIT {
    @Test
    void theContainerTestsPassHere() throws Exception {
        List<String> command = new ArrayList<>(
                List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-XX:-UsePerfData"));
        command.addAll(Place.containerTests());
        Program program =
                Program.run(command, Map.of(), Place.TARGET.resolve("logs/this-host.log"), Duration.ofMinutes(5));
        System.out.println((Place.WINDOWS
                        ? "On Windows itself, container tests that passed: "
                        : "On Linux, container tests that passed: ")
                + program.passed()
                + (program.lines().stream().anyMatch(l -> l.startsWith("SKIPPED"))
                        ? ", but: " + program.summary()
                        : ""));
        assertEquals(0, program.status(), program::summary);
        if (!Place.WINDOWS) {
            System.out.println(
                    "NOT RUN: the same on Windows itself, on Microsoft's Windows Hypervisor Platform: this is no"
                            + " Windows. \"mvn verify\" on a Windows with the platform enabled runs it.");
        }
    }
}
