package io.membacking.mapping;

import io.membacking.range.MemoryRange;

/** A piece of guest-physical space and what readers may do there. */
public record AccessPiece(MemoryRange range, Access access) {
    /** What the monitor may do. */
    public enum Access {
        NONE,
        READ,
        READ_WRITE
    }
}
