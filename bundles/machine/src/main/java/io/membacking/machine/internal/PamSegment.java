package io.membacking.machine.internal;

import io.membacking.memory.RamVisibility;
import io.membacking.range.MemoryRange;
import java.util.ArrayList;
import java.util.List;

/**
 * A segment of memory below 1 MiB that the i440fx host bridge can give to RAM or to the ROM (82441FX data sheet, 3.2.18): two
 * bits in a PAM register.
 *
 * @param register the offset in the bridge's configuration space, 0x59 to 0x5f
 * @param shift 0 or 4: which half of the register
 */
record PamSegment(MemoryRange range, int register, int shift) {
    static final int FIRST_REGISTER = 0x59;

    /** Reads go to RAM. */
    static final int READ_ENABLE = 1;

    /** Writes go to RAM. */
    static final int WRITE_ENABLE = 2;

    /** All 13, in order of register and shift: 0xf0000 first, then 0xc0000 upwards. */
    static final List<PamSegment> ALL = all();

    /** This segment's two bits. @param value of its register */
    int bits(int value) {
        return value >>> shift & (READ_ENABLE | WRITE_ENABLE);
    }

    /** What the guest sees of the segment's RAM. Write-only RAM stays hidden: the host bridge carries its writes. */
    static RamVisibility visibility(int bits) {
        return switch (bits) {
            case READ_ENABLE | WRITE_ENABLE -> RamVisibility.READ_WRITE;
            case READ_ENABLE -> RamVisibility.READ_ONLY;
            default -> RamVisibility.UNMAPPED;
        };
    }

    private static List<PamSegment> all() {
        List<PamSegment> segments = new ArrayList<>();
        segments.add(new PamSegment(new MemoryRange(0xf0000, 0x100000), FIRST_REGISTER, 4));
        for (int i = 0; i < 12; i++) {
            MemoryRange range = MemoryRange.ofLength(0xc0000 + i * 0x4000L, 0x4000);
            segments.add(new PamSegment(range, FIRST_REGISTER + 1 + i / 2, i % 2 * 4));
        }
        return List.copyOf(segments);
    }
}
