package io.membacking.partition.whp;

import java.util.Map;

/** The platform as an early version has it: no later calls, no instruction bytes in exits. */
class WhpOldWindowsContractTest extends ShimContract {
    WhpOldWindowsContractTest() {
        super(Map.of("advise", 0, "remote.process", 0, "dirty.tracking", 0, "instruction.bytes", 0));
    }
}
