package io.membacking.vm.internal;

import io.membacking.partition.PartitionBackend;
import io.membacking.partition.reference.ReferenceBackend;

/** The same on the reference backend, whose processors are readers of the guest's memory like any thread of the monitor. */
class GuestsOnReferenceTest extends GuestsOnKvmTest {
    @Override
    PartitionBackend createBackend() {
        return new ReferenceBackend();
    }

    @Override
    long leastReads() {
        return 1000;
    }
}
