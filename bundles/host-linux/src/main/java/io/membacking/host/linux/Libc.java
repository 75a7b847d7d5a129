package io.membacking.host.linux;

import com.sun.jna.Memory;
import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Platform;
import com.sun.jna.Pointer;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.function.LongSupplier;

/**
 * The C library, as far as this bundle needs it, mapped directly. Calls return what C returns; after -1 the error is
 * {@link Errno#last()} of the same thread.
 *
 * <p>Constants are the kernel's (include/uapi/linux and asm-generic), the same on x86-64 and aarch64 unless said otherwise.
 * Both have 64-bit {@code size_t}, {@code off_t} and pointers, and pass variadic arguments as they pass others, so that
 * {@code fcntl}, {@code open} and {@code syscall} can be declared with a fixed list.
 */
final class Libc {
    static final int PROT_NONE = 0;
    static final int PROT_READ_WRITE = 1 | 2;
    static final int MAP_SHARED = 0x01;
    static final int MAP_PRIVATE = 0x02;
    static final int MAP_FIXED = 0x10;
    static final int MAP_ANONYMOUS = 0x20;
    static final int MAP_NORESERVE = 0x4000;
    static final long MAP_FAILED = -1;
    static final int MREMAP_MAYMOVE = 1;
    static final int MREMAP_FIXED = 2;

    static final int MADV_DONTNEED = 4;
    static final int MADV_HUGEPAGE = 14;
    /** Linux 5.14. */
    static final int MADV_POPULATE_WRITE = 23;

    static final int MPOL_BIND = 2;

    static final int MFD_CLOEXEC = 1;
    static final int MFD_ALLOW_SEALING = 2;
    static final int MFD_HUGETLB = 4;
    /** Linux 6.3; required where {@code vm.memfd_noexec} is 2. */
    static final int MFD_NOEXEC_SEAL = 8;

    static final int MFD_HUGE_SHIFT = 26;

    static final int F_GETFL = 3;
    static final int F_DUPFD_CLOEXEC = 1030;
    static final int F_ADD_SEALS = 1033;
    static final int F_GET_SEALS = 1034;
    static final int F_SEAL_SEAL = 1;
    static final int F_SEAL_SHRINK = 2;
    static final int F_SEAL_GROW = 4;

    static final int O_ACCMODE = 3;
    static final int O_RDWR = 2;
    static final int O_CLOEXEC = 0x80000;

    static final int LOCK_EX = 2;
    static final int LOCK_NB = 4;

    static final long HUGETLBFS_MAGIC = 0x958458f6L;
    static final long TMPFS_MAGIC = 0x01021994L;

    static final int AF_UNIX = 1;
    static final int SOCK_SEQPACKET = 5;
    static final int SOCK_NONBLOCK = 0x800;
    static final int SOCK_CLOEXEC = 0x80000;
    static final int SOL_SOCKET = 1;
    static final int SCM_RIGHTS = 1;
    static final int MSG_CTRUNC = 0x8;
    static final int MSG_TRUNC = 0x20;
    static final int MSG_NOSIGNAL = 0x4000;
    static final int MSG_CMSG_CLOEXEC = 0x40000000;
    static final int POLLIN = 1;
    static final int POLLOUT = 4;

    private static final int MEMBARRIER_CMD_PRIVATE_EXPEDITED = 8;
    private static final int MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED = 16;

    private static final int SC_PAGESIZE = 30;

    private static int users;

    private Libc() {}

    /**
     * Binds the calls below for one more user. The binding is the class's, so it is counted; the last user's
     * {@link #release()} undoes it, or the class loader would stay for ever.
     */
    static synchronized void acquire() {
        if (users == 0) {
            if (!Platform.isLinux() || !(isX86() || isArm())) {
                throw new UnsupportedOperationException(
                        "host-linux knows Linux on x86-64 and aarch64, not " + Platform.RESOURCE_PREFIX);
            }
            Native.register(Libc.class, NativeLibrary.getProcess());
        }
        users++;
    }

    /** No thread may be inside a call when the last user lets go: the JVM would end. */
    static synchronized void release() {
        if (--users == 0) {
            // Unregistering alone leaves the class in JNA's table of options.
            Map<String, Object> options = Native.getLibraryOptions(Libc.class);
            if (options != null) {
                options.clear();
            }
            Native.unregister(Libc.class);
        }
    }

