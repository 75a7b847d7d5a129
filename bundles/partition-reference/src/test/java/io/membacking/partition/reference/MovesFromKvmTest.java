package io.membacking.partition.reference;

import io.membacking.partition.PartitionBackend;
import io.membacking.partition.contract.ProcessorStateContract;
import io.membacking.partition.kvm.KvmBackend;

/** Guests that move from KVM to the reference backend and back. */
class MovesFromKvmTest extends ProcessorStateContract {
    @Override
    protected PartitionBackend createBackend() {
        return new KvmBackend();
    }

    @Override
    protected PartitionBackend otherBackend() {
        return new ReferenceBackend();
    }

    @Override
    protected boolean executesVectors() {
        return false;
    }
}
