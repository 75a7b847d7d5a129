package io.membacking.partition.reference;

import io.membacking.partition.PartitionBackend;
import io.membacking.partition.contract.BackendRequirement;
import io.membacking.partition.contract.ProcessorStateContract;
import io.membacking.partition.kvm.KvmBackend;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.TestInfo;

/** Guests that begin on the reference backend, with its own model of a processor, and move to KVM and back. */
class MovesToKvmTest extends ProcessorStateContract {
    private KvmBackend kvm;

    @BeforeEach
    void requireKvm(TestInfo test) {
        kvm = autoClose(new KvmBackend());
        BackendRequirement.require(kvm, test);
    }

    @Override
    protected PartitionBackend createBackend() {
        return new ReferenceBackend();
    }

    @Override
    protected PartitionBackend otherBackend() {
        return kvm;
    }

    @Override
    protected boolean executesVectors() {
        return false;
    }
}
