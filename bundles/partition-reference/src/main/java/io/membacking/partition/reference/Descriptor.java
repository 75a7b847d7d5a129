package io.membacking.partition.reference;

/**
 * An entry of a descriptor table.
 *
 * @param low its first eight bytes
 * @param high the next eight, of those that have 16 in long mode
 */
record Descriptor(long low, long high) {
    static final int TYPE_LDT = 2;
    static final int TYPE_TSS_16 = 1;
    static final int TYPE_TSS = 9;
    static final int TYPE_TSS_BUSY = 0xb;

    Descriptor(long low) {
        this(low, 0);
    }

    long base() {
        return (low >>> 16 & 0xffffff) | (low >>> 56 & 0xff) << 24 | high << 32;
    }

    /** Scaled. */
    int limit() {
        int raw = (int) ((low & 0xffff) | (low >>> 32 & 0xf0000));
        return (low & 1L << 55) != 0 ? raw << 12 | 0xfff : raw;
    }

    /** As in {@link io.membacking.partition.ProcessorState.Segment#attributes()}. */
    int attributes() {
        return (int) (low >>> 40 & 0xf0ff);
    }

    int type() {
        return (int) (low >>> 40 & 0xf);
    }

    /** Code or data, not a gate or a system segment. */
    boolean isSegment() {
        return (low & 1L << 44) != 0;
    }

    boolean isCode() {
        return isSegment() && (type() & 8) != 0;
    }

    boolean isConforming() {
        return (type() & 0xc) == 0xc;
    }

    boolean isReadable() {
        return (type() & 8) == 0 || (type() & 2) != 0;
    }

    boolean isWritableData() {
        return isSegment() && (type() & 0xa) == 2;
    }

    int privilege() {
        return (int) (low >>> 45 & 3);
    }

    boolean isPresent() {
        return (low & 1L << 47) != 0;
    }

    boolean isLong() {
        return (low & 1L << 53) != 0;
    }

    boolean isBig() {
        return (low & 1L << 54) != 0;
    }

    /** As a gate: where it leads. */
    long gateOffset() {
        return (low & 0xffff) | (low >>> 32 & 0xffff0000L) | high << 32;
    }

    int gateSelector() {
        return (int) (low >>> 16 & 0xffff);
    }

    int gateStack() {
        return (int) (low >>> 32 & 7);
    }
}
