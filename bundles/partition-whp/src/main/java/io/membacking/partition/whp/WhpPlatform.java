package io.membacking.partition.whp;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import io.membacking.partition.Availability;
import io.membacking.partition.Capabilities;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * What the platform says it can do.
 *
 * @param xsave whether it gives the vector registers
 */
record WhpPlatform(Capabilities capabilities, boolean xsave) {
    static final String FORMAT = "whp";

    /**
     * Where the platform cannot tell, which is before Windows 11: what processors with second-level translation have at the least.
     * It refuses by itself what is beyond the processor's own.
     */
    static final int LEAST_WIDTH = 39;

    /** What is said while the platform cannot be asked. */
    static WhpPlatform least() {
        return of(0, LEAST_WIDTH, false, false);
    }

    private static WhpPlatform of(long features, int width, boolean advice, boolean remote) {
        return new WhpPlatform(
                new Capabilities(
                        true,
                        (features & WhpAbi.FEATURE_PARTIAL_UNMAP) != 0,
                        false,
                        false,
                        advice,
                        advice,
                        (features & WhpAbi.FEATURE_DIRTY_PAGE_TRACKING) != 0,
                        remote,
                        true,
                        false,
                        false,
                        isX86(),
                        width,
                        Integer.MAX_VALUE,
                        FORMAT),
                (features & WhpAbi.FEATURE_XSAVE) != 0);
    }

    static boolean isX86() {
        String architecture = System.getProperty("os.arch", "").toLowerCase(Locale.ROOT);
        return architecture.equals("amd64") || architecture.equals("x86_64");
    }

    static Availability availability(WhpCalls calls) {
        if (!calls.missing().isEmpty()) {
            return Availability.unusable(
                    "the library WinHvPlatform cannot be loaded: " + calls.missing(), WhpErrors.ENABLE);
        }
        try (Memory present = new Memory(WhpAbi.CAPABILITY_SIZE);
                Memory written = new Memory(Integer.BYTES)) {
            present.clear();
            int result = calls.getCapability(WhpAbi.CAPABILITY_HYPERVISOR_PRESENT, present, Integer.BYTES, written);
            if (result < 0) {
                return Availability.unusable(
                        "the Windows Hypervisor Platform does not answer: " + Hresult.named(result), WhpErrors.ENABLE);
            }
            return present.getInt(0) != 0
                    ? Availability.USABLE
                    : Availability.unusable("no hypervisor runs under this system", WhpErrors.START_HYPERVISOR);
        }
    }

    /** Null while it cannot be asked. */
    static @Nullable WhpPlatform ask(WhpCalls calls) {
        if (!availability(calls).usable()) {
            return null;
        }
        try (Memory value = new Memory(WhpAbi.CAPABILITY_SIZE);
                Memory written = new Memory(Integer.BYTES)) {
            value.clear();
            if (calls.getCapability(WhpAbi.CAPABILITY_FEATURES, value, Long.BYTES, written) < 0) {
                return null;
            }
            long features = value.getLong(0);
            value.clear();
            int width = LEAST_WIDTH;
            if (calls.getCapability(WhpAbi.CAPABILITY_PHYSICAL_ADDRESS_WIDTH, value, Integer.BYTES, written) >= 0) {
                width = value.getInt(0);
            }
            return probe(calls, features, width);
        }
    }

    /**
     * Which of the later calls are more than a name is found with a partition that is never set up: whatever else they make of it,
     * they say if they are not there.
     */
    private static WhpPlatform probe(WhpCalls calls, long features, int width) {
        try (Memory handle = new Memory(Long.BYTES);
                Memory range = new Memory(WhpAbi.RANGE_ENTRY_SIZE);
                Memory populate = new Memory(WhpAbi.POPULATE_SIZE)) {
            if (calls.createPartition(handle) < 0) {
                return of(features, width, false, false);
            }
            long partition = handle.getLong(0);
            try {
                range.setLong(WhpAbi.RANGE_ENTRY_ADDRESS, 0);
                range.setLong(WhpAbi.RANGE_ENTRY_BYTES, 0x1000);
                populate.clear();
                int advice = calls.adviseGpaRange(
                        partition, range, 1, WhpAbi.ADVISE_POPULATE, populate, WhpAbi.POPULATE_SIZE);
                int remote = calls.mapGpaRange2(
                        partition, WhpCalls.THIS_PROCESS, Pointer.nativeValue(range), 0, 0x1000, WhpAbi.MAP_READ);
                int dirty = calls.queryGpaRangeDirtyBitmap(partition, 0, 0x1000, populate, Long.BYTES);
                int xsave = calls.getXsaveState(partition, 0, populate, WhpAbi.POPULATE_SIZE, populate);
                long there = features
                        & ~(isThere(dirty) ? 0 : WhpAbi.FEATURE_DIRTY_PAGE_TRACKING)
                        & ~(isThere(xsave) ? 0 : WhpAbi.FEATURE_XSAVE);
                return of(there, width, isThere(advice), isThere(remote));
            } finally {
                calls.deletePartition(partition);
            }
        }
    }

    static boolean isThere(int result) {
        return result != Hresult.NO_SUCH_CALL && result != Hresult.E_NOTIMPL;
    }
}
