package io.membacking.partition.kvm;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import io.membacking.error.BackendException;
import io.membacking.partition.PlatformState;
import java.util.List;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * What of a partition belongs to no processor, to and from its platform state.
 *
 * <p>The timer's state does not have how much of its period has gone by: set, it starts the period anew. A guest whose time must not
 * drift over many moves has its timer from its monitor instead.
 */
record Devices(boolean interruptControllers, boolean timer) {
    /** By {@code chip_id}. */
    private static final List<String> CHIPS = List.of("the first PIC", "the second PIC", "the I/O APIC");

    PlatformState read(Syscalls calls, int vm, String operation) throws BackendException {
        SortedMap<String, byte[]> parts = new TreeMap<>();
        try (Memory memory = new Memory(KvmAbi.IRQCHIPS * KvmAbi.IRQCHIP_SIZE)) {
            memory.clear();
            if (interruptControllers) {
                for (int chip = 0; chip < KvmAbi.IRQCHIPS; chip++) {
                    Pointer state = memory.share((long) chip * KvmAbi.IRQCHIP_SIZE);
                    state.setInt(KvmAbi.IRQCHIP_ID, chip);
                    get(calls, vm, KvmAbi.KVM_GET_IRQCHIP, state, operation, CHIPS.get(chip));
                }
                parts.put(
                        StateParts.INTERRUPT_CONTROLLERS,
                        memory.getByteArray(0, KvmAbi.IRQCHIPS * KvmAbi.IRQCHIP_SIZE));
            }
            if (timer) {
                get(calls, vm, KvmAbi.KVM_GET_PIT2, memory, operation, "the timer");
                parts.put(StateParts.TIMER, memory.getByteArray(0, KvmAbi.PIT_STATE2_SIZE));
            }
            if (KvmDevice.isX86()) {
                get(calls, vm, KvmAbi.KVM_GET_CLOCK, memory, operation, "the clock");
                parts.put(StateParts.CLOCK, memory.getByteArray(0, KvmAbi.CLOCK_DATA_SIZE));
            }
        }
        return new PlatformState(StateParts.FORMAT, parts);
    }

    private static void get(Syscalls calls, int vm, long request, Pointer state, String operation, String what)
            throws BackendException {
        int result = calls.ioctl(vm, request, state);
        if (result < 0) {
            throw KvmErrors.failed(operation, null, "KVM does not tell the state of " + what, result);
        }
    }

    /** The clock first; the timer last, because it runs from then on. */
    void write(Syscalls calls, int vm, PlatformState state, String operation) throws BackendException {
        Optional<byte[]> clock = StateParts.find(state, StateParts.CLOCK, KvmAbi.CLOCK_DATA_SIZE, operation);
        Optional<byte[]> controllers = StateParts.find(
                state, StateParts.INTERRUPT_CONTROLLERS, KvmAbi.IRQCHIPS * KvmAbi.IRQCHIP_SIZE, operation);
        Optional<byte[]> pit = StateParts.find(state, StateParts.TIMER, KvmAbi.PIT_STATE2_SIZE, operation);
        checkSame(controllers.isPresent(), interruptControllers, "interrupt controllers", operation);
        checkSame(pit.isPresent(), timer, "a timer", operation);
        try (Memory memory = new Memory(KvmAbi.IRQCHIPS * KvmAbi.IRQCHIP_SIZE)) {
            if (clock.isPresent()) {
                memory.write(0, clock.get(), 0, KvmAbi.CLOCK_DATA_SIZE);
                // With the flag KVM adds the time that has gone by since; of the others it takes none.
                int flags = memory.getInt(KvmAbi.CLOCK_FLAGS) & KvmAbi.KVM_CLOCK_REALTIME;
                memory.setInt(KvmAbi.CLOCK_FLAGS, flags);
                set(calls, vm, KvmAbi.KVM_SET_CLOCK, memory, operation, "the clock");
            }
            if (controllers.isPresent()) {
                memory.write(0, controllers.get(), 0, controllers.get().length);
                for (int chip = 0; chip < KvmAbi.IRQCHIPS; chip++) {
                    Pointer at = memory.share((long) chip * KvmAbi.IRQCHIP_SIZE);
                    set(calls, vm, KvmAbi.KVM_SET_IRQCHIP, at, operation, CHIPS.get(chip));
                }
            }
            if (pit.isPresent()) {
                memory.write(0, pit.get(), 0, KvmAbi.PIT_STATE2_SIZE);
                set(calls, vm, KvmAbi.KVM_SET_PIT2, memory, operation, "the timer");
            }
        }
    }

    private static void checkSame(boolean there, boolean here, String what, String operation) throws BackendException {
        if (there != here) {
            throw KvmErrors.refused(
                    operation,
                    null,
                    there
                            ? "the state has " + what + ", and the partition was made without"
                            : "the partition has " + what + ", and the state has none",
                    "make the partition with the same devices");
        }
    }

    private static void set(Syscalls calls, int vm, long request, Pointer state, String operation, String what)
            throws BackendException {
        int result = calls.ioctl(vm, request, state);
        if (result < 0) {
            throw KvmErrors.failed(operation, null, "KVM refuses this state of " + what, result);
        }
    }
}
