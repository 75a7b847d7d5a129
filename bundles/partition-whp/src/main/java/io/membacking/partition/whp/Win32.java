package io.membacking.partition.whp;

import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Pointer;
import com.sun.jna.WString;
import org.jspecify.annotations.Nullable;

/** Native methods of {@code kernel32}, for processes and jobs; on Windows alone. Registered as {@link WinHv} is. */
final class Win32 {
    static final int CREATE_SUSPENDED = 0x4;
    static final int CREATE_NO_WINDOW = 0x08000000;
    static final int EXTENDED_STARTUPINFO_PRESENT = 0x00080000;

    /** Of STARTUPINFOEXW. */
    static final int STARTUP_INFO_SIZE = 112;

    static final int ATTRIBUTE_LIST = 104;
    static final int PROC_THREAD_ATTRIBUTE_JOB_LIST = 0x2000d;
    static final int PROCESS_INFORMATION_SIZE = 24;
    static final int PROCESS_HANDLE = 0;
    static final int THREAD_HANDLE = 8;

    /** JobObjectExtendedLimitInformation, and the limits' place in JOBOBJECT_EXTENDED_LIMIT_INFORMATION. */
    static final int EXTENDED_LIMITS = 9;

    static final int EXTENDED_LIMITS_SIZE = 144;
    static final int LIMIT_FLAGS = 16;
    static final int KILL_ON_JOB_CLOSE = 0x2000;

    static final int ENDED = 0;

    private static int users;

    private Win32() {}

    static synchronized void acquire() {
        if (users == 0) {
            Native.register(Win32.class, NativeLibrary.getInstance("kernel32"));
        }
        users++;
    }

    static synchronized void release() {
        users--;
        if (users == 0) {
            Native.getLibraryOptions(Win32.class).clear();
            Native.unregister(Win32.class);
        }
    }

    // Safe throughout: pointers are Memory of the size that the call asks for, or 0; handles are our own, closed once.

    static native int CreateProcessW(
            @Nullable Pointer application,
            WString command,
            @Nullable Pointer processAttributes,
            @Nullable Pointer threadAttributes,
            int inherit,
            int flags,
            @Nullable Pointer environment,
            @Nullable Pointer directory,
            Pointer startupInfo,
            Pointer processInformation);

    static native long CreateJobObjectW(@Nullable Pointer attributes, @Nullable Pointer name);

    static native int SetInformationJobObject(long job, int kind, Pointer information, int size);

    static native int InitializeProcThreadAttributeList(@Nullable Pointer list, int count, int flags, Pointer size);

    static native int UpdateProcThreadAttribute(
            Pointer list,
            int flags,
            long attribute,
            Pointer value,
            long size,
            @Nullable Pointer previous,
            @Nullable Pointer returned);

    static native void DeleteProcThreadAttributeList(Pointer list);

    /** Takes any handle: one that is none, or does not permit it, is answered with -1. */
    static native int WaitForSingleObject(long process, int milliseconds);

    static native int TerminateProcess(long process, int status);

    static native int CloseHandle(long handle);
}
