package io.membacking.host.windows;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

/** What this bundle is on any system. */
class AnySystemTest {
    @Test
    void hostMemoryIsWindowssOrRefusedNamingWhatTheHostIs() {
        if (OnWindows.here()) {
            try (WindowsHostMemory host = new WindowsHostMemory()) {
                assertEquals("windows", host.capabilities().system());
            }
            return;
        }
        String refused = assertThrows(UnsupportedOperationException.class, WindowsHostMemory::new)
                .getMessage();
        assertTrue(refused.startsWith("host-windows knows 64-bit Windows, not "), refused);
    }
}
