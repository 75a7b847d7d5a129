package io.membacking.host.linux;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import io.membacking.error.AllocationException;
import io.membacking.error.Failure;
import io.membacking.error.NativeError;
import io.membacking.host.BackingKind;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/** A sealed memfd, of ordinary or of huge pages. */
final class DescriptorBacking implements LinuxBacking {
    /** Bytes that one call copies at most: what it takes to make the call itself cheap. */
    private static final int CHUNK = 1 << 20;

    private final LinuxHostMemory host;
    private final long id = IDS.incrementAndGet();
    private final String name;
    private final BackingKind kind;
    private final long size;
    private final long pageSize;
    private final boolean transparentHugePages;
    private final int descriptor;
    private final FileId file;
    /** Shared while the descriptor is used, exclusive to close it: its number must not become another file's meanwhile. */
    private final ReentrantReadWriteLock use = new ReentrantReadWriteLock();

    private boolean closed;

    DescriptorBacking(
            LinuxHostMemory host,
            String name,
            BackingKind kind,
            long size,
            long pageSize,
            boolean transparentHugePages,
            int descriptor,
            FileId file) {
        this.host = host;
        this.name = name;
        this.kind = kind;
        this.size = size;
        this.pageSize = pageSize;
        this.transparentHugePages = transparentHugePages;
        this.descriptor = descriptor;
        this.file = file;
    }

    @Override
    public @Nullable NativeError place(long address, long length, long offset) {
        return using(open -> {
            // Nothing can be refused after the kernel has unmapped what was there (before Linux 6.12 it unmaps first):
            // NORESERVE, because the pages of a huge backing are there already and need no second reservation; that
            // it may be mapped for writing was tried when it was made or received; alignment the caller has checked.
            if (Libc.mmap(
                            address,
                            length,
                            Libc.PROT_READ_WRITE,
                            Libc.MAP_SHARED | Libc.MAP_FIXED | Libc.MAP_NORESERVE,
                            open,
                            offset)
                    == Libc.MAP_FAILED) {
                return Errno.last();
            }
            if (transparentHugePages) {
                // Advice: a kernel without them goes on without.
                Libc.madvise(address, length, Libc.MADV_HUGEPAGE);
            }
            return null;
        });
    }

    @Override
    public FileId file() {
        return file;
    }

