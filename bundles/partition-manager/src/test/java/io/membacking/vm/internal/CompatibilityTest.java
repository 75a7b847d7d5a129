package io.membacking.vm.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.memory.GuestMemoryManager;
import io.membacking.partition.Capabilities;
import io.membacking.vm.VmRequest;
import java.lang.reflect.Proxy;
import java.util.List;
import org.junit.jupiter.api.Test;

class CompatibilityTest {
    private static final int WIDTH = 36;
    private static final int MOST = 10;

    private final VmRequest request = VmRequest.of("g", (GuestMemoryManager) Proxy.newProxyInstance(
            GuestMemoryManager.class.getClassLoader(),
            new Class<?>[] {GuestMemoryManager.class},
            (proxy, method, no) -> {
                throw new AssertionError(method + ": compatibility looks at no memory");
            }));

    @Test
    void memoryThatIsReadOnlyNeedsABackendThatHasIt() {
        assertEquals(List.of(), obstacles(true, 1L << WIDTH, MOST, true));
        assertEquals(List.of(), obstacles(false, 1L << WIDTH, MOST, false));
        assertObstacle("read-only", obstacles(false, 1L << WIDTH, MOST, true));
    }

    @Test
    void everyAddressAndRangeMustHaveItsPlace() {
        assertObstacle("36 bits; the guest reaches to 0x1000000001", obstacles(true, (1L << WIDTH) + 1, MOST, true));
        assertObstacle("at most 10 ranges; the guest has 11", obstacles(true, 1L << WIDTH, MOST + 1, true));
    }

    private static void assertObstacle(String text, List<String> obstacles) {
        assertEquals(1, obstacles.size(), obstacles::toString);
        assertTrue(obstacles.get(0).contains(text), obstacles::toString);
    }

    private List<String> obstacles(boolean readOnlyMemory, long extent, int ranges, boolean readOnly) {
        Capabilities to = new Capabilities(
                readOnlyMemory,
                true,
                true,
                true,
                false,
                false,
                false,
                false,
                true,
                true,
                false,
                true,
                WIDTH,
                MOST,
                "kind");
        return Compatibility.of(request, "kind", to, extent, ranges, readOnly).obstacles();
    }
}
