package io.membacking.memory;

import io.membacking.host.Backing;
import io.membacking.range.MemoryRange;

/**
 * RAM that a consumer outside can map by its descriptor.
 *
 * @param backingOffset where in the backing it begins, bytes
 */
public record SharedRam(MemoryRange range, Backing backing, long backingOffset) {}
