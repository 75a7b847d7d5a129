package io.membacking.partition.whp;

import io.membacking.partition.PartitionBackend;
import io.membacking.partition.contract.PartitionBackendContract;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;

/** The contract of backends, on a platform that behaves in one of the ways in which sources say that it does. */
abstract class ShimContract extends PartitionBackendContract {
    private final Map<String, Integer> switches;
    private final Map<String, Integer> before = new HashMap<>();

    ShimContract(Map<String, Integer> switches) {
        this.switches = switches;
    }

    @Override
    protected PartitionBackend createBackend() {
        Shim.find();
        if (Shim.isThere()) {
            switches.forEach((name, value) -> {
                before.put(name, (int) Shim.count(name));
                Shim.set(name, value);
            });
        }
        return new WhpBackend(calls());
    }

    WhpCalls calls() {
        return new WinHvCalls();
    }

    /** Runs before what the test opened is closed, which is harmless. */
    @AfterEach
    void switchBack() {
        before.forEach(Shim::set);
    }
}
