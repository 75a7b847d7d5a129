package io.membacking.itests.windows;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.host.HostMemory;
import java.util.Locale;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The bundles of this operating system, and no others. */
@Timeout(60)
class InstalledTest {
    private static final boolean WINDOWS =
            System.getProperty("os.name", "").toLowerCase(Locale.ROOT).startsWith("windows");

    @Test
    void everyBundleIsActiveAndNoComponentWaits() {
        InContainer.container().awaitComplete();
    }

    @Test
    void onlyTheBundlesOfThisSystemAreThere() {
        Set<String> bundles = InContainer.container().bundles().keySet();
        for (String part : Set.of("host-windows", "partition-whp")) {
            assertEquals(WINDOWS, bundles.contains("io.membacking." + part), bundles::toString);
        }
        for (String part : Set.of("host-linux", "partition-kvm")) {
            assertEquals(!WINDOWS, bundles.contains("io.membacking." + part), bundles::toString);
        }
        assertTrue(bundles.contains("io.membacking.memory-manager"), bundles::toString);
    }

    @Test
    void hostMemoryIsThatOfThisSystem() {
        assertEquals(
                WINDOWS ? "windows" : "linux",
                InContainer.container().await(HostMemory.class).capabilities().system());
    }
}
