package io.membacking.host.windows;

import com.sun.jna.Memory;
import com.sun.jna.Native;
import io.membacking.error.NativeError;
import org.jspecify.annotations.Nullable;

/**
 * Locking into memory. A process may lock a little less than the least size of its working set, so that grows by what is locked
 * and shrinks again. The least size is the process's, hence one lock for all.
 */
final class WorkingSet {
    /** What Windows keeps of the working set for itself: generous, since it is not documented as a number. */
    private static final long SPARE = 1 << 20;

    /** By how much it was grown here. Guarded by the class. */
    private static long grown;

    private WorkingSet() {}

    /** @return null, or what Windows answered; nothing of it is locked then */
    static synchronized @Nullable NativeError lock(long address, long length) {
        if (Win32.VirtualLock(address, length) != 0) {
            return null;
        }
        int error = Native.getLastError();
        if (error != WindowsError.WORKING_SET_QUOTA) {
            return WindowsError.of(error);
        }
        NativeError refused = resize(length + SPARE);
        if (refused != null) {
            return refused;
        }
        if (Win32.VirtualLock(address, length) != 0) {
            grown += length + SPARE;
            return null;
        }
        error = Native.getLastError();
        resize(-length - SPARE);
        return WindowsError.of(error);
    }

    static synchronized void unlock(long address, long length) {
        Win32.VirtualUnlock(address, length);
        long less = Math.min(grown, length + SPARE);
        if (less > 0 && resize(-less) == null) {
            grown -= less;
        }
    }

    private static @Nullable NativeError resize(long by) {
        try (Memory least = new Memory(8);
                Memory most = new Memory(8)) {
            boolean done = Win32.GetProcessWorkingSetSize(Win32.CURRENT_PROCESS, least, most) != 0
                    && Win32.SetProcessWorkingSetSize(
                                    Win32.CURRENT_PROCESS, least.getLong(0) + by, most.getLong(0) + by)
                            != 0;
            return done ? null : WindowsError.last();
        }
    }
}
