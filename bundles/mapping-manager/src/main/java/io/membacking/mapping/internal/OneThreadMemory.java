package io.membacking.mapping.internal;

import io.membacking.access.GuestMemoryAccessor;
import org.jspecify.annotations.Nullable;

/**
 * Guest memory for the thread that makes it, with a slot of its own. Two threads in one slot would hide each other from a change,
 * so each access looks who calls: it costs a fifth of a nanosecond, less than the fault it prevents.
 */
class OneThreadMemory extends CheckedMemory implements GuestMemoryAccessor {
    private final Thread owner = Thread.currentThread();
    private long @Nullable [] slot;

    OneThreadMemory(AccessGate gate, Epochs epochs, long base) {
        super(gate, epochs, base);
        this.slot = epochs.register();
    }

    @Override
    final long[] slot() {
        long[] mine = slot;
        if (mine == null) {
            throw new IllegalStateException("this accessor is closed");
        }
        if (Thread.currentThread() != owner) {
            throw new IllegalStateException("this accessor belongs to thread '" + owner.getName() + "', not to '"
                    + Thread.currentThread().getName() + "'; take one there");
        }
        return mine;
    }

    @Override
    public final void close() {
        long[] mine = slot;
        slot = null;
        // Another thread does not know whether the owner is inside: then the slot goes with the collector.
        if (mine != null && Thread.currentThread() == owner) {
            Epochs.retire(mine);
        }
    }
}
