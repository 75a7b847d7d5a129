package io.membacking.host.windows;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;

/** What this bundle is where there is no Windows. */
@DisabledOnOs(OS.WINDOWS)
class ElsewhereTest {
    @Test
    void hostMemoryIsRefusedNamingWhatTheHostIs() {
        String refused = assertThrows(UnsupportedOperationException.class, WindowsHostMemory::new)
                .getMessage();
        assertTrue(refused.startsWith("host-windows knows 64-bit Windows, not "), refused);
    }
}
