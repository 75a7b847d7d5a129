package io.membacking.partition.whp;

import java.util.Map;

/** The platform that leaves RIP behind the instruction that exited. */
class WhpBehindContractTest extends ShimContract {
    WhpBehindContractTest() {
        super(Map.of("exact.rip", 0));
    }
}
