package io.membacking.host.windows;

import com.sun.jna.Native;
import io.membacking.error.NativeError;
import org.jspecify.annotations.Nullable;

/** Error numbers of Windows (winerror.h). */
final class WindowsError {
    static final int ACCESS_DENIED = 5;
    static final int INVALID_PARAMETER = 87;
    static final int ALREADY_EXISTS = 183;
    static final int INVALID_ADDRESS = 487;
    static final int NOT_ALL_ASSIGNED = 1300;
    static final int COMMITMENT_LIMIT = 1455;
    static final int WORKING_SET_QUOTA = 1453;

    private WindowsError() {}

    /** What the last native call of this thread failed with. */
    static NativeError last() {
        return of(Native.getLastError());
    }

    /** The same; null where it has not failed. */
    static @Nullable NativeError lastOrNull() {
        int code = Native.getLastError();
        return code == 0 ? null : of(code);
    }

    static NativeError of(int code) {
        return new NativeError(code, name(code));
    }

    /** From an NTSTATUS. */
    static NativeError ofStatus(int status) {
        return of(Win32.RtlNtStatusToDosError(status));
    }

    private static String name(int code) {
        return switch (code) {
            case ACCESS_DENIED -> "ERROR_ACCESS_DENIED";
            case 6 -> "ERROR_INVALID_HANDLE";
            case 8 -> "ERROR_NOT_ENOUGH_MEMORY";
            case 14 -> "ERROR_OUTOFMEMORY";
            case 50 -> "ERROR_NOT_SUPPORTED";
            case INVALID_PARAMETER -> "ERROR_INVALID_PARAMETER";
            case 112 -> "ERROR_DISK_FULL";
            case 120 -> "ERROR_CALL_NOT_IMPLEMENTED";
            case 158 -> "ERROR_NOT_LOCKED";
            case ALREADY_EXISTS -> "ERROR_ALREADY_EXISTS";
            case 299 -> "ERROR_PARTIAL_COPY";
            case INVALID_ADDRESS -> "ERROR_INVALID_ADDRESS";
            case 998 -> "ERROR_NOACCESS";
            case 1132 -> "ERROR_MAPPED_ALIGNMENT";
            case NOT_ALL_ASSIGNED -> "ERROR_NOT_ALL_ASSIGNED";
            case 1314 -> "ERROR_PRIVILEGE_NOT_HELD";
            case 1450 -> "ERROR_NO_SYSTEM_RESOURCES";
            case WORKING_SET_QUOTA -> "ERROR_WORKING_SET_QUOTA";
            case 1454 -> "ERROR_PAGEFILE_QUOTA";
            case COMMITMENT_LIMIT -> "ERROR_COMMITMENT_LIMIT";
            case 1816 -> "ERROR_NOT_ENOUGH_QUOTA";
            default -> Integer.toString(code);
        };
    }
}
