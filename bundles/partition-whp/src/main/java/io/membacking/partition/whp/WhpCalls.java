package io.membacking.partition.whp;

import com.sun.jna.Pointer;
import org.jspecify.annotations.Nullable;

/**
 * What this backend asks of the system: the seam at which tests make it fail. The calls of WinHvPlatform have their own names, take
 * handles as numbers, and return an HRESULT; one that the library lacks returns {@link Hresult#NO_SUCH_CALL}. Thread-safe.
 */
interface WhpCalls extends AutoCloseable {
    /** The handle of this process, wherever one is asked for. */
    long THIS_PROCESS = -1;

    int getCapability(int code, Pointer buffer, int size, Pointer written);

    int createPartition(Pointer handle);

    int setupPartition(long partition);

    int deletePartition(long partition);

    int setPartitionProperty(long partition, int code, Pointer buffer, int size);

    int mapGpaRange(long partition, long address, long gpa, long bytes, int flags);

    int mapGpaRange2(long partition, long process, long address, long gpa, long bytes, int flags);

    int unmapGpaRange(long partition, long gpa, long bytes);

    int adviseGpaRange(long partition, Pointer ranges, int count, int advice, @Nullable Pointer buffer, int size);

    int queryGpaRangeDirtyBitmap(long partition, long gpa, long bytes, Pointer bitmap, int size);

    int translateGva(long partition, int processor, long gva, int flags, Pointer result, Pointer gpa);

    int createVirtualProcessor(long partition, int index);

    int deleteVirtualProcessor(long partition, int index);

    /** Returns when the guest exits, or was cancelled. */
    int runVirtualProcessor(long partition, int index, Pointer exitContext, int size);

    int cancelRunVirtualProcessor(long partition, int index);

    int getRegisters(long partition, int index, Pointer names, int count, Pointer values);

    int setRegisters(long partition, int index, Pointer names, int count, Pointer values);

    int getXsaveState(long partition, int index, Pointer buffer, int size, Pointer written);

    int setXsaveState(long partition, int index, Pointer buffer, int size);

    /** Starts a process that does nothing and ends with this one. @return its handle, or an HRESULT below zero */
    long startSurrogate();

    void endSurrogate(long process);

    /** Whether a process, a surrogate or another, is known to have ended. */
    boolean hasEnded(long process);

    /** Maps all of a section into a process. @return where it lies there, or an HRESULT below zero */
    long mapSection(long process, int section);

    void unmapSection(long process, long address);

    /** Why there is no library, or empty. */
    String missing();

    /** Whether it is not Windows' own library but one for tests. */
    boolean isShim();

    /** Gives the native methods back. No call may be under way or follow. */
    @Override
    void close();
}
