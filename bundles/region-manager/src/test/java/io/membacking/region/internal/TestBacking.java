package io.membacking.region.internal;

import io.membacking.host.Backing;
import io.membacking.host.BackingKind;
import java.util.OptionalInt;

/** A backing without bytes. */
record TestBacking(long id, BackingKind kind, long size, long pageSize) implements Backing {
    TestBacking(long id, BackingKind kind, long size) {
        this(id, kind, size, 4096);
    }

    @Override
    public String name() {
        return "b" + id;
    }

    @Override
    public OptionalInt descriptor() {
        return kind == BackingKind.PRIVATE ? OptionalInt.empty() : OptionalInt.of((int) (100 + id));
    }

    @Override
    public void read(long position, byte[] target, int offset, int length) {
        throw new UnsupportedOperationException();
    }

    @Override
    public void write(long position, byte[] source, int offset, int length) {
        throw new UnsupportedOperationException();
    }

    @Override
    public Claim claim(String owner) {
        return () -> {};
    }

    @Override
    public void close() {}
}
