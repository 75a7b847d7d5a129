package io.membacking.host.linux;

import io.membacking.error.AllocationException;
import io.membacking.error.Failure;
import io.membacking.error.NativeError;
import io.membacking.host.BackingKind;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * Anonymous memory. It has no bytes of its own: each place it is mapped to gets fresh, zeroed memory, and loses it when it is
 * released. The host's commit charge is taken there; allocating only asks whether it would be given.
 */
final class PrivateBacking implements LinuxBacking {
    private final LinuxHostMemory host;
    private final long id = IDS.incrementAndGet();
    private final String name;
    private final long size;
    private final long pageSize;
    private final boolean transparentHugePages;
    private final OptionalInt node;
    private @Nullable String owner;
    private boolean closed;

    PrivateBacking(
            LinuxHostMemory host,
            String name,
            long size,
            long pageSize,
            boolean transparentHugePages,
            OptionalInt node) {
        this.host = host;
        this.name = name;
        this.size = size;
        this.pageSize = pageSize;
        this.transparentHugePages = transparentHugePages;
        this.node = node;
    }

    @Override
    public synchronized @Nullable NativeError place(long address, long length, long offset) {
        requireOpen();
        // Made elsewhere and then moved: what can be refused (the charge, the node) is refused before the old is
        // touched.
        // The kernel checks what the move itself needs (mremap, the limit on mappings) before it unmaps anything.
        long aside = Libc.mmap(0, length, Libc.PROT_READ_WRITE, Libc.MAP_PRIVATE | Libc.MAP_ANONYMOUS, -1, 0);
        if (aside == Libc.MAP_FAILED) {
            return Errno.last();
        }
        if (transparentHugePages) {
            // Advice: a kernel without them goes on without.
            Libc.madvise(aside, length, Libc.MADV_HUGEPAGE);
        }
        NativeError refused = node.isPresent() ? NumaNodes.bind(aside, length, node.getAsInt()) : null;
        if (refused == null
                && Libc.mremap(aside, length, length, Libc.MREMAP_MAYMOVE | Libc.MREMAP_FIXED, address)
                        == Libc.MAP_FAILED) {
            refused = Errno.last();
        }
        if (refused != null) {
            Libc.munmap(aside, length);
        }
        return refused;
    }

    @Override
    public FileId file() {
        return FileId.NONE;
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
        return BackingKind.PRIVATE;
    }

    @Override
    public long size() {
        return size;
    }

    @Override
    public long pageSize() {
        return pageSize;
    }

    @Override
    public synchronized OptionalInt descriptor() {
        requireOpen();
        return OptionalInt.empty();
    }

    @Override
    public void read(long position, byte[] target, int offset, int length) {
        throw new UnsupportedOperationException(this + " is private: it can only be read through the guest's memory");
    }

    @Override
    public void write(long position, byte[] source, int offset, int length) {
        throw new UnsupportedOperationException(
                this + " is private: it can only be written through the guest's memory");
    }

    @Override
    public synchronized Claim claim(String owner) throws AllocationException {
        requireOpen();
        if (this.owner != null) {
            throw new AllocationException(Failure.of(
                    "claim " + this + " for '" + owner + "'",
                    null,
                    "it is managed by '" + this.owner + "' already",
                    "close that manager first"));
        }
        this.owner = owner;
        return new PrivateClaim();
    }

    @Override
    public synchronized void close() {
        closed = true;
        host.forget(this);
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

    /** Nobody else can reach private memory, so a claim is a note in the backing itself. */
    private final class PrivateClaim implements Claim {
        private boolean held = true;

        @Override
        public void close() {
            synchronized (PrivateBacking.this) {
                if (held) {
                    held = false;
                    owner = null;
                }
            }
        }
    }
}
