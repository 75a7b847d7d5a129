package io.membacking.host.linux;

import com.sun.jna.Native;
import io.membacking.error.NativeError;

/** Error numbers of Linux (asm-generic/errno-base.h and errno.h; the same on x86-64 and aarch64). */
final class Errno {
    static final int EPERM = 1;
    static final int ENOENT = 2;
    static final int EINTR = 4;
    static final int EAGAIN = 11;
    static final int ENOMEM = 12;
    static final int EEXIST = 17;
    static final int EINVAL = 22;
    static final int ENOSPC = 28;
    static final int EPIPE = 32;
    static final int EADDRINUSE = 98;
    static final int ECONNRESET = 104;
    static final int ECONNREFUSED = 111;

    private Errno() {}

    /** What the last native call of this thread failed with. */
    static NativeError last() {
        return of(Native.getLastError());
    }

    static NativeError of(int code) {
        return new NativeError(code, name(code));
    }

    private static String name(int code) {
        return switch (code) {
            case EPERM -> "EPERM";
            case ENOENT -> "ENOENT";
            case EINTR -> "EINTR";
            case 5 -> "EIO";
            case 9 -> "EBADF";
            case EAGAIN -> "EAGAIN";
            case ENOMEM -> "ENOMEM";
            case 13 -> "EACCES";
            case 14 -> "EFAULT";
            case 16 -> "EBUSY";
            case EEXIST -> "EEXIST";
            case 19 -> "ENODEV";
            case 20 -> "ENOTDIR";
            case EINVAL -> "EINVAL";
            case 23 -> "ENFILE";
            case 24 -> "EMFILE";
            case 27 -> "EFBIG";
            case ENOSPC -> "ENOSPC";
            case 30 -> "EROFS";
            case EPIPE -> "EPIPE";
            case 36 -> "ENAMETOOLONG";
            case 38 -> "ENOSYS";
            case 75 -> "EOVERFLOW";
            case 95 -> "EOPNOTSUPP";
            case EADDRINUSE -> "EADDRINUSE";
            case ECONNRESET -> "ECONNRESET";
            case 107 -> "ENOTCONN";
            case ECONNREFUSED -> "ECONNREFUSED";
            case 133 -> "EHWPOISON";
            default -> Integer.toString(code);
        };
    }
}
