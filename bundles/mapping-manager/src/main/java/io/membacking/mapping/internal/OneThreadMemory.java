package io.membacking.mapping.internal;

import io.membacking.access.GuestMemoryAccessor;
import org.jspecify.annotations.Nullable;

/** Guest memory for one thread, with a slot of its own. */
final class OneThreadMemory extends CheckedMemory implements GuestMemoryAccessor {
    private long @Nullable [] slot;

    OneThreadMemory(AccessGate gate, Epochs epochs, long base) {
        super(gate, epochs, base);
        this.slot = epochs.register();
    }

    @Override
    long[] slot() {
        long[] mine = slot;
        if (mine == null) {
            throw new IllegalStateException("this accessor is closed");
        }
        return mine;
    }

    @Override
    public void close() {
        long[] mine = slot;
        if (mine != null) {
            slot = null;
            Epochs.retire(mine);
        }
    }
}
