package io.membacking.partition.whp;

import java.util.Map;

/** The platform where overlaps and partial unmapping are refused. */
class WhpRejectingContractTest extends ShimContract {
    WhpRejectingContractTest() {
        super(Map.of("overlap", 0, "partial.unmap", 0));
    }
}
