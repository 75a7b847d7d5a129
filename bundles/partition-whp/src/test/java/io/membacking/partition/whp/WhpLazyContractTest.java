package io.membacking.partition.whp;

import java.util.Map;

/** The platform where pages exit until they are populated. */
class WhpLazyContractTest extends ShimContract {
    WhpLazyContractTest() {
        super(Map.of("lazy", 1));
    }
}
