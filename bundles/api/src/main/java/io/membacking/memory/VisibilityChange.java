package io.membacking.memory;

import io.membacking.error.MembackingException;
import io.membacking.error.VisibilityException;
import io.membacking.range.MemoryRange;
import io.membacking.region.JournalEntry;

/** Visibilities to be set together, in one commit. Not thread-safe. */
public interface VisibilityChange {
    /** @throws VisibilityException if {@code range} is not exactly one RAM region */
    VisibilityChange set(MemoryRange range, RamVisibility visibility) throws VisibilityException;

    JournalEntry commit() throws MembackingException;
}
