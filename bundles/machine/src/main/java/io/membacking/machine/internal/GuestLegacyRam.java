package io.membacking.machine.internal;

import io.membacking.error.MembackingException;
import io.membacking.memory.GuestMemoryManager;
import io.membacking.memory.RamVisibility;
import io.membacking.memory.VisibilityChange;
import io.membacking.range.MemoryRange;
import io.membacking.region.RegionInfo;
import io.membacking.region.RegionInfo.MappingInfo;
import io.membacking.region.RegionKind;
import java.util.LinkedHashMap;
import java.util.Map;

/** The RAM below 1 MiB of a real guest. */
final class GuestLegacyRam implements HostBridge.LegacyRam {
    private final GuestMemoryManager memory;

    GuestLegacyRam(GuestMemoryManager memory) {
        this.memory = memory;
    }

    /** Hides what a PC hides after reset, in one change: graphics memory and every PAM segment. */
    void hideAll() throws MembackingException {
        Map<MemoryRange, RamVisibility> hidden = new LinkedHashMap<>();
        hidden.put(PcMemory.VGA, RamVisibility.UNMAPPED);
        PamSegment.ALL.forEach(segment -> hidden.put(segment.range(), RamVisibility.UNMAPPED));
        setVisibility("reset of the host bridge", hidden);
    }

    @Override
    public void setVisibility(String reason, Map<MemoryRange, RamVisibility> segments) throws MembackingException {
        VisibilityChange change = memory.changeVisibility(reason);
        for (Map.Entry<MemoryRange, RamVisibility> segment : segments.entrySet()) {
            change.set(segment.getKey(), segment.getValue());
        }
        change.commit();
    }

    /** Goes to the backing itself: no address of the guest leads to hidden memory. */
    @Override
    public void writeHidden(long gpa, byte[] data) {
        for (int i = 0; i < data.length; i++) {
            writeHidden(gpa + i, data[i]);
        }
    }

    private void writeHidden(long gpa, byte value) {
        for (RegionInfo region : memory.regions().regions()) {
            if (region.kind() == RegionKind.RAM && region.range().contains(gpa)) {
                long offset = gpa - region.range().start();
                for (MappingInfo mapping : region.mappings()) {
                    if (mapping.offsets().contains(offset)) {
                        long position = mapping.backingOffset()
                                + offset
                                - mapping.offsets().start();
                        memory.regions()
                                .backing(mapping.backing())
                                .orElseThrow()
                                .write(position, new byte[] {value}, 0, 1);
                        return;
                    }
                }
            }
        }
        throw new IllegalStateException("there is no RAM at 0x" + Long.toHexString(gpa));
    }
}
