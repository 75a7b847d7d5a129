package io.membacking.partition.whp;

import com.sun.jna.Memory;
import io.membacking.error.BackendException;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The model-specific registers that the platform has, by their architectural numbers, as found by reading each once. Immutable.
 *
 * @param portable those that every hypervisor can read and set: number to the platform's name
 * @param platform the others, in the order in which they are to be set
 */
record Msrs(Map<Integer, Integer> portable, Map<Integer, Integer> platform) {
    /** IA32_TIME_STAMP_COUNTER. */
    static final int TIME_STAMP_COUNTER = 0x10;

    private static final int VARIABLE_RANGES = 16;

    /** @throws BackendException if the platform fails, other than by having no such register */
    static Msrs find(WhpCalls calls, long partition, int processor, String operation) throws BackendException {
        return new Msrs(
                present(calls, partition, processor, portableCandidates(), operation),
                present(calls, partition, processor, platformCandidates(), operation));
    }

    private static Map<Integer, Integer> portableCandidates() {
        Map<Integer, Integer> names = new LinkedHashMap<>();
        names.put(TIME_STAMP_COUNTER, WhpAbi.TSC);
        names.put(0x174, WhpAbi.SYSENTER_CS);
        names.put(0x175, WhpAbi.SYSENTER_ESP);
        names.put(0x176, WhpAbi.SYSENTER_EIP);
        names.put(0x277, WhpAbi.PAT);
        names.put(0xc0000081, WhpAbi.STAR);
        names.put(0xc0000082, WhpAbi.LSTAR);
        names.put(0xc0000083, WhpAbi.CSTAR);
        names.put(0xc0000084, WhpAbi.SFMASK);
        names.put(0xc0000102, WhpAbi.KERNEL_GS_BASE);
        names.put(0xc0000103, WhpAbi.TSC_AUX);
        return names;
    }

    private static Map<Integer, Integer> platformCandidates() {
        Map<Integer, Integer> names = new LinkedHashMap<>();
        names.put(0x2ff, WhpAbi.MTRR_DEF_TYPE);
        int[] fixed = {0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f};
        for (int i = 0; i < fixed.length; i++) {
            names.put(fixed[i], WhpAbi.MTRR_FIX_64K_00000 + i);
        }
        for (int i = 0; i < VARIABLE_RANGES; i++) {
            names.put(0x200 + 2 * i, WhpAbi.MTRR_PHYS_BASE_0 + i);
            names.put(0x201 + 2 * i, WhpAbi.MTRR_PHYS_MASK_0 + i);
        }
        names.put(0x3b, WhpAbi.TSC_ADJUST);
        names.put(0x48, WhpAbi.SPEC_CTRL);
        names.put(0x122, WhpAbi.TSX_CTRL);
        names.put(0xe1, WhpAbi.UMWAIT_CONTROL);
        names.put(0xda0, WhpAbi.XSS);
        names.put(0x1c4, WhpAbi.XFD);
        names.put(0x1c5, WhpAbi.XFD_ERR);
        return names;
    }

    private static Map<Integer, Integer> present(
            WhpCalls calls, long partition, int processor, Map<Integer, Integer> candidates, String operation)
            throws BackendException {
        Map<Integer, Integer> present = new LinkedHashMap<>();
        try (Memory name = new Memory(Integer.BYTES);
                Memory value = new Memory(WhpAbi.REGISTER_VALUE_SIZE)) {
            for (Map.Entry<Integer, Integer> candidate : candidates.entrySet()) {
                name.setInt(0, candidate.getValue());
                boolean read = isThere(calls.getRegisters(partition, processor, name, 1, value), operation);
                // What it does not let be set to what it is, is no state.
                if (read
                        && (candidate.getValue() == WhpAbi.TSC
                                || isThere(calls.setRegisters(partition, processor, name, 1, value), operation))) {
                    present.put(candidate.getKey(), candidate.getValue());
                }
            }
        }
        return present;
    }

    private static boolean isThere(int result, String operation) throws BackendException {
        if (result == Hresult.INVALID_VP_REGISTER_NAME || result == Hresult.E_INVALIDARG) {
            return false;
        }
        WhpErrors.check(result, operation, "the platform does not tell which model-specific registers there are");
        return true;
    }
}
