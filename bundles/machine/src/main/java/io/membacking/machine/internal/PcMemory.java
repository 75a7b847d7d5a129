package io.membacking.machine.internal;

import io.membacking.error.LayoutException;
import io.membacking.memory.MemoryLayout;
import io.membacking.memory.RamRange;
import io.membacking.range.MemoryRange;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Where a PC has its RAM: from 0 up to 3 GiB, and the rest from 4 GiB on.
 *
 * @param size bytes of RAM
 */
record PcMemory(long size) {
    static final long GAP_START = 0xc0000000L;
    static final long GAP_END = 0x100000000L;

    /** Below it are the PAM segments and the graphics card, which firmware takes for itself. */
    static final long LEGACY_END = 0x100000;

    static final MemoryRange VGA = new MemoryRange(0xa0000, 0xc0000);

    PcMemory {
        if (size < LEGACY_END || !MemoryRange.isAligned(size)) {
            throw new IllegalArgumentException("memory of " + size + " bytes is not possible; give a multiple of "
                    + MemoryRange.PAGE_SIZE + " bytes, at least 1 MiB");
        }
    }

    /** Bytes below the gap. */
    long low() {
        return Math.min(size, GAP_START);
    }

    /** Bytes from 4 GiB on. */
    long high() {
        return size - low();
    }

    /** The RAM, as far as it goes. */
    List<MemoryRange> ram() {
        List<MemoryRange> ranges = new ArrayList<>();
        ranges.add(MemoryRange.ofLength(0, low()));
        if (high() > 0) {
            ranges.add(MemoryRange.ofLength(GAP_END, high()));
        }
        return ranges;
    }

    /** The RAM that the guest sees when it starts: without graphics memory and PAM segments. */
    List<MemoryRange> visibleRam() {
        List<MemoryRange> ranges = new ArrayList<>();
        MemoryRange legacy = new MemoryRange(VGA.start(), LEGACY_END);
        ram().forEach(range -> ranges.addAll(range.minus(legacy)));
        return ranges;
    }

    /** Whether a guest that starts can use all of these bytes as RAM. */
    boolean isVisibleRam(long gpa, long length) {
        return visibleRam().stream().anyMatch(r -> r.contains(gpa) && Long.compareUnsigned(length, r.end() - gpa) <= 0);
    }

    MemoryLayout layout() throws LayoutException {
        return MemoryLayout.of(
                ram().stream().map(RamRange::of).toList(),
                List.of(new MemoryRange(GAP_START, GAP_END)),
                Optional.empty());
    }
}