    @Override
    public long id() {
        return id;
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public BackingKind kind() {
        return kind;
    }

    @Override
    public long size() {
        return size;
    }

    @Override
    public long pageSize() {
        return pageSize;
    }

    boolean transparentHugePages() {
        return transparentHugePages;
    }

    @Override
    public OptionalInt descriptor() {
        return using(OptionalInt::of);
    }

    /** A descriptor more for the same open file; the caller's to close. Negative where the process may have no more. */
    int duplicateDescriptor() {
        return using(open -> Libc.fcntl(open, Libc.F_DUPFD_CLOEXEC, 0));
    }

    @Override
    public void read(long position, byte[] target, int offset, int length) {
        check(position, target, offset, length);
        if (length == 0) {
            return;
        }
        using(open -> {
            try (Memory buffer = new Memory(Math.min(length, CHUNK))) {
                for (int done = 0; done < length; ) {
                    int part = Math.min(length - done, CHUNK);
                    long at = position + done;
                    long count = Libc.retried(() -> Libc.pread(open, buffer, part, at));
                    if (count <= 0) {
                        throw failed("read", at, part);
                    }
                    buffer.read(0, target, offset + done, (int) count);
                    done += (int) count;
                }
            }
            return 0;
        });
    }

    @Override
    public void write(long position, byte[] source, int offset, int length) {
        check(position, source, offset, length);
        if (length == 0) {
            return;
        }
        using(open -> {
            try (Memory buffer = new Memory(Math.min(length, CHUNK))) {
                for (int done = 0; done < length; ) {
                    int part = Math.min(length - done, CHUNK);
                    long at = position + done;
                    buffer.write(0, source, offset + done, part);
                    long count = kind == BackingKind.HUGETLB
                            ? writeThroughWindow(open, buffer, part, at)
                            : Libc.retried(() -> Libc.pwrite(open, buffer, part, at));
                    if (count <= 0) {
                        throw failed("write", at, part);
                    }
                    done += (int) count;
                }
            }
            return 0;
        });
    }

    /** The kernel can read files of huge pages but not write them: so through a mapping that lives for the call. */
    private long writeThroughWindow(int open, Memory buffer, int length, long position) {
        long start = position & -pageSize;
        long window = (position + length - start + pageSize - 1) & -pageSize;
        long address = Libc.mmap(0, window, Libc.PROT_READ_WRITE, Libc.MAP_SHARED | Libc.MAP_NORESERVE, open, start);
        if (address == Libc.MAP_FAILED) {
            return -1;
        }
        try (Memory from = vector(Pointer.nativeValue(buffer), length);
                Memory to = vector(address + position - start, length)) {
            return Libc.process_vm_writev(Libc.getpid(), from, 1, to, 1, 0);
        } finally {
            Libc.munmap(address, window);
        }
    }

    /** One {@code struct iovec}. */
    private static Memory vector(long address, long length) {
        Memory vector = new Memory(16);
        vector.setLong(0, address);
        vector.setLong(8, length);
        return vector;
    }

    private void check(long position, byte[] array, int offset, int length) {
        Objects.checkFromIndexSize(offset, length, array.length);
        Objects.checkFromIndexSize(position, (long) length, size);
    }

    private UncheckedIOException failed(String verb, long position, int length) {
        return new UncheckedIOException(new IOException(verb + " of 0x" + Integer.toHexString(length) + " bytes at 0x"
                + Long.toHexString(position) + " of " + this + ": " + Errno.last()));
    }

    @Override
    public Claim claim(String owner) throws AllocationException {
        use.readLock().lock();
        try {
            requireOpen();
            return host.claimed(file, owner, lock(owner));
        } finally {
            use.readLock().unlock();
        }
    }

    private int lock(String owner) throws AllocationException {
        String operation = "claim " + this + " for '" + owner + "'";
        // Opened anew, because a lock belongs to the open file, which duplicates of this descriptor share, even in
        // other
        // processes; so two claims are two open files and keep each other out wherever they are.
        int own;
        try (Memory path = Libc.string("/proc/self/fd/" + descriptor)) {
            own = (int) Libc.retried(() -> Libc.open(path, Libc.O_RDWR | Libc.O_CLOEXEC, 0));
        }
        if (own < 0) {
            throw new AllocationException(new Failure(operation, null, "its file cannot be opened", "", Errno.last()));
        }
        if (Libc.flock(own, Libc.LOCK_EX | Libc.LOCK_NB) == 0) {
            return own;
        }
        NativeError error = Errno.last();
        Libc.close(own);
        if (error.code() != Errno.EAGAIN) {
            throw new AllocationException(new Failure(operation, null, "its file cannot be locked", "", error));
        }
        String other = host.claimant(file);
        throw new AllocationException(Failure.of(
                operation,
                null,
                other == null
                        ? "it is managed already, by another process or host memory"
                        : "it is managed by '" + other + "' already",
                "close that manager first"));
    }

    @Override
    public void close() {
        use.writeLock().lock();
        try {
            if (!closed) {
                closed = true;
                Libc.close(descriptor);
            }
        } finally {
            use.writeLock().unlock();
        }
        host.forget(this);
    }

    private <T extends @Nullable Object> T using(IntFunction<T> call) {
        use.readLock().lock();
        try {
            requireOpen();
            return call.apply(descriptor);
        } finally {
            use.readLock().unlock();
        }
    }

    private void requireOpen() {
        if (closed) {
            throw new IllegalStateException(this + " is closed");
        }
    }

    @Override
    public String toString() {
        return "backing '" + name + "'";
    }
}
