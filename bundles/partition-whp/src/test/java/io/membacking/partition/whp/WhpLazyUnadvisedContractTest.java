package io.membacking.partition.whp;

import java.util.Map;

/** The platform where pages exit until they are touched, without advice. */
class WhpLazyUnadvisedContractTest extends ShimContract {
    WhpLazyUnadvisedContractTest() {
        super(Map.of("lazy", 1, "advise", 0));
    }
}
