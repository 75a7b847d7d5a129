package io.membacking.host.windows;

import com.sun.jna.Memory;
import io.membacking.error.NativeError;
import io.membacking.range.MemoryRange;
import java.util.Collection;
import java.util.List;
import java.util.OptionalInt;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Addresses where Windows has no placeholders (before 1803, and Wine 8): plain reservations, which are given back for the moment
 * in which a view takes their place, and what is left of them is taken again. In that moment another thread's allocation can land
 * there. Three things stand against it: the addresses are chosen far from where Windows, Wine and the JVM put theirs; reservations
 * of this bundle exclude each other; and a place that is taken is tried again a number of times. If it stays taken, the change is
 * refused, and what could not be taken again stays out of the reservation until the next change there.
 *
 * <p>Views are aligned to the allocation granularity (64 KiB) at both ends. Private memory is allocated granule by granule, so that
 * each can go alone.
 */
final class RetakenAddresses implements AddressRoom {
    /** Away from heaps and stacks (from the bottom up) and libraries (from the top down): 16 TiB. */
    private static final long FIRST_CHOICE = 1L << 44;

    private static final int TRIES = 100;

    /** Whoever has given addresses back holds it until they are taken again. */
    private static final Object MOMENT = new Object();

    private final long process;
    private final long base;
    private final long granularity;
    /** Each plain reservation: its first offset, and the one after its last. */
    private final TreeMap<Long, Long> reserved = new TreeMap<>();

    private RetakenAddresses(long process, long base, long size, long granularity) {
        this.process = process;
        this.base = base;
        this.granularity = granularity;
        reserved.put(0L, size);
    }

    /** @return null if there is no such room */
    static @Nullable RetakenAddresses reserve(long process, long size, long alignment, HostFacts facts) {
        synchronized (MOMENT) {
            long end = facts.highestAddress() + 1;
            try (Memory region = new Memory(Win32.SIZE_OF_BASIC_INFORMATION)) {
                for (long at = FIRST_CHOICE; at > 0 && at < end && size <= end - at; ) {
                    if (Win32.VirtualQueryEx(process, at, region, region.size()) == 0) {
                        return null;
                    }
                    long regionEnd = region.getLong(Win32.BASIC_INFORMATION_BASE)
                            + region.getLong(Win32.BASIC_INFORMATION_REGION_SIZE);
                    if (region.getInt(Win32.BASIC_INFORMATION_STATE) == Win32.MEM_FREE && size <= regionEnd - at) {
                        long base = Win32.VirtualAllocEx(process, at, size, Win32.MEM_RESERVE, Win32.PAGE_NOACCESS);
                        if (base == at) {
                            return new RetakenAddresses(process, base, size, facts.granularity());
                        }
                        regionEnd = at + alignment;
                    }
                    at = (Math.max(regionEnd, at + 1) + alignment - 1) & -alignment;
                }
                return null;
            }
        }
    }

    @Override
    public long base() {
        return base;
    }

    @Override
    public long process() {
        return process;
    }

    @Override
    public Object exclusion() {
        return MOMENT;
    }

    @Override
    public void vacateView(MemoryRange view) {
        int status = Win32.NtUnmapViewOfSection(process, base + view.start());
        if (status < 0) {
            throw new IllegalStateException("cannot unmap the view at " + view + ": " + WindowsError.ofStatus(status));
        }
    }

    @Override
    public void vacatePrivate(MemoryRange part) {
        for (long at = part.start(); at < part.end(); at += granularity) {
            if (Win32.VirtualFreeEx(process, base + at, 0, Win32.MEM_RELEASE) == 0) {
                throw new IllegalStateException(
                        "cannot free the private memory at " + part + ": " + WindowsError.last());
            }
        }
    }

    @Override
    public void decommit(MemoryRange part) {
        // Granule by granule, since each is an allocation.
        for (long at = part.start(); at < part.end(); at = (at & -granularity) + granularity) {
            long end = Math.min(part.end(), (at & -granularity) + granularity);
            Win32.VirtualFreeEx(process, base + at, end - at, Win32.MEM_DECOMMIT);
        }
    }

    @Override
    public void join(MemoryRange room) {
        Collection<Long> starts = reserved.subMap(room.start(), room.end()).keySet();
        starts.forEach(start -> Win32.VirtualFreeEx(process, base + start, 0, Win32.MEM_RELEASE));
        starts.clear();
    }

    @Override
    public @Nullable NativeError placeView(MemoryRange at, long section, long sectionOffset, boolean largePages) {
        return retried(() -> mapView(at, section, sectionOffset, largePages));
    }

    private @Nullable NativeError mapView(MemoryRange at, long section, long sectionOffset, boolean largePages) {
        try (Memory values = new Memory(24)) {
            values.setLong(0, base + at.start());
            values.setLong(8, sectionOffset);
            values.setLong(16, at.length());
            int status = Win32.NtMapViewOfSection(
                    section,
                    process,
                    values,
                    0,
                    0,
                    values.share(8),
                    values.share(16),
                    Win32.VIEW_UNMAP,
                    largePages ? Win32.MEM_LARGE_PAGES : 0,
                    Win32.PAGE_READWRITE);
            return status >= 0 ? null : WindowsError.ofStatus(status);
        }
    }

    @Override
    public @Nullable NativeError placePrivate(MemoryRange at, OptionalInt node) {
        for (long next = at.start(); next < at.end(); next += granularity) {
            long address = base + next;
            NativeError refused = retried(() -> Win32.VirtualAllocEx(
                                    process,
                                    address,
                                    granularity,
                                    Win32.MEM_RESERVE | Win32.MEM_COMMIT,
                                    Win32.PAGE_READWRITE)
                            != Win32.NULL
                    ? null
                    : WindowsError.last());
            if (refused != null) {
                if (next > at.start()) {
                    vacatePrivate(new MemoryRange(at.start(), next));
                }
                return refused;
            }
        }
        return null;
    }

    private interface Attempt {
        @Nullable
        NativeError make();
    }

    /** Somebody else's allocation may be there for a moment. */
    @SuppressWarnings("ThreadPriorityCheck")
    private static @Nullable NativeError retried(Attempt attempt) {
        NativeError refused = attempt.make();
        for (int tries = 1;
                refused != null && refused.code() == WindowsError.INVALID_ADDRESS && tries < TRIES;
                tries++) {
            Thread.yield();
            refused = attempt.make();
        }
        return refused;
    }

    @Override
    public void settle(List<MemoryRange> rest) {
        for (MemoryRange range : rest) {
            long taken = Win32.VirtualAllocEx(
                    process, base + range.start(), range.length(), Win32.MEM_RESERVE, Win32.PAGE_NOACCESS);
            if (taken != Win32.NULL) {
                reserved.put(range.start(), range.end());
            }
        }
    }

    @Override
    public void close() {
        reserved.keySet().forEach(start -> Win32.VirtualFreeEx(process, base + start, 0, Win32.MEM_RELEASE));
        reserved.clear();
    }
}
