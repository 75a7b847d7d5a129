package io.membacking.partition.kvm;

import io.membacking.error.BackendException;
import io.membacking.partition.PlatformState;
import java.util.Optional;

/**
 * The names of what is in a {@link PlatformState} of format {@value #FORMAT}, and the rule by which two versions of this bundle
 * understand each other.
 *
 * <p>A name is that of a thing, a dot, and the version of its layout. Layouts are those of the kernel's structures, which never
 * change. Who reads takes the things that it knows. A thing that it has never heard of it leaves alone: a later version may add only
 * what a guest can do without; of all else it raises the version. A thing that it knows in another version alone it refuses by name.
 */
final class StateParts {
    static final String FORMAT = "kvm";

    // Of a processor.

    /** {@code struct kvm_lapic_state}. */
    static final String LAPIC = "lapic.1";

    /** Entries of {@code struct kvm_msrs}, without its header, in the order in which they are to be set. */
    static final String MSRS = "msrs.1";

    /** {@code struct kvm_vcpu_events}; of it counts what the portable form lacks. */
    static final String EVENTS = "events.1";

    /** In PAE paging: CR3, and the four PDPTEs that the processor loaded with it; 8 bytes each. */
    static final String PDPTES = "pdptes.1";

    /** What is added to the host's time-stamp counter, 8 bytes. */
    static final String TSC_OFFSET = "tsc-offset.1";

    // Of a partition.

    /** {@code struct kvm_irqchip} three times: both PICs and the I/O APIC. */
    static final String INTERRUPT_CONTROLLERS = "interrupt-controllers.1";

    /** {@code struct kvm_pit_state2}. */
    static final String TIMER = "timer.1";

    /** {@code struct kvm_clock_data}. */
    static final String CLOCK = "clock.1";

    private StateParts() {}

    /**
     * A part, if it is there.
     *
     * @throws BackendException if it is there in another version, or is not as long as it must be
     */
    static Optional<byte[]> find(PlatformState state, String name, int size, String operation) throws BackendException {
        if (state.has(name)) {
            byte[] bytes = state.part(name);
            if (size >= 0 ? bytes.length != size : bytes.length % KvmAbi.MSR_ENTRY_SIZE != 0) {
                throw KvmErrors.refused(
                        operation,
                        null,
                        "part '" + name + "' of the state has " + bytes.length + " bytes",
                        "give it as it was read");
            }
            return Optional.of(bytes);
        }
        String thing = name.substring(0, name.lastIndexOf('.') + 1);
        for (String other : state.names()) {
            if (other.startsWith(thing)) {
                throw KvmErrors.refused(
                        operation,
                        null,
                        "the state has '" + other + "', and this version of the KVM backend knows '" + name + "'",
                        "use the version that wrote it, or set the portable state alone");
            }
        }
        return Optional.empty();
    }
}