    private static boolean isX86() {
        return Platform.RESOURCE_PREFIX.equals("linux-x86-64");
    }

    private static boolean isArm() {
        return Platform.RESOURCE_PREFIX.equals("linux-aarch64");
    }

    /** Repeats a call that a signal interrupted. */
    static long retried(LongSupplier call) {
        long result;
        do {
            result = call.getAsLong();
        } while (result == -1 && Native.getLastError() == Errno.EINTR);
        return result;
    }

    /** UTF-8 with a zero at the end. */
    static Memory string(String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        Memory memory = new Memory(bytes.length + 1L);
        memory.write(0, bytes, 0, bytes.length);
        memory.setByte(bytes.length, (byte) 0);
        return memory;
    }

    static long pageSize() {
        return sysconf(SC_PAGESIZE);
    }

    /** The C library lacks {@code mbind}; libnuma, which has it, need not be there. */
    static long mbind(long address, long length, int mode, Pointer nodes, long maxNode) {
        return syscall(isX86() ? 237 : 235, address, length, mode, Pointer.nativeValue(nodes), maxNode, 0);
    }

    /** By number: before glibc 2.33 {@code fstat} was no symbol of the library. */
    static long fstat(int descriptor, Pointer structure) {
        return syscall(isX86() ? 5 : 80, descriptor, Pointer.nativeValue(structure), 0, 0, 0, 0);
    }

    static boolean registerBarrier() {
        return membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
    }

    static boolean barrier() {
        return membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0;
    }

    private static long membarrier(int command) {
        return syscall(isX86() ? 324 : 283, command, 0, 0, 0, 0, 0);
    }

    // Address space. Safe because every address given is inside a reservation of this bundle, or is 0 for a place of
    // the
    // kernel's choice; nothing else of the process is ever mapped over or unmapped.

    static native long mmap(long address, long length, int protection, int flags, int descriptor, long offset);

    static native int munmap(long address, long length);

    static native long mremap(long address, long oldLength, long newLength, int flags, long newAddress);

    // Advice and locks keep contents as they are, but for MADV_DONTNEED, which is given to released memory alone.

    static native int madvise(long address, long length, int advice);

    static native int mlock(long address, long length);

    static native int munlock(long address, long length);

    // Descriptors. Safe because a descriptor is used under the lock of its owner, who alone closes it, so that its
    // number
    // cannot have become another file's; buffers are JNA memory that the caller holds for the time of the call.

    static native int memfd_create(Pointer name, int flags);

    static native int ftruncate(int descriptor, long length);

    static native int fallocate(int descriptor, int mode, long offset, long length);

    static native int fcntl(int descriptor, int command, long argument);

    static native long pread(int descriptor, Pointer buffer, long length, long offset);

    static native long pwrite(int descriptor, Pointer buffer, long length, long offset);

    static native int open(Pointer path, int flags, int mode);

    static native int close(int descriptor);

    static native int flock(int descriptor, int operation);

    /** Fills {@code struct statfs}: f_type at 0 and f_bsize at 8 on both processors; 120 bytes, 256 are given. */
    static native int fstatfs(int descriptor, Pointer statfs);

    // Copies between two places of this very process: a bad address is EFAULT, not a signal.

    static native long process_vm_readv(
            int process, Pointer local, long locals, Pointer remote, long remotes, long flags);

    static native long process_vm_writev(
            int process, Pointer local, long locals, Pointer remote, long remotes, long flags);

    // Sockets: as descriptors. Addresses and messages are laid out in JNA memory of the full size of the C structure.

    static native int socket(int domain, int type, int protocol);

    static native int bind(int descriptor, Pointer address, int length);

    static native int listen(int descriptor, int backlog);

    static native int accept4(int descriptor, Pointer address, Pointer length, int flags);

    static native int connect(int descriptor, Pointer address, int length);

    static native long sendmsg(int descriptor, Pointer message, int flags);

    static native long recvmsg(int descriptor, Pointer message, int flags);

    static native int poll(Pointer descriptors, long count, int milliseconds);

    static native int chmod(Pointer path, int mode);

    static native int unlink(Pointer path);

    static native int getpid();

    /** Safe: reads a number. */
    private static native long sysconf(int name);

    /** Used for the calls above alone, with the arguments of their kernel declarations. */
    private static native long syscall(long number, long a, long b, long c, long d, long e, long f);
}
