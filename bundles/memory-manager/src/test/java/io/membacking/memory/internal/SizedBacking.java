package io.membacking.memory.internal;

import io.membacking.host.Backing;
import io.membacking.host.BackingKind;
import java.util.OptionalInt;

/** A backing of which nothing but its description is asked. */
record SizedBacking(long id, String name, BackingKind kind, long size, long pageSize) implements Backing {
    @Override
    public OptionalInt descriptor() {
        throw new UnsupportedOperationException();
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
        throw new UnsupportedOperationException();
    }

    @Override
    public void close() {}
}
