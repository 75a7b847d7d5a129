package io.membacking.partition.kvm;

import java.util.List;

/**
 * What this host's KVM has of the things that came with time.
 *
 * @param tscDeadline whether its APIC has the timer mode of that name
 * @param xsave2Size bytes of KVM_GET_XSAVE2's area; 0 without it
 * @param payload whether KVM_CAP_EXCEPTION_PAYLOAD can be had
 * @param tripleFault whether KVM_CAP_X86_TRIPLE_FAULT_EVENT can be had
 * @param manualDirtyLog whether reading and clearing the log of dirty pages are two calls
 * @param msrs the model-specific registers that it lists
 */
record KvmFeatures(
        boolean tscDeadline,
        boolean sregs2,
        boolean xcrs,
        int xsave2Size,
        boolean payload,
        boolean tripleFault,
        boolean manualDirtyLog,
        List<Integer> msrs) {
    KvmFeatures {
        msrs = List.copyOf(msrs);
    }
}
