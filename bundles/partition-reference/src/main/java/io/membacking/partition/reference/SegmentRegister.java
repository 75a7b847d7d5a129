package io.membacking.partition.reference;

import io.membacking.partition.ProcessorState.Segment;

/** A segment register with its hidden part, which can be changed. */
final class SegmentRegister {
    private static final int UNUSABLE = 1 << 16;

    long base;
    int limit;
    int selector;
    /** As in {@link Segment#attributes()}. */
    int attributes;

    void set(Segment segment) {
        base = segment.base();
        limit = segment.limit();
        selector = segment.selector();
        attributes = segment.attributes();
    }

    void set(SegmentRegister other) {
        base = other.base;
        limit = other.limit;
        selector = other.selector;
        attributes = other.attributes;
    }

    void set(int newSelector, Descriptor descriptor) {
        base = descriptor.base();
        limit = descriptor.limit();
        selector = newSelector;
        attributes = descriptor.attributes();
    }

    /** As in real mode: 16 times the selector; the limit and the rest stay. */
    void setReal(int newSelector) {
        selector = newSelector;
        base = (long) newSelector << 4;
    }

    void setNull(int newSelector) {
        selector = newSelector;
        base = 0;
        limit = 0;
        attributes = UNUSABLE;
    }

    Segment portable() {
        return new Segment(base, limit, selector, attributes);
    }

    boolean isUsable() {
        return (attributes & UNUSABLE) == 0 && (attributes & 0x80) != 0;
    }

    boolean isCode() {
        return (attributes & 8) != 0;
    }

    boolean isWritable() {
        return (attributes & 0xa) == 2;
    }

    boolean isReadable() {
        return (attributes & 8) == 0 || (attributes & 2) != 0;
    }

    /** Whether the limit is the lowest offset less one, not the highest. */
    boolean isExpandDown() {
        return (attributes & 0xc) == 4;
    }

    boolean isConforming() {
        return (attributes & 0xc) == 0xc;
    }

    int privilege() {
        return attributes >> 5 & 3;
    }

    boolean isLong() {
        return (attributes & 1 << 13) != 0;
    }

    /** Whether offsets have 32 bits, not 16. */
    boolean isBig() {
        return (attributes & 1 << 14) != 0;
    }

    @Override
    public String toString() {
        return portable().toString();
    }
}
