package io.membacking.partition.whp;

import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Pointer;

/**
 * Native methods of {@code ntdll}, for views of sections in other processes; on Windows alone. Every version has them;
 * {@code MapViewOfFile3} came with Windows 10 1803. Registered as {@link WinHv} is.
 */
final class NtDll {
    /** The view is not inherited by the processes that the other one makes. */
    static final int VIEW_UNMAP = 2;

    static final int PAGE_READWRITE = 4;

    private static int users;

    private NtDll() {}

    static synchronized void acquire() {
        if (users == 0) {
            Native.register(NtDll.class, NativeLibrary.getInstance("ntdll"));
        }
        users++;
    }

    static synchronized void release() {
        users--;
        if (users == 0) {
            Native.getLibraryOptions(NtDll.class).clear();
            Native.unregister(NtDll.class);
        }
    }

    // Safe: what is mapped and unmapped lies in another process than this, at an address that the system chose.

    static native int NtMapViewOfSection(
            long section,
            long process,
            Pointer base,
            long zeroBits,
            long commit,
            Pointer offset,
            Pointer size,
            int inherit,
            int allocation,
            int protection);

    static native int NtUnmapViewOfSection(long process, long base);
}
