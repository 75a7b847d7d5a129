package io.membacking.partition.kvm;

import com.sun.jna.Memory;
import io.membacking.error.BackendException;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * The model-specific registers that make up a processor's state: those that KVM lists, and the memory type range registers, which it
 * does not. Those that are in the segment or control registers already (EFER, FS base, GS base, the APIC base) are in neither list.
 *
 * @param portable those that every hypervisor can read and set
 * @param platform the others, in the order in which they are to be set
 */
record MsrList(List<Integer> portable, List<Integer> platform) {
    /** IA32_TIME_STAMP_COUNTER. */
    static final int TSC = 0x10;

    /** IA32_TSC_DEADLINE: starts the timer of the local APIC, and so comes last, after the time-stamp counter's offset. */
    static final int TSC_DEADLINE = 0x6e0;

    /** In the register of KVM's clock: that it is on. */
    static final int CLOCK_ENABLED = 1;

    /** MSR_KVM_SYSTEM_TIME, and the number that it had first. */
    private static final int CLOCK = 0x4b564d01;

    private static final int OLD_CLOCK = 0x12;

    /** {@code MAX_IO_MSRS}: the most that one call reads or sets. */
    static final int MOST = 256;

    /** Bytes of a {@code struct kvm_msrs} with so many. */
    static final int CALL_SIZE = KvmAbi.MSRS_HEADER_SIZE + MOST * KvmAbi.MSR_ENTRY_SIZE;

    private static final Set<Integer> PORTABLE = Set.of(
            TSC,
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

    MsrList {
        portable = List.copyOf(portable);
        platform = List.copyOf(platform);
    }

    /**
     * Finds out which of the candidates a new processor lets be read and set, by doing both.
     *
     * @param listed what KVM lists
     */
    static MsrList find(Syscalls calls, int processor, List<Integer> listed, String operation) throws BackendException {
        Set<Integer> candidates = new LinkedHashSet<>(PORTABLE);
        candidates.addAll(listed);
        candidates.add(0x2ff); // IA32_MTRR_DEF_TYPE
        candidates.addAll(List.of(0x250, 0x258, 0x259)); // IA32_MTRR_FIX64K, FIX16K
        for (int fixed4k = 0x268; fixed4k <= 0x26f; fixed4k++) {
            candidates.add(fixed4k);
        }
        for (int variable = 0x200; variable <= 0x20f; variable++) {
            candidates.add(variable);
        }
        List<Integer> usable = new ArrayList<>(candidates);
        keepThose(calls, processor, KvmAbi.KVM_GET_MSRS, usable, operation);
        usable.remove((Integer) TSC); // it can be set wherever it can be read, and would go back a little
        keepThose(calls, processor, KvmAbi.KVM_SET_MSRS, usable, operation);
        List<Integer> portable = new ArrayList<>();
        List<Integer> platform = new ArrayList<>();
        portable.add(TSC);
        for (int number : usable) {
            (PORTABLE.contains(number) ? portable : platform).add(number);
        }
        if (platform.remove((Integer) TSC_DEADLINE)) {
            platform.add(TSC_DEADLINE);
        }
        return new MsrList(portable, platform);
    }

    /** Leaves those that the request works with. To set, it reads first and gives back what it read. */
    private static void keepThose(Syscalls calls, int processor, long request, List<Integer> numbers, String operation)
            throws BackendException {
        int known = 0; // from the first on, those that it works with
        while (known < numbers.size()) {
            int count = Math.min(numbers.size() - known, MOST);
            try (Memory entries = new Memory(CALL_SIZE)) {
                entries.clear();
                entries.setInt(KvmAbi.MSRS_COUNT, count);
                for (int i = 0; i < count; i++) {
                    entries.setInt(entry(i) + KvmAbi.MSR_INDEX, numbers.get(known + i));
                }
                int done = calls.ioctl(processor, KvmAbi.KVM_GET_MSRS, entries);
                if (done == count && request == KvmAbi.KVM_SET_MSRS) {
                    done = calls.ioctl(processor, request, entries);
                }
                if (done < 0) {
                    throw KvmErrors.failed(
                            operation, null, "KVM does not tell which model-specific registers there are", done);
                }
                known += done;
                if (done < count) {
                    numbers.remove(known);
                }
            }
        }
    }

    /** Whether it says where the guest has KVM's clock. */
    static boolean isClock(int number) {
        return number == CLOCK || number == OLD_CLOCK;
    }

    int size() {
        return portable.size() + platform.size();
    }

    /** Whether IA32_TSC_DEADLINE is among them: as the last. */
    boolean hasDeadline() {
        return !platform.isEmpty() && platform.get(platform.size() - 1) == TSC_DEADLINE;
    }

    /** How many calls read all of them. */
    int calls() {
        return Math.max(1, (size() + MOST - 1) / MOST);
    }

    /** Where an entry lies, in as many {@code struct kvm_msrs} as there are calls, one after the other. */
    static int entry(int index) {
        return index / MOST * CALL_SIZE + KvmAbi.MSRS_HEADER_SIZE + index % MOST * KvmAbi.MSR_ENTRY_SIZE;
    }
}
