package io.membacking.partition.contract;

import io.membacking.partition.Availability;
import io.membacking.partition.PartitionBackend;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.TestInfo;

/** Skips a test, loudly and by name, where a backend cannot be used; with {@code -Dmembacking.require=all} it fails instead. */
public final class BackendRequirement {
    private BackendRequirement() {}

    public static void require(PartitionBackend backend, TestInfo test) {
        Availability availability = backend.availability();
        if (!availability.usable()) {
            require(
                    false,
                    test,
                    backend.name() + " cannot be used here: " + availability.reason() + "; " + availability.remedy());
        }
    }

    public static void require(boolean met, TestInfo test, String otherwise) {
        if (met) {
            return;
        }
        if ("all".equals(System.getProperty("membacking.require"))) {
            Assertions.fail(otherwise);
        }
        System.err.println("SKIPPED " + test.getDisplayName() + ": " + otherwise);
        Assumptions.abort(otherwise);
    }
}
