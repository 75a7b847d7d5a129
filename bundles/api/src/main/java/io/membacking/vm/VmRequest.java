package io.membacking.vm;

import io.membacking.memory.GuestMemoryManager;
import java.util.Optional;

/**
 * A virtual machine asked for.
 *
 * @param name unique among virtual machines
 * @param memory the guest's memory; several machines may have the same. It is not closed with the machine
 * @param processors at least 1
 * @param interruptControllers whether the partition is to have the PC's interrupt controllers
 * @param timer whether the partition is to have the PC's timer too; what is left of its period is lost when the machine moves
 * @param vtl 0 to 2; VTL2 sees the memory at its alias offset too
 * @param backendFilter an LDAP filter over the backends' service properties; empty admits all
 * @param policy when it moves by itself
 */
public record VmRequest(
        String name,
        GuestMemoryManager memory,
        int processors,
        boolean interruptControllers,
        boolean timer,
        int vtl,
        Optional<String> backendFilter,
        MovePolicy policy) {
    public VmRequest {
        if (processors < 1) {
            throw new IllegalArgumentException(
                    "virtual machine " + name + " asks for " + processors + " processors; 1 is the least");
        }
        if (timer && !interruptControllers) {
            throw new IllegalArgumentException(
                    "virtual machine " + name + " asks for a timer without the interrupt controllers it is wired to");
        }
    }

    /** The timer comes with the controllers; it moves when its backend departs. */
    public VmRequest(
            String name,
            GuestMemoryManager memory,
            int processors,
            boolean interruptControllers,
            int vtl,
            Optional<String> backendFilter) {
        this(
                name,
                memory,
                processors,
                interruptControllers,
                interruptControllers,
                vtl,
                backendFilter,
                MovePolicy.WHEN_BACKEND_DEPARTS);
    }

    /** One processor, no interrupt controllers, VTL0, any backend. */
    public static VmRequest of(String name, GuestMemoryManager memory) {
        return new VmRequest(name, memory, 1, false, 0, Optional.empty());
    }

    public VmRequest with(MovePolicy newPolicy) {
        return new VmRequest(name, memory, processors, interruptControllers, timer, vtl, backendFilter, newPolicy);
    }
}
