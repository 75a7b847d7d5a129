package io.membacking.partition.kvm;

import com.sun.jna.Memory;
import io.membacking.error.BackendException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * The model-specific registers that every hypervisor can read and set, and that are not in the segment or control registers already
 * (as EFER, FS base, GS base and the APIC base are). Those of them that a processor has are found by reading each once.
 */
final class PortableMsrs {
    private static final List<Integer> CANDIDATES = List.of(
            0x174, // IA32_SYSENTER_CS
            0x175, // IA32_SYSENTER_ESP
            0x176, // IA32_SYSENTER_EIP
            0x277, // IA32_PAT
            0xc0000081, // STAR
            0xc0000082, // LSTAR
            0xc0000083, // CSTAR
            0xc0000084, // SFMASK
            0xc0000102, // KERNEL_GS_BASE
            0xc0000103); // TSC_AUX, where there is RDTSCP

    private final Syscalls calls;
    private final List<Integer> present;

    private PortableMsrs(Syscalls calls, List<Integer> present) {
        this.calls = calls;
        this.present = List.copyOf(present);
    }

    static PortableMsrs of(Syscalls calls, int processor) {
        List<Integer> present = new ArrayList<>();
        for (int msr : CANDIDATES) {
            try (Memory one = entries(1)) {
                one.setInt(entry(0) + KvmAbi.MSR_INDEX, msr);
                if (calls.ioctl(processor, KvmAbi.KVM_GET_MSRS, one) == 1) {
                    present.add(msr);
                }
            }
        }
        return new PortableMsrs(calls, present);
    }

    SortedMap<Integer, Long> read(int processor, String operation) throws BackendException {
        SortedMap<Integer, Long> values = new TreeMap<>();
        if (present.isEmpty()) {
            return values;
        }
        try (Memory entries = entries(present.size())) {
            for (int i = 0; i < present.size(); i++) {
                entries.setInt(entry(i) + KvmAbi.MSR_INDEX, present.get(i));
            }
            int done = calls.ioctl(processor, KvmAbi.KVM_GET_MSRS, entries);
            check(done, present, operation, "read");
            for (int i = 0; i < present.size(); i++) {
                values.put(present.get(i), entries.getLong(entry(i) + KvmAbi.MSR_DATA));
            }
        }
        return values;
    }

    /** Sets any registers that KVM takes; those before the one it refuses are set then. */
    void write(int processor, SortedMap<Integer, Long> values, String operation) throws BackendException {
        if (values.isEmpty()) {
            return;
        }
        List<Integer> numbers = new ArrayList<>(values.keySet());
        try (Memory entries = entries(numbers.size())) {
            int i = 0;
            for (Map.Entry<Integer, Long> value : values.entrySet()) {
                entries.setInt(entry(i) + KvmAbi.MSR_INDEX, value.getKey());
                entries.setLong(entry(i) + KvmAbi.MSR_DATA, value.getValue());
                i++;
            }
            check(calls.ioctl(processor, KvmAbi.KVM_SET_MSRS, entries), numbers, operation, "set");
        }
    }

    /** KVM stops at the first that it refuses, and returns how many it did. */
    private static void check(int done, List<Integer> numbers, String operation, String verb) throws BackendException {
        if (done < 0) {
            throw KvmErrors.failed(operation, null, "KVM cannot " + verb + " model-specific registers", done);
        }
        if (done < numbers.size()) {
            throw KvmErrors.refused(
                    operation,
                    null,
                    "KVM does not " + verb + " model-specific register 0x" + Integer.toHexString(numbers.get(done)),
                    "leave it out, or give it a value that this processor takes");
        }
    }

    private static Memory entries(int count) {
        Memory memory = new Memory(entry(count));
        memory.clear();
        memory.setInt(KvmAbi.MSRS_COUNT, count);
        return memory;
    }

    private static long entry(int index) {
        return KvmAbi.MSRS_HEADER_SIZE + (long) index * KvmAbi.MSR_ENTRY_SIZE;
    }
}
