package io.membacking.machine.internal;

import io.membacking.error.MembackingException;
import io.membacking.host.Backing;
import io.membacking.memory.DeviceMemory;
import io.membacking.memory.GuestMemoryManager;
import io.membacking.range.MemoryRange;

/** A firmware image in the guest: read-only, ending at 4 GiB, and its last 128 KiB (or all, if it is smaller) ending at 1 MiB too. */
final class PcRom {
    private static final int LEGACY_SIZE = 128 << 10;

    private PcRom() {}

    /** Lasts as long as the memory; on failure the caller closes that. */
    static void place(GuestMemoryManager memory, byte[] image) throws MembackingException {
        Backing backing = memory.allocate("rom", image.length);
        backing.write(0, image, 0, image.length);
        show(memory, "rom", backing, image.length, PcMemory.GAP_END);
        show(memory, "rom below 1 MiB", backing, Math.min(image.length, LEGACY_SIZE), PcMemory.LEGACY_END);
    }

    private static void show(GuestMemoryManager memory, String name, Backing backing, int length, long end)
            throws MembackingException {
        DeviceMemory rom = memory.createDeviceMemory(name, length);
        rom.mappings().map(MemoryRange.ofLength(0, length), backing, backing.size() - length, false);
        rom.control().place(end - length, false);
    }
}
