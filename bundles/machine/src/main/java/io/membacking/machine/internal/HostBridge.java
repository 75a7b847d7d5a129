package io.membacking.machine.internal;

import io.membacking.error.MembackingException;
import io.membacking.memory.RamVisibility;
import io.membacking.range.MemoryRange;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The i440fx host bridge, PCI 00:00.0. Its PAM registers drive the visibility of RAM: one write, of one, two or four bytes, is
 * one change, and one that sets what is set already is none. If the change fails the registers stay as they were.
 */
final class HostBridge extends PciFunction {
    private final LegacyRam ram;

    HostBridge(LegacyRam ram) {
        super(0x8086, 0x1237, 0x060000);
        this.ram = ram;
        preset(COMMAND, 2, 0x0006);
        preset(STATUS, 2, 0x0280);
        preset(REVISION, 1, 0x02);
        // Bits 2, 3, 6 and 7 are reserved, and so is the whole lower half of the first register.
        allow(PamSegment.FIRST_REGISTER, 1, 0x30);
        allow(PamSegment.FIRST_REGISTER + 1, 4, 0x33333333);
        allow(PamSegment.FIRST_REGISTER + 5, 2, 0x3333);
        // SMRAM control: kept for firmware that looks at it; there is no system management mode.
        preset(0x72, 1, 0x02);
        allow(0x72, 1, 0x7f);
    }

    @Override
    void beforeWrite(int offset, byte[] after) throws MembackingException {
        Map<MemoryRange, RamVisibility> changes = new LinkedHashMap<>();
        for (PamSegment segment : PamSegment.ALL) {
            int at = segment.register() - offset;
            if (at >= 0 && at < after.length) {
                RamVisibility now = PamSegment.visibility(segment.bits(readConfig(segment.register(), 1)));
                RamVisibility next = PamSegment.visibility(segment.bits(after[at]));
                if (now != next) {
                    changes.put(segment.range(), next);
                }
            }
        }
        if (!changes.isEmpty()) {
            ram.setVisibility("PAM registers from 0x" + Integer.toHexString(offset), changes);
        }
    }

    /**
     * Takes a write that left the guest.
     *
     * @return whether it went to RAM: all of it lies in segments that are write-only
     */
    synchronized boolean writeMemory(long gpa, byte[] data) {
        for (int i = 0; i < data.length; i++) {
            if (!isWriteOnly(gpa + i)) {
                return false;
            }
        }
        ram.writeHidden(gpa, data);
        return true;
    }

    private boolean isWriteOnly(long gpa) {
        return PamSegment.ALL.stream()
                .anyMatch(
                        s -> s.range().contains(gpa) && s.bits(readConfig(s.register(), 1)) == PamSegment.WRITE_ENABLE);
    }

    /** The RAM below 1 MiB as the host bridge uses it. */
    interface LegacyRam {
        /** Sets what the guest sees of some segments, in one change. */
        void setVisibility(String reason, Map<MemoryRange, RamVisibility> segments) throws MembackingException;

        /** Writes to RAM that the guest does not see. */
        void writeHidden(long gpa, byte[] data);
    }
}
