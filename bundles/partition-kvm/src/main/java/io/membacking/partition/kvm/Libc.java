package io.membacking.partition.kvm;

import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Pointer;

/**
 * The only native methods of this bundle, mapped directly. Registered from the first {@link #acquire()} to the last
 * {@link #release()}, for as long as any backend lives: JNA holds the class, and with it the bundle's class loader, meanwhile.
 */
final class Libc {
    private static int users;

    private Libc() {}

    static synchronized void acquire() {
        if (users == 0) {
            Native.register(Libc.class, NativeLibrary.getProcess());
        }
        users++;
    }

    /** No thread may be inside a native method when the last user lets go: JNA frees the code it runs through. */
    static synchronized void release() {
        users--;
        if (users == 0) {
            // unregister alone leaves the class in JNA's table of options.
            Native.getLibraryOptions(Libc.class).clear();
            Native.unregister(Libc.class);
        }
    }

    /** The address of libc's {@code abs}: a function that does nothing and stays for ever, hence a signal handler. */
    static long doNothing() {
        return Pointer.nativeValue(NativeLibrary.getProcess().getGlobalVariableAddress("abs"));
    }

    // Safe throughout: every pointer is a Memory of the size that KvmAbi states, or 0; a failure is -1 and errno.

    static native int open(String path, int flags);

    static native int close(int fd);

    static native int ioctl(int fd, long request, long argument);

    static native int ioctl(int fd, long request, Pointer argument);

    /** Only with address 0 and without MAP_FIXED: it never replaces what is mapped. */
    static native long mmap(long address, long length, int protection, int flags, int fd, long offset);

    /** Only with what mmap gave, once, when nothing reads it any more. */
    static native int munmap(long address, long length);

    static native long pthread_self();

    /** Only for a thread known to be alive: see KvmProcessor. */
    static native int pthread_kill(long thread, int signal);

    static native int pthread_sigmask(int how, Pointer set, Pointer old);

    static native int sigaction(int signal, Pointer action, Pointer old);

    static native int __libc_current_sigrtmin();

    static native int __libc_current_sigrtmax();
}
