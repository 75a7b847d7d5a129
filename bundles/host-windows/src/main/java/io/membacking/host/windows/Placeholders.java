package io.membacking.host.windows;

import com.sun.jna.Memory;
import com.sun.jna.Native;
import com.sun.jna.Pointer;
import io.membacking.error.NativeError;
import io.membacking.range.MemoryRange;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Addresses kept by placeholders (Windows 10 1803): nobody else's allocation ever lands in them, and views need no more than page
 * alignment. A view takes the place of exactly one placeholder and leaves one behind, so placeholders are split and coalesced
 * around each change.
 */
final class Placeholders implements AddressRoom {
    private final long process;
    private final long base;
    /** Each placeholder: its first offset, and the one after its last. */
    private final TreeMap<Long, Long> vacant = new TreeMap<>();

    private Placeholders(long process, long base, long size) {
        this.process = process;
        this.base = base;
        vacant.put(0L, size);
    }

    /** Whether this Windows has them; Wine 8 has the function and refuses the flag. */
    static boolean available(long granularity) {
        if (!Win32.has("VirtualAlloc2") || !Win32.has("MapViewOfFile3") || !Win32.has("UnmapViewOfFile2")) {
            return false;
        }
        long trial = Win32.VirtualAlloc2(
                Win32.CURRENT_PROCESS,
                0,
                granularity,
                Win32.MEM_RESERVE | Win32.MEM_RESERVE_PLACEHOLDER,
                Win32.PAGE_NOACCESS,
                Pointer.NULL,
                0);
        return trial != Win32.NULL && Win32.VirtualFreeEx(Win32.CURRENT_PROCESS, trial, 0, Win32.MEM_RELEASE) != 0;
    }

    /** @return null if Windows has no such room; the reason is the thread's last error */
    static @Nullable Placeholders reserve(long process, long size, long alignment) {
        try (Memory requirements = new Memory(Win32.SIZE_OF_ADDRESS_REQUIREMENTS);
                Memory parameter = new Memory(Win32.SIZE_OF_EXTENDED_PARAMETER)) {
            requirements.clear();
            requirements.setLong(Win32.ADDRESS_REQUIREMENTS_ALIGNMENT, alignment);
            parameter.setLong(0, Win32.MEM_EXTENDED_PARAMETER_ADDRESS_REQUIREMENTS);
            parameter.setPointer(Win32.EXTENDED_PARAMETER_VALUE, requirements);
            long base = Win32.VirtualAlloc2(
                    process,
                    0,
                    size,
                    Win32.MEM_RESERVE | Win32.MEM_RESERVE_PLACEHOLDER,
                    Win32.PAGE_NOACCESS,
                    parameter,
                    1);
            return base == Win32.NULL ? null : new Placeholders(process, base, size);
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
        return this;
    }

    @Override
    public void vacateView(MemoryRange view) {
        require(
                Win32.UnmapViewOfFile2(process, base + view.start(), Win32.MEM_PRESERVE_PLACEHOLDER) != 0,
                "unmap the view",
                view);
        vacant.put(view.start(), view.end());
    }

    @Override
    public void vacatePrivate(MemoryRange part) {
        require(free(part, Win32.MEM_PRESERVE_PLACEHOLDER), "free the private memory", part);
        vacant.put(part.start(), part.end());
    }

    @Override
    public void decommit(MemoryRange part) {
        throw new IllegalStateException("private memory at " + part + " can go as it is");
    }

    @Override
    public void join(MemoryRange room) {
        Map<Long, Long> parts = vacant.subMap(room.start(), room.end());
        if (parts.size() > 1) {
            require(free(room, Win32.MEM_COALESCE_PLACEHOLDERS), "coalesce the placeholders", room);
            parts.clear();
            vacant.put(room.start(), room.end());
        }
    }

    /** Cuts a placeholder that is exactly this out of the one around it. */
    private @Nullable NativeError split(MemoryRange at) {
        Map.Entry<Long, Long> around = vacant.floorEntry(at.start());
        if (around == null || around.getValue() < at.end()) {
            throw new IllegalStateException(at + " is not vacant");
        }
        if (around.getKey() != at.start() || around.getValue() != at.end()) {
            if (!free(at, Win32.MEM_PRESERVE_PLACEHOLDER)) {
                return WindowsError.last();
            }
            vacant.remove(around.getKey());
            put(around.getKey(), at.start());
            put(at.start(), at.end());
            put(at.end(), around.getValue());
        }
        return null;
    }

    private void put(long start, long end) {
        if (start < end) {
            vacant.put(start, end);
        }
    }

    @Override
    public @Nullable NativeError placeView(MemoryRange at, long section, long sectionOffset, boolean largePages) {
        NativeError refused = split(at);
        if (refused != null) {
            return refused;
        }
        long view = Win32.MapViewOfFile3(
                section,
                process,
                base + at.start(),
                sectionOffset,
                at.length(),
                Win32.MEM_REPLACE_PLACEHOLDER | (largePages ? Win32.MEM_LARGE_PAGES : 0),
                Win32.PAGE_READWRITE,
                Pointer.NULL,
                0);
        return placed(at, view);
    }

    @Override
    public @Nullable NativeError placePrivate(MemoryRange at, OptionalInt node) {
        NativeError refused = split(at);
        if (refused != null) {
            return refused;
        }
        try (Memory parameter = new Memory(Win32.SIZE_OF_EXTENDED_PARAMETER)) {
            parameter.setLong(0, Win32.MEM_EXTENDED_PARAMETER_NUMA_NODE);
            parameter.setLong(Win32.EXTENDED_PARAMETER_VALUE, node.orElse(0));
            long memory = Win32.VirtualAlloc2(
                    process,
                    base + at.start(),
                    at.length(),
                    Win32.MEM_RESERVE | Win32.MEM_COMMIT | Win32.MEM_REPLACE_PLACEHOLDER,
                    Win32.PAGE_READWRITE,
                    node.isPresent() ? parameter : Pointer.NULL,
                    node.isPresent() ? 1 : 0);
            return placed(at, memory);
        }
    }

    private @Nullable NativeError placed(MemoryRange at, long address) {
        if (address == Win32.NULL) {
            NativeError error = WindowsError.last();
            rejoin(at);
            return error;
        }
        vacant.remove(at.start());
        return null;
    }

    /** Undoes a split. */
    private void rejoin(MemoryRange at) {
        Map.Entry<Long, Long> before = vacant.lowerEntry(at.start());
        long start = before != null && before.getValue() == at.start() ? before.getKey() : at.start();
        Long after = vacant.get(at.end());
        join(new MemoryRange(start, after == null ? at.end() : after));
    }

    @Override
    public void settle(List<MemoryRange> rest) {
        // Placeholders that nothing took are there still.
    }

    @Override
    public void close() {
        // The process itself may have ended; then they are gone.
        vacant.keySet().forEach(start -> Win32.VirtualFreeEx(process, base + start, 0, Win32.MEM_RELEASE));
        vacant.clear();
    }

    private boolean free(MemoryRange range, int what) {
        return Win32.VirtualFreeEx(process, base + range.start(), range.length(), Win32.MEM_RELEASE | what) != 0;
    }

    /** What the book says is there cannot fail to go, unless somebody else has meddled with it. */
    private void require(boolean done, String what, MemoryRange range) {
        if (!done) {
            throw new IllegalStateException(
                    "cannot " + what + " at " + range + ": " + WindowsError.of(Native.getLastError()));
        }
    }
}
