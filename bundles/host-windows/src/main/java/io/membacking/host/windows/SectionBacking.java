package io.membacking.host.windows;

import com.sun.jna.Memory;
import com.sun.jna.Native;
import com.sun.jna.Pointer;
import io.membacking.error.AllocationException;
import io.membacking.error.Failure;
import io.membacking.host.BackingKind;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.LongFunction;
import org.jspecify.annotations.Nullable;

/**
 * A section of the page file, committed as a whole, of ordinary or of large pages. Its size is fixed for good: Windows has no call
 * that shrinks one.
 *
 * <p>It has a name in the kernel's name space, made of random letters, by which every process that holds a handle knows it for the
 * same; the name of its claim is made of it.
 */
final class SectionBacking implements WindowsBacking {
    /** Bytes that one window shows at most. */
    private static final int CHUNK = 1 << 20;

    private final WindowsHostMemory host;
    private final long id = IDS.incrementAndGet();
    private final String name;
    private final BackingKind kind;
    private final long size;
    private final long pageSize;
    private final Section section;
    private final String identity;
    /** Shared while the handle is used, exclusive to close it. */
    private final ReentrantReadWriteLock use = new ReentrantReadWriteLock();

    private boolean closed;

    /**
     * @param section used and released by this alone
     * @param identity the section's own name
     */
    SectionBacking(
            WindowsHostMemory host,
            String name,
            BackingKind kind,
            long size,
            long pageSize,
            Section section,
            String identity) {
        this.host = host;
        this.name = name;
        this.kind = kind;
        this.size = size;
        this.pageSize = pageSize;
        this.section = section;
        this.identity = identity;
    }

    /** The section for one user more. @throws IllegalStateException after close */
    Section section() {
        return using(handle -> section.shared());
    }

    String identity() {
        return identity;
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

    /** The handle's number: handles have 32 significant bits. */
    @Override
    public OptionalInt descriptor() {
        return using(handle -> OptionalInt.of((int) handle));
    }

    /** Another handle in a process; 0 if Windows refuses, with the reason as the thread's last error. */
    long duplicateHandle(long process) {
        return using(handle -> Section.duplicate(handle, process));
    }

    @Override
    public void read(long position, byte[] target, int offset, int length) {
        check(position, target, offset, length);
        throughWindows(position, length, (address, done, part, buffer) -> {
            if (Win32.ReadProcessMemory(Win32.CURRENT_PROCESS, address, buffer, part, Pointer.NULL) == 0) {
                return false;
            }
            buffer.read(0, target, offset + done, part);
            return true;
        });
    }

    @Override
    public void write(long position, byte[] source, int offset, int length) {
        check(position, source, offset, length);
        throughWindows(position, length, (address, done, part, buffer) -> {
            buffer.write(0, source, offset + done, part);
            return Win32.WriteProcessMemory(Win32.CURRENT_PROCESS, address, buffer, part, Pointer.NULL) != 0;
        });
    }

    private interface WindowCopy {
        /** @return false if Windows refused */
        boolean copy(long address, int done, int part, Memory buffer);
    }

    /**
     * Sections are reached through views alone: one that lives for the call. The bytes are copied by the kernel, which answers
     * with an error where a copy of ours would end the JVM (a page that cannot be read back from the page file).
     */
    private void throughWindows(long position, int length, WindowCopy copy) {
        if (length == 0) {
            return;
        }
        using(handle -> {
            long granularity = Math.max(host.facts().granularity(), pageSize);
            try (Memory buffer = new Memory(Math.min(length, CHUNK))) {
                for (int done = 0; done < length; ) {
                    long at = position + done;
                    long start = at & -granularity;
                    int part = Math.min(length - done, CHUNK);
                    long window = kind == BackingKind.HUGETLB
                            ? (at + part - start + pageSize - 1) & -pageSize
                            : at + part - start;
                    long view = Win32.MapViewOfFile(
                            handle,
                            Win32.FILE_MAP_READ | Win32.FILE_MAP_WRITE,
                            (int) (start >>> 32),
                            (int) start,
                            window);
                    if (view == Win32.NULL) {
                        throw failed(at, part);
                    }
                    try {
                        if (!copy.copy(view + (at - start), done, part, buffer)) {
                            throw failed(at, part);
                        }
                    } finally {
                        Win32.UnmapViewOfFile(view);
                    }
                    done += part;
                }
            }
            return true;
        });
    }

    private void check(long position, byte[] array, int offset, int length) {
        Objects.checkFromIndexSize(offset, length, array.length);
        Objects.checkFromIndexSize(position, (long) length, size);
    }

    private UncheckedIOException failed(long position, int length) {
        return new UncheckedIOException(new IOException("copy of 0x" + Integer.toHexString(length) + " bytes at 0x"
                + Long.toHexString(position) + " of " + this + ": " + WindowsError.last()));
    }

    @Override
    public Claim claim(String owner) throws AllocationException {
        use.readLock().lock();
        try {
            requireOpen();
            String operation = "claim " + this + " for '" + owner + "'";
            // An event's name is there as long as a handle of it is open, in whatever process; the kernel closes those
            // of a
            // process that ends. Global, because a service and a user's program have local names apart.
            long event;
            try (Memory claim = Win32.string("Global\\" + identity + "-claim")) {
                event = Win32.CreateEventW(Pointer.NULL, 1, 0, claim);
            }
            int error = Native.getLastError();
            if (event != Win32.NULL && error != WindowsError.ALREADY_EXISTS) {
                return host.claimed(identity, owner, event);
            }
            if (event != Win32.NULL) {
                Win32.CloseHandle(event);
            } else if (error != WindowsError.ACCESS_DENIED) {
                // Denied: another user's, so there.
                throw new AllocationException(
                        new Failure(operation, null, "the host would make no claim", "", WindowsError.of(error)));
            }
            String other = host.claimant(identity);
            throw new AllocationException(Failure.of(
                    operation,
                    null,
                    other == null
                            ? "it is managed already, by another process or host memory"
                            : "it is managed by '" + other + "' already",
                    "close that manager first"));
        } finally {
            use.readLock().unlock();
        }
    }

    @Override
    public void close() {
        use.writeLock().lock();
        try {
            if (!closed) {
                closed = true;
                section.release();
            }
        } finally {
            use.writeLock().unlock();
        }
        host.forget(this);
    }

    private <T extends @Nullable Object> T using(LongFunction<T> call) {
        use.readLock().lock();
        try {
            requireOpen();
            return call.apply(section.handle());
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
