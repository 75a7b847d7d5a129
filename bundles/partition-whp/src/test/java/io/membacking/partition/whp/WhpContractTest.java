package io.membacking.partition.whp;

import java.util.Map;

/** The platform as it is by default: what is mapped over is replaced, and parts can be unmapped. */
class WhpContractTest extends ShimContract {
    WhpContractTest() {
        super(Map.of());
    }
}
