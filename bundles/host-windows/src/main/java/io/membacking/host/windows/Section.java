package io.membacking.host.windows;

import com.sun.jna.Memory;
import io.membacking.error.NativeError;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/**
 * An open handle of a section. It is shared by a backing and by the views of it, because what is left of a view that is cut must
 * be mapped again, also when the backing has been closed; the last of them closes it. Thread-safe.
 */
final class Section {
    private final long handle;
    private int users = 1;

    Section(long handle) {
        this.handle = handle;
    }

    /** Good while the caller is one of the users. */
    long handle() {
        return handle;
    }

    /** One user more; the caller is one. */
    synchronized Section shared() {
        users++;
        return this;
    }

    /** One user less. */
    synchronized void release() {
        if (--users == 0) {
            Win32.CloseHandle(handle);
        }
    }

    /** Another handle of the same section in a process, or 0 with the reason as the thread's last error. */
    static long duplicate(long handle, long process) {
        try (Memory duplicate = new Memory(Long.BYTES)) {
            boolean done = Win32.DuplicateHandle(
                            Win32.CURRENT_PROCESS, handle, process, duplicate, 0, 0, Win32.DUPLICATE_SAME_ACCESS)
                    != 0;
            return done ? duplicate.getLong(0) : Win32.NULL;
        }
    }

    /**
     * What the kernel says of a handle.
     *
     * @param attributes SEC_COMMIT and the like
     * @param size bytes
     * @param name the last part of its name in the kernel's name space; empty if it has none
     */
    record Description(int attributes, long size, String name) {}

    /** @return null if the handle is none of a section */
    static @Nullable Description describe(long handle) {
        try (Memory buffer = new Memory(2048)) {
            if (Win32.NtQuerySection(
                            handle,
                            Win32.SECTION_BASIC_INFORMATION,
                            buffer,
                            Win32.SIZE_OF_SECTION_INFORMATION,
                            com.sun.jna.Pointer.NULL)
                    < 0) {
                return null;
            }
            int attributes = buffer.getInt(Win32.SECTION_INFORMATION_ATTRIBUTES);
            long size = buffer.getLong(Win32.SECTION_INFORMATION_SIZE);
            buffer.clear();
            try (Memory needed = new Memory(8)) {
                int status =
                        Win32.NtQueryObject(handle, Win32.OBJECT_NAME_INFORMATION, buffer, (int) buffer.size(), needed);
                // A UNICODE_STRING: its length in bytes, and where it is.
                int length = status < 0 ? 0 : Short.toUnsignedInt(buffer.getShort(0));
                String path = length == 0
                        ? ""
                        : new String(
                                buffer.getPointer(Win32.UNICODE_STRING_BUFFER).getByteArray(0, length),
                                StandardCharsets.UTF_16LE);
                return new Description(attributes, size, path.substring(path.lastIndexOf('\\') + 1));
            }
        }
    }

    /** Tries whether a view for writing can be mapped. @return null, or what Windows answered */
    static @Nullable NativeError tryView(long handle, long offset, long length) {
        long view = Win32.MapViewOfFile(
                handle, Win32.FILE_MAP_READ | Win32.FILE_MAP_WRITE, (int) (offset >>> 32), (int) offset, length);
        if (view == Win32.NULL) {
            return WindowsError.last();
        }
        Win32.UnmapViewOfFile(view);
        return null;
    }
}
