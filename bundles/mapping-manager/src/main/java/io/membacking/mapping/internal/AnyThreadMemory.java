package io.membacking.mapping.internal;

/** Guest memory for whichever thread calls: each finds its slot by ThreadLocal. */
class AnyThreadMemory extends CheckedMemory {
    private final Epochs epochs;

    AnyThreadMemory(AccessGate gate, Epochs epochs, long base) {
        super(gate, epochs, base);
        this.epochs = epochs;
    }

    @Override
    final long[] slot() {
        return epochs.slotOfThread();
    }
}
