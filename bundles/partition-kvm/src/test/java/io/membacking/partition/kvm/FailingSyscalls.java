package io.membacking.partition.kvm;

import com.sun.jna.Pointer;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/** The real calls, of which some fail, with a ledger of what is open. Not thread-safe. */
class FailingSyscalls implements Syscalls {
    /** Which calls fail. */
    interface Rule {
        /** @return 0 to carry the call out, else the errno that it fails with */
        int errno(String call, long request);
    }

    private static final Set<Long> GIVE_DESCRIPTORS = Set.of(KvmAbi.KVM_CREATE_VM, KvmAbi.KVM_CREATE_VCPU);

    private final Syscalls real = new LinuxSyscalls();
    private final Rule rule;
    final Set<Integer> open = new TreeSet<>();
    final Set<Long> mapped = new TreeSet<>();
    final List<String> failed = new ArrayList<>();
    boolean closed;

    FailingSyscalls(Rule rule) {
        this.rule = rule;
    }

    private int fail(String call, long request) {
        int errno = rule.errno(call, request);
        if (errno != 0) {
            failed.add(call + " 0x" + Long.toHexString(request) + " with " + Errno.named(errno));
        }
        return -errno;
    }

    @Override
    public int open(String path) {
        int failure = fail("open", 0);
        if (failure != 0) {
            return failure;
        }
        int fd = real.open(path);
        if (fd >= 0) {
            open.add(fd);
        }
        return fd;
    }

    @Override
    public void close(int fd) {
        if (!open.remove(fd)) {
            throw new AssertionError("descriptor " + fd + " is closed twice or not ours");
        }
        real.close(fd);
    }

    @Override
    public int ioctl(int fd, long request, long argument) {
        int failure = fail("ioctl", request);
        if (failure != 0) {
            return failure;
        }
        int result = real.ioctl(fd, request, argument);
        if (result >= 0 && GIVE_DESCRIPTORS.contains(request)) {
            open.add(result);
        }
        return result;
    }

    @Override
    public int ioctl(int fd, long request, Pointer argument) {
        int failure = fail("ioctl", request);
        return failure != 0 ? failure : real.ioctl(fd, request, argument);
    }

    @Override
    public int run(int fd) {
        int failure = fail("run", 0);
        return failure != 0 ? failure : real.run(fd);
    }

    @Override
    public long map(int fd, long length) {
        int failure = fail("map", 0);
        if (failure != 0) {
            return failure;
        }
        long address = real.map(fd, length);
        if (address > 0) {
            mapped.add(address);
        }
        return address;
    }

    @Override
    public void unmap(long address, long length) {
        if (!mapped.remove(address)) {
            throw new AssertionError("0x" + Long.toHexString(address) + " is unmapped twice or not ours");
        }
        real.unmap(address, length);
    }

    @Override
    public long currentThread() {
        return real.currentThread();
    }

    @Override
    public void kick(long thread) {
        real.kick(thread);
    }

    @Override
    public void close() {
        closed = true;
        real.close();
    }
}
