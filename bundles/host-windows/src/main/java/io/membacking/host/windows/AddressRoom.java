package io.membacking.host.windows;

import io.membacking.error.NativeError;
import io.membacking.range.MemoryRange;
import java.util.List;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * The addresses of a reservation: how what is vacant in it is kept from everyone else, and how memory comes into it. Ranges are
 * offsets from {@link #base()}. Not thread-safe; one change at a time under {@link #exclusion()}.
 *
 * <p>A change: vacate what is to go, {@link #join} what is vacant then, place what is to come, {@link #settle} the rest.
 */
sealed interface AddressRoom permits Placeholders, RetakenAddresses {
    /** The host-virtual address of offset 0, in {@link #process()}. */
    long base();

    /** A handle of the process whose addresses they are. */
    long process();

    /** What a change holds, beside the reservation's own lock. */
    Object exclusion();

    /** Unmaps a view as a whole; Windows takes nothing less. */
    void vacateView(MemoryRange view);

    /** Frees any part of private memory; what is left of it stays as it is, where it is. */
    void vacatePrivate(MemoryRange part);

    /** Takes the pages of a part of private memory, which stays reserved. */
    void decommit(MemoryRange part);

    /** Makes one of vacant parts. All of the range is vacant, and nothing vacant touches it. */
    void join(MemoryRange vacant);

    /** Maps a view into joined room. @return null, or what Windows answered; the room is as it was then */
    @Nullable
    NativeError placeView(MemoryRange at, long section, long sectionOffset, boolean largePages);

    /** Commits zeroed memory in joined room. @return null, or what Windows answered; the room is as it was then */
    @Nullable
    NativeError placePrivate(MemoryRange at, OptionalInt node);

    /** Ends a change. @param vacant what of the joined room nothing was placed in */
    void settle(List<MemoryRange> vacant);

    /** Gives every address back, when everything is vacant. */
    void close();
}
