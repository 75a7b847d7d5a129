package io.membacking.partition.contract;

import com.sun.jna.Memory;
import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Platform;
import com.sun.jna.Pointer;

/** Shared host memory with a descriptor, on Linux or Windows. */
final class TestPages implements AutoCloseable {
    private final long size;
    private final long address;
    private final int descriptor;

    TestPages(long size) {
        this.size = size;
        this.descriptor = Platform.isWindows() ? Windows.create(size) : Linux.create(size);
        this.address = Platform.isWindows() ? Windows.map(descriptor, size) : Linux.map(descriptor, size);
    }

    long address() {
        return address;
    }

    int descriptor() {
        return descriptor;
    }

    void setAccessible(long offset, long length, boolean accessible) {
        if (Platform.isWindows()) {
            Windows.protect(address + offset, length, accessible);
        } else if (Linux.mprotect(address + offset, length, accessible ? Linux.PROT_READ_WRITE : Linux.PROT_NONE)
                != 0) {
            throw failed("mprotect");
        }
    }

    /** On Linux alone: a second mapping of the start of other pages, over these. */
    void replace(long offset, long length, TestPages other) {
        // An old size of 0 makes a second mapping of shared memory; the flags are MREMAP_MAYMOVE and MREMAP_FIXED.
        if (Linux.mremap(other.address, 0, length, 3, address + offset) != address + offset) {
            throw failed("mremap");
        }
    }

    @Override
    public void close() {
        if (Platform.isWindows()) {
            Windows.end(descriptor, address);
        } else {
            Linux.munmap(address, size);
            Linux.close(descriptor);
        }
    }

    private static IllegalStateException failed(String call) {
        return new IllegalStateException(call + " failed: error " + Native.getLastError());
    }

    private static final class Linux {
        static final int PROT_NONE = 0;
        static final int PROT_READ_WRITE = 3;
        private static final int MAP_SHARED = 1;
        private static final int MFD_CLOEXEC = 1;

        static {
            Native.register(Linux.class, NativeLibrary.getProcess());
        }

        static int create(long size) {
            int fd = memfd_create("test", MFD_CLOEXEC);
            if (fd < 0 || ftruncate(fd, size) != 0) {
                throw failed("memfd_create");
            }
            return fd;
        }

        static long map(int fd, long size) {
            long address = mmap(0, size, PROT_READ_WRITE, MAP_SHARED, fd, 0);
            if (address == -1) {
                throw failed("mmap");
            }
            return address;
        }

        private static native int memfd_create(String name, int flags);

        private static native int ftruncate(int fd, long size);

        private static native long mmap(long address, long length, int protection, int flags, int fd, long offset);

        static native int munmap(long address, long length);

        static native int close(int fd);

        static native long mremap(long old, long oldLength, long newLength, int flags, long address);

        static native int mprotect(long address, long length, int protection);
    }

    private static final class Windows {
        private static final int PAGE_NOACCESS = 1;
        private static final int PAGE_READWRITE = 4;
        private static final int FILE_MAP_READ_WRITE = 6;
        private static final long NO_FILE = -1;

        static {
            Native.register(Windows.class, NativeLibrary.getInstance("kernel32"));
        }

        static int create(long size) {
            long handle = CreateFileMappingW(NO_FILE, null, PAGE_READWRITE, (int) (size >>> 32), (int) size, null);
            if (handle == 0) {
                throw failed("CreateFileMapping");
            }
            return (int) handle;
        }

        static long map(int handle, long size) {
            long view = MapViewOfFile(handle, FILE_MAP_READ_WRITE, 0, 0, size);
            if (view == 0) {
                throw failed("MapViewOfFile");
            }
            return view;
        }

        static void protect(long address, long length, boolean accessible) {
            try (Memory before = new Memory(Integer.BYTES)) {
                if (VirtualProtect(address, length, accessible ? PAGE_READWRITE : PAGE_NOACCESS, before) == 0) {
                    throw failed("VirtualProtect");
                }
            }
        }

        static void end(int handle, long address) {
            UnmapViewOfFile(address);
            CloseHandle(handle);
        }

        private static native long CreateFileMappingW(
                long file, Pointer attributes, int protection, int sizeHigh, int sizeLow, Pointer name);

        private static native long MapViewOfFile(long section, int access, int offsetHigh, int offsetLow, long bytes);

        private static native int VirtualProtect(long address, long bytes, int protection, Pointer before);

        private static native int UnmapViewOfFile(long address);

        private static native int CloseHandle(long handle);
    }
}
