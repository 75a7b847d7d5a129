package io.membacking.partition.whp;

import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Pointer;

/**
 * The native methods that every WinHvPlatform has, mapped directly with the default calling convention: x64 Windows has one.
 * Registered from the first {@link #acquire} to the last {@link #release()}, for as long as any backend lives: JNA holds the class,
 * and with it the bundle's class loader, meanwhile.
 */
final class WinHv {
    private static int users;

    private WinHv() {}

    /** @throws UnsatisfiedLinkError if the library lacks one of them */
    static synchronized void acquire(NativeLibrary library) {
        if (users == 0) {
            Native.register(WinHv.class, library);
        }
        users++;
    }

    /** No thread may be inside a native method when the last user lets go: JNA frees the code it runs through. */
    static synchronized void release() {
        users--;
        if (users == 0) {
            // unregister alone leaves the class in JNA's table of options.
            Native.getLibraryOptions(WinHv.class).clear();
            Native.unregister(WinHv.class);
        }
    }

    // Safe throughout: every pointer is a Memory of the size that WhpAbi states, or 0; a handle is one that the
    // platform gave and
    // has not taken back, which WhpPartition sees to; memory mapped stays until it is unmapped, which the caller of map
    // promises.

    static native int WHvGetCapability(int code, Pointer buffer, int size, Pointer written);

    static native int WHvCreatePartition(Pointer handle);

    static native int WHvSetupPartition(long partition);

    static native int WHvDeletePartition(long partition);

    static native int WHvSetPartitionProperty(long partition, int code, Pointer buffer, int size);

    static native int WHvMapGpaRange(long partition, long address, long gpa, long bytes, int flags);

    static native int WHvUnmapGpaRange(long partition, long gpa, long bytes);

    static native int WHvTranslateGva(long partition, int processor, long gva, int flags, Pointer result, Pointer gpa);

    static native int WHvCreateVirtualProcessor(long partition, int index, int flags);

    static native int WHvDeleteVirtualProcessor(long partition, int index);

    static native int WHvRunVirtualProcessor(long partition, int index, Pointer exitContext, int size);

    static native int WHvCancelRunVirtualProcessor(long partition, int index, int flags);

    static native int WHvGetVirtualProcessorRegisters(
            long partition, int index, Pointer names, int count, Pointer values);

    static native int WHvSetVirtualProcessorRegisters(
            long partition, int index, Pointer names, int count, Pointer values);
}
