package io.membacking.host.windows;

import io.membacking.error.AllocationException;
import io.membacking.error.Failure;
import io.membacking.host.BackingKind;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * Private memory. It has no bytes of its own: each place it is mapped to gets fresh, zeroed memory, and loses it when it is
 * released. The commit charge is taken there; allocating only asks whether it would be given.
 */
final class PrivateBacking implements WindowsBacking {
    private final WindowsHostMemory host;
    private final long id = IDS.incrementAndGet();
    private final String name;
    private final long size;
    private final long pageSize;
    private final OptionalInt node;
    private @Nullable String owner;
    private boolean closed;

    PrivateBacking(WindowsHostMemory host, String name, long size, long pageSize, OptionalInt node) {
        this.host = host;
        this.name = name;
        this.size = size;
        this.pageSize = pageSize;
        this.node = node;
    }

    /** Where it prefers its pages from; empty where the host has no choice. */
    OptionalInt node() {
        return node;
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

    synchronized void requireOpen() {
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
