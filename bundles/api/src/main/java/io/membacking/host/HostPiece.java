package io.membacking.host;

import io.membacking.range.MemoryRange;

/**
 * A part of a reservation as the operating system reports it.
 *
 * @param offsets where in the reservation
 * @param backing the id of the backing it holds
 * @param backingOffset where in the backing it begins, bytes; 0 for private memory
 */
public record HostPiece(MemoryRange offsets, long backing, long backingOffset) {}
