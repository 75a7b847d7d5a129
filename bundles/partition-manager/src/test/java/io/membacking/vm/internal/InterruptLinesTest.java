package io.membacking.vm.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.error.BackendException;
import io.membacking.partition.Partition;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import org.junit.jupiter.api.Test;

class InterruptLinesTest {
    private final List<String> calls = new ArrayList<>();
    private final InterruptLines lines = new InterruptLines("g", true);

    @Test
    void anEdgeThatComesBetweenTwoPartitionsStaysItsGivers() throws Exception {
        assertFalse(lines.pulse(0));
        lines.reset(partition("first"));
        assertTrue(lines.pulse(0));
        BitSet raised = lines.save();
        assertFalse(lines.pulse(0));
        lines.restore(partition("second"), raised);
        assertTrue(lines.pulse(3));
        assertEquals(List.of("first pulseInterruptLine 0", "second pulseInterruptLine 3"), calls);
    }

    @Test
    void aLevelThatChangesBetweenTwoPartitionsReachesTheNext() throws Exception {
        lines.reset(partition("first"));
        lines.set(4, true);
        BitSet raised = lines.save();
        lines.set(4, false);
        lines.set(5, true);
        lines.restore(partition("second"), raised);
        assertEquals(
                List.of(
                        "first setInterruptLine 4 true",
                        "second setInterruptLine 5 true",
                        "second setInterruptLine 4 false"),
                calls);
    }

    @Test
    void aRaisedLineThatGoesDownAndUpBetweenTwoPartitionsIsAnEdgeForTheNext() throws Exception {
        lines.reset(partition("first"));
        lines.set(4, true);
        BitSet raised = lines.save();
        lines.set(4, false);
        lines.set(4, true);
        lines.restore(partition("second"), raised);
        assertEquals(
                List.of(
                        "first setInterruptLine 4 true",
                        "second setInterruptLine 4 false",
                        "second setInterruptLine 4 true"),
                calls);
    }

    @Test
    void aLineThatIsNotThereIsRefusedAndNotRemembered() throws Exception {
        lines.reset(partition("first"));
        BitSet raised = lines.save();
        for (int line : new int[] {-1, 24, Integer.MAX_VALUE}) {
            assertThrows(BackendException.class, () -> lines.set(line, true));
            assertThrows(BackendException.class, () -> lines.pulse(line));
        }
        InterruptLines none = new InterruptLines("g", false);
        none.reset(partition("none"));
        assertThrows(BackendException.class, () -> none.set(4, true));
        lines.restore(partition("second"), raised);
        assertEquals(List.of(), calls);
    }

    private Partition partition(String name) {
        return (Partition) Proxy.newProxyInstance(
                Partition.class.getClassLoader(), new Class<?>[] {Partition.class}, (proxy, method, arguments) -> {
                    StringBuilder call = new StringBuilder(name + " " + method.getName());
                    for (Object argument : arguments) {
                        call.append(' ').append(argument);
                    }
                    calls.add(call.toString());
                    return method.getReturnType() == boolean.class ? true : null;
                });
    }
}
