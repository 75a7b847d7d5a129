package io.membacking.partition.kvm;

import com.sun.jna.Pointer;

/**
 * What this backend asks of the kernel: the seam at which tests make it fail. Thread-safe. A result below zero is a negated errno.
 * Calls that a signal interrupts are repeated, but for {@link #run}.
 */
interface Syscalls extends AutoCloseable {
    /** Opens for reading and writing, closed on exec. */
    int open(String path);

    void close(int fd);

    int ioctl(int fd, long request, long argument);

    int ioctl(int fd, long request, Pointer argument);

    /** KVM_RUN; {@code -EINTR} when kicked. */
    int run(int fd);

    /** Maps the start of a descriptor, shared, readable and writable; an address, which is positive, or a negated errno. */
    long map(int fd, long length);

    void unmap(long address, long length);

    /** The calling thread, for {@link #kick}; makes sure that it can be kicked. Never 0. */
    long currentThread();

    /** Makes {@link #run} return on that thread, which must be alive; if it is not in it, does nothing to it. */
    void kick(long thread);

    /** Gives the native methods back. No call may be under way or follow. */
    @Override
    void close();
}
