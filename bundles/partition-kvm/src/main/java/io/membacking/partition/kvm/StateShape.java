package io.membacking.partition.kvm;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import io.membacking.error.BackendException;

/**
 * What the state of a partition's processors consists of on this KVM; found out once, on its first processor.
 *
 * @param kernelApic whether they have local APICs, in the kernel
 * @param sregs2 whether there is KVM_GET_SREGS2
 * @param xcrs whether there is XCR0
 * @param xsave2 whether there is KVM_GET_XSAVE2
 * @param xsaveSize bytes of KVM's area for vectors
 * @param vectorSize how many of them its processors use, by CPUID
 * @param payload whether events have payloads, and exceptions that are pending are told from those being delivered
 * @param tscOffset whether the offset from the host's time-stamp counter can be had
 */
record StateShape(
        boolean kernelApic,
        boolean sregs2,
        boolean xcrs,
        boolean xsave2,
        int xsaveSize,
        int vectorSize,
        boolean payload,
        boolean tscOffset,
        MsrList msrs) {
    static StateShape find(
            Syscalls calls, int processor, KvmFeatures features, boolean kernelApic, int vectorSize, String operation)
            throws BackendException {
        int xsaveSize = Math.max(KvmAbi.XSAVE_SIZE, features.xsave2Size());
        return new StateShape(
                kernelApic,
                features.sregs2(),
                features.xcrs(),
                features.xsave2Size() > 0,
                xsaveSize,
                Math.min(vectorSize, xsaveSize),
                features.payload(),
                hasTscOffset(calls, processor),
                MsrList.find(calls, processor, features.msrs(), operation));
    }

    private static boolean hasTscOffset(Syscalls calls, int processor) {
        try (Memory attribute = new Memory(KvmAbi.DEVICE_ATTR_SIZE)) {
            attribute.clear();
            putTscOffset(attribute, Pointer.NULL);
            return calls.ioctl(processor, KvmAbi.KVM_HAS_DEVICE_ATTR, attribute) == 0;
        }
    }

    /** Makes a {@code struct kvm_device_attr} one of the TSC offset, which lies at {@code value}. */
    static void putTscOffset(Pointer attribute, Pointer value) {
        attribute.setInt(KvmAbi.DEVICE_ATTR_GROUP, KvmAbi.KVM_VCPU_TSC_CTRL);
        attribute.setLong(KvmAbi.DEVICE_ATTR_ATTR, KvmAbi.KVM_VCPU_TSC_OFFSET);
        attribute.setLong(KvmAbi.DEVICE_ATTR_ADDRESS, Pointer.nativeValue(value));
    }
}
