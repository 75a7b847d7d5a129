package io.membacking.partition.whp;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Map;
import org.junit.jupiter.api.AfterAll;

/** The platform where one partition of a process can have memory: the others have theirs through surrogate processes. */
class WhpOnePerProcessContractTest extends ShimContract {
    WhpOnePerProcessContractTest() {
        super(Map.of("one.mapped.partition", 1));
    }

    @Override
    WhpCalls calls() {
        return new SurrogateCalls();
    }

    @AfterAll
    static void noSurrogateIsLeft() {
        assertEquals(0, SurrogateCalls.running());
    }
}
