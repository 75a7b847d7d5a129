package io.membacking.partition.reference;

import io.membacking.partition.PartitionBackend;
import io.membacking.partition.contract.PartitionBackendContract;

/** The contract of every backend. */
class ReferenceBackendTest extends PartitionBackendContract {
    @Override
    protected PartitionBackend createBackend() {
        return new ReferenceBackend();
    }

    @Override
    protected boolean executesVectors() {
        return false;
    }

    @Override
    protected boolean runsUserCodeNatively() {
        return false;
    }
}
