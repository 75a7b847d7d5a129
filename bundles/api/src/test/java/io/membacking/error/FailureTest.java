package io.membacking.error;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.membacking.range.MemoryRange;
import org.junit.jupiter.api.Test;

class FailureTest {
    @Test
    void lineNamesOperationRangeProblemSystemErrorAndRemedy() {
        Failure failure = new Failure(
                "map RAM", new MemoryRange(0, 0x1000), "no room", "raise the limit", new NativeError(12, "ENOMEM"));
        assertEquals("map RAM at 0x0-0x1000: no room: ENOMEM (12); raise the limit", failure.toString());
        assertEquals(failure.toString(), new HostMappingException(failure).getMessage());
        assertEquals(
                "map RAM: no room", Failure.of("map RAM", null, "no room", "").toString());
        assertEquals("E_INVALIDARG (0x80070057)", new NativeError(0x80070057, "E_INVALIDARG").toString());
    }
}
