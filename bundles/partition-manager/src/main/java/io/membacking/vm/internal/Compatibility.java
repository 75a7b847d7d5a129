package io.membacking.vm.internal;

import io.membacking.partition.Capabilities;
import io.membacking.vm.VmRequest;
import java.util.ArrayList;
import java.util.List;

/**
 * What of a guest goes over from one backend to another: a pure function of what both can do.
 *
 * @param carried what is the same afterwards
 * @param lost what is not
 * @param obstacles why it cannot be; empty if it can
 */
record Compatibility(List<String> carried, List<String> lost, List<String> obstacles) {
    Compatibility {
        carried = List.copyOf(carried);
        lost = List.copyOf(lost);
        obstacles = List.copyOf(obstacles);
    }

    /**
     * @param fromFormat the state format of where it is
     * @param to what the other can do
     * @param extent bytes of guest-physical space
     * @param ranges ranges to be mapped
     * @param readOnly whether some of its memory is read-only
     */
    static Compatibility of(
            VmRequest request, String fromFormat, Capabilities to, long extent, int ranges, boolean readOnly) {
        boolean sameKind = fromFormat.equals(to.stateFormat());
        List<String> carried = new ArrayList<>(List.of(
                "memory",
                "general, segment, control and debug registers",
                "x87 and vector state",
                "model-specific registers that all hypervisors share, the time-stamp counter among them",
                "CPUID",
                "pending events and the interrupt shadow"));
        List<String> lost = new ArrayList<>();
        List<String> obstacles = new ArrayList<>();
        if (sameKind) {
            carried.add(
                    "every other model-specific register, the offset of the time-stamp counter, the hypervisor's clock");
            if (request.interruptControllers()) {
                carried.add("interrupt controllers, local APIC timers and raised lines");
            }
            if (request.timer()) {
                carried.add("the platform's timer");
                lost.add("what was left of the period of the platform's timer");
            }
        } else {
            lost.add("model-specific registers and clocks of " + fromFormat + " alone");
            if (request.interruptControllers()) {
                obstacles.add("it uses the interrupt controllers of " + fromFormat
                        + ", whose state no other kind of backend can take up");
            }
        }
        if (to.physicalAddressWidth() < Long.SIZE
                && Long.compareUnsigned(extent - 1, 1L << to.physicalAddressWidth()) >= 0) {
            obstacles.add("its physical addresses have " + to.physicalAddressWidth() + " bits; the guest reaches to 0x"
                    + Long.toHexString(extent));
        }
        if (ranges > to.maxMappings()) {
            obstacles.add("it maps at most " + to.maxMappings() + " ranges; the guest has " + ranges);
        }
        if (readOnly && !to.readOnlyMemory()) {
            obstacles.add("it has no read-only memory, which the guest has");
        }
        return new Compatibility(carried, lost, obstacles);
    }
}
