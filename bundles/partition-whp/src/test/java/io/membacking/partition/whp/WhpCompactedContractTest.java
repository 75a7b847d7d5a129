package io.membacking.partition.whp;

import java.util.Map;

/** The platform that gives and takes vector registers in the compacted form alone. */
class WhpCompactedContractTest extends ShimContract {
    WhpCompactedContractTest() {
        super(Map.of("xsave.compacted", 1));
    }
}
