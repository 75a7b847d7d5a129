package io.membacking.memory.internal;

import static io.membacking.memory.internal.Rig.MIB;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.host.Backing;
import io.membacking.memory.BackingChoice;
import io.membacking.memory.DeviceMemory;
import io.membacking.memory.GuestMemoryManager;
import io.membacking.memory.RamVisibility;
import io.membacking.range.MemoryRange;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class GuestInspectionTest {
    private final Rig rig = new Rig();

    @AfterEach
    void close() {
        rig.close();
    }

    @Test
    void itShowsLayoutVisibilityDevicesAndBackingsWithSensitiveDescriptors() throws Exception {
        GuestMemoryManager guest = rig.memories
                .builder("g")
                .layout(Rig.withGap(2 * MIB))
                .backing(BackingChoice.SHARED.withPrefetch())
                .aliasMapOffset(1L << 32)
                .pinning(true)
                .x86LegacySupport(true)
                .build();
        guest.setVisibility(new MemoryRange(0xf0000, 0x100000), RamVisibility.READ_ONLY);
        guest.setVisibility(new MemoryRange(0xa0000, 0xc0000), RamVisibility.UNMAPPED);
        DeviceMemory vga = guest.createDeviceMemory("vga", MIB);
        Backing rom = guest.allocate("rom", MIB);
        vga.mappings().map(new MemoryRange(0, 0x1000), rom, 0x2000, false);
        GuestInspection inspection = new GuestInspection((AssembledMemory) guest);

        Map<String, String> told = Told.by(inspection);
        Backing ram = guest.shareableRam().get(0).backing();
        String device = "device-memory/" + ((DeviceRegion) vga).id() + "/";
        String backing = "backings/" + ram.id() + "/";
        Map<String, String> expected = Map.ofEntries(
                Map.entry("layout/ram-bytes", "2097152"),
                Map.entry("layout/end", "0x400000"),
                Map.entry("layout/ram/0x0-0x200000/bytes", "2097152"),
                Map.entry("layout/mmio/0x200000-0x400000/bytes", "2097152"),
                Map.entry("alias-map-offset", "0x100000000"),
                Map.entry("pinning", "true"),
                Map.entry("ram/0xf0000-0x100000/visibility", "read-only"),
                Map.entry("ram/0xa0000-0xc0000/visibility", "unmapped"),
                Map.entry("ram/0xa0000-0xc0000/executable", "false"),
                Map.entry("ram/0x100000-0x200000/visibility", "read-write"),
                Map.entry("ram/0x100000-0x200000/backing", Long.toString(ram.id())),
                Map.entry("ram/0x100000-0x200000/backing-offset", "0x100000"),
                Map.entry(device + "name", "vga"),
                Map.entry(device + "placed", "no"),
                Map.entry(device + "mappings/0x0-0x1000/backing", Long.toString(rom.id())),
                Map.entry(device + "mappings/0x0-0x1000/backing-offset", "0x2000"),
                Map.entry(device + "mappings/0x0-0x1000/writable", "false"),
                Map.entry(backing + "kind", "SHARED"),
                Map.entry(backing + "prefetch", "true"),
                Map.entry(backing + "adopted", "false"),
                Map.entry(backing + "descriptor", "!" + ram.descriptor().getAsInt()),
                Map.entry("backings/" + rom.id() + "/use", "device memory"));
        expected.forEach((path, value) -> assertEquals(value, told.get(path), path));

        vga.control().place(2 * MIB, false);
        assertEquals("0x200000-0x300000", Told.by(inspection).get(device + "placed"));
        rom.close();
        assertFalse(Told.by(inspection).containsKey("backings/" + rom.id() + "/use"));
        guest.regions()
                .change("by other means")
                .remove(guest.regions().regions().get(0).id())
                .commit();
        assertEquals("region taken away", Told.by(inspection).get("ram/0x0-0xa0000/visibility"));
        guest.close();
        assertTrue(assertThrows(IllegalStateException.class, () -> Told.by(inspection))
                .getMessage()
                .contains("closed"));
    }
}
