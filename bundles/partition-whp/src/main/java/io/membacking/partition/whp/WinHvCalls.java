package io.membacking.partition.whp;

import com.sun.jna.Platform;
import com.sun.jna.Pointer;
import org.jspecify.annotations.Nullable;

/** The calls themselves. */
final class WinHvCalls implements WhpCalls {
    /** System property, looked at on systems other than Windows: the file of a library for tests. */
    static final String SHIM = "membacking.whp.shim";

    private static final String LIBRARY = "WinHvPlatform";

    private final boolean loaded;
    private final String missing;

    /** Null elsewhere than on Windows. */
    private final @Nullable Surrogates surrogates;

    WinHvCalls() {
        String file = Platform.isWindows() ? null : System.getProperty(SHIM);
        String problem = "";
        boolean done = false;
        surrogates = Platform.isWindows() ? new Surrogates() : null;
        try {
            WinHv.acquire(file != null ? file : LIBRARY);
            done = true;
        } catch (UnsatisfiedLinkError e) {
            problem = String.valueOf(e.getMessage());
        }
        loaded = done;
        missing = problem;
    }

    private boolean has(String function) {
        return loaded && WinHv.has(function);
    }

    @Override
    public String missing() {
        return missing;
    }

    @Override
    public boolean isShim() {
        return loaded && WinHv.isShim();
    }

    @Override
    public int getCapability(int code, Pointer buffer, int size, Pointer written) {
        return loaded ? WinHv.WHvGetCapability(code, buffer, size, written) : Hresult.NO_SUCH_CALL;
    }

    @Override
    public int createPartition(Pointer handle) {
        return loaded ? WinHv.WHvCreatePartition(handle) : Hresult.NO_SUCH_CALL;
    }

    // Without the library there is no partition, and none of these is called.

    @Override
    public int setupPartition(long partition) {
        return WinHv.WHvSetupPartition(partition);
    }

    @Override
    public int deletePartition(long partition) {
        return WinHv.WHvDeletePartition(partition);
    }

    @Override
    public int setPartitionProperty(long partition, int code, Pointer buffer, int size) {
        return WinHv.WHvSetPartitionProperty(partition, code, buffer, size);
    }

    @Override
    public int mapGpaRange(long partition, long address, long gpa, long bytes, int flags) {
        return WinHv.WHvMapGpaRange(partition, address, gpa, bytes, flags);
    }

    @Override
    public int mapGpaRange2(long partition, long process, long address, long gpa, long bytes, int flags) {
        return has(WinHv.MAP_OF_PROCESS)
                ? WinHv.WHvMapGpaRange2(partition, process, address, gpa, bytes, flags)
                : Hresult.NO_SUCH_CALL;
    }

    @Override
    public int unmapGpaRange(long partition, long gpa, long bytes) {
        return WinHv.WHvUnmapGpaRange(partition, gpa, bytes);
    }

    @Override
    public int adviseGpaRange(
            long partition, Pointer ranges, int count, int advice, @Nullable Pointer buffer, int size) {
        return has(WinHv.ADVISE)
                ? WinHv.WHvAdviseGpaRange(partition, ranges, count, advice, buffer, size)
                : Hresult.NO_SUCH_CALL;
    }

    @Override
    public int queryGpaRangeDirtyBitmap(long partition, long gpa, long bytes, Pointer bitmap, int size) {
        return has(WinHv.DIRTY_PAGES)
                ? WinHv.WHvQueryGpaRangeDirtyBitmap(partition, gpa, bytes, bitmap, size)
                : Hresult.NO_SUCH_CALL;
    }

    @Override
    public int translateGva(long partition, int processor, long gva, int flags, Pointer result, Pointer gpa) {
        return WinHv.WHvTranslateGva(partition, processor, gva, flags, result, gpa);
    }

    @Override
    public int createVirtualProcessor(long partition, int index) {
        return WinHv.WHvCreateVirtualProcessor(partition, index, 0);
    }

    @Override
    public int deleteVirtualProcessor(long partition, int index) {
        return WinHv.WHvDeleteVirtualProcessor(partition, index);
    }

    @Override
    public int runVirtualProcessor(long partition, int index, Pointer exitContext, int size) {
        return WinHv.WHvRunVirtualProcessor(partition, index, exitContext, size);
    }

    @Override
    public int cancelRunVirtualProcessor(long partition, int index) {
        return WinHv.WHvCancelRunVirtualProcessor(partition, index, 0);
    }

    @Override
    public int getRegisters(long partition, int index, Pointer names, int count, Pointer values) {
        return WinHv.WHvGetVirtualProcessorRegisters(partition, index, names, count, values);
    }

    @Override
    public int setRegisters(long partition, int index, Pointer names, int count, Pointer values) {
        return WinHv.WHvSetVirtualProcessorRegisters(partition, index, names, count, values);
    }

    @Override
    public int getXsaveState(long partition, int index, Pointer buffer, int size, Pointer written) {
        return has(WinHv.GET_XSAVE)
                ? WinHv.WHvGetVirtualProcessorXsaveState(partition, index, buffer, size, written)
                : Hresult.NO_SUCH_CALL;
    }

    @Override
    public int setXsaveState(long partition, int index, Pointer buffer, int size) {
        return has(WinHv.SET_XSAVE)
                ? WinHv.WHvSetVirtualProcessorXsaveState(partition, index, buffer, size)
                : Hresult.NO_SUCH_CALL;
    }

    @Override
    public long startSurrogate() {
        return surrogates == null ? Hresult.NO_SUCH_CALL : surrogates.start();
    }

    @Override
    public void endSurrogate(long process) {
        if (surrogates != null) {
            surrogates.end(process);
        }
    }

    @Override
    public boolean hasEnded(long process) {
        return surrogates != null && Surrogates.hasEnded(process);
    }

    @Override
    public long mapSection(long process, int section) {
        return surrogates == null ? Hresult.NO_SUCH_CALL : Surrogates.map(process, section);
    }

    @Override
    public void unmapSection(long process, long address) {
        if (surrogates != null) {
            Surrogates.unmap(process, address);
        }
    }

    @Override
    public void close() {
        if (surrogates != null) {
            surrogates.close();
        }
        if (loaded) {
            WinHv.release();
        }
    }
}
