package io.membacking.partition.kvm;

import com.sun.jna.Memory;
import com.sun.jna.Native;
import com.sun.jna.Pointer;

/** The calls themselves. */
final class LinuxSyscalls implements Syscalls {
    /** Real-time signals from here on are tried; the first few are what others reach for first. */
    private static final int FIRST_CHOICE = 6;

    private final int kickSignal;

    LinuxSyscalls() {
        Libc.acquire();
        boolean done = false;
        try {
            kickSignal = installKick();
            done = true;
        } finally {
            if (!done) {
                Libc.release();
            }
        }
    }

    @Override
    public int open(String path) {
        int fd;
        do {
            fd = result(Libc.open(path, KvmAbi.OPEN_FLAGS));
        } while (fd == -Errno.EINTR);
        return fd;
    }

    @Override
    public void close(int fd) {
        // Not repeated: on Linux the descriptor is gone even when close was interrupted.
        Libc.close(fd);
    }

    @Override
    public int ioctl(int fd, long request, long argument) {
        int result;
        do {
            result = result(Libc.ioctl(fd, request, argument));
        } while (result == -Errno.EINTR);
        return result;
    }

    @Override
    public int ioctl(int fd, long request, Pointer argument) {
        int result;
        do {
            result = result(Libc.ioctl(fd, request, argument));
        } while (result == -Errno.EINTR);
        return result;
    }

    @Override
    public int run(int fd) {
        return result(Libc.ioctl(fd, KvmAbi.KVM_RUN, 0));
    }

    @Override
    public long map(int fd, long length) {
        long address = Libc.mmap(0, length, KvmAbi.PROT_READ_WRITE, KvmAbi.MAP_SHARED, fd, 0);
        return address == -1 ? -Native.getLastError() : address;
    }

    @Override
    public void unmap(long address, long length) {
        Libc.munmap(address, length);
    }

    @Override
    public long currentThread() {
        // A thread inherits its mask from whoever made it, and a blocked kick would be lost.
        try (Memory set = signalSet()) {
            Libc.pthread_sigmask(KvmAbi.SIG_UNBLOCK, set, Pointer.NULL);
        }
        return Libc.pthread_self();
    }

    @Override
    public void kick(long thread) {
        Libc.pthread_kill(thread, kickSignal);
    }

    @Override
    public void close() {
        Libc.release();
    }

    private Memory signalSet() {
        Memory set = new Memory(KvmAbi.SIGSET_SIZE);
        set.clear();
        int bit = kickSignal - 1;
        set.setByte(bit / 8, (byte) (1 << (bit % 8)));
        return set;
    }

    /**
     * Takes the first real-time signal that nobody handles, or that is handled like this already: by another copy of this bundle,
     * or an earlier one. The disposition stays for good. Put back, it would end the process if that other copy kicks.
     */
    private static int installKick() {
        long handler = Libc.doNothing();
        int last = Libc.__libc_current_sigrtmax();
        try (Memory old = new Memory(KvmAbi.SIGACTION_SIZE);
                Memory action = new Memory(KvmAbi.SIGACTION_SIZE)) {
            action.clear(); // no flags: with SA_RESTART the kernel would enter the guest again
            action.setLong(KvmAbi.SIGACTION_HANDLER, handler);
            for (int signal = Libc.__libc_current_sigrtmin() + FIRST_CHOICE; signal <= last; signal++) {
                if (Libc.sigaction(signal, Pointer.NULL, old) != 0) {
                    continue;
                }
                long current = old.getLong(KvmAbi.SIGACTION_HANDLER);
                boolean ours = current == handler && (old.getInt(KvmAbi.SIGACTION_FLAGS) & KvmAbi.SA_RESTART) == 0;
                if (ours || (current == KvmAbi.SIG_DFL && Libc.sigaction(signal, action, Pointer.NULL) == 0)) {
                    return signal;
                }
            }
        }
        throw new IllegalStateException(
                "every real-time signal is in use; one is needed to call processors out of the guest");
    }

    private static int result(int value) {
        return value == -1 ? -Native.getLastError() : value;
    }
}
