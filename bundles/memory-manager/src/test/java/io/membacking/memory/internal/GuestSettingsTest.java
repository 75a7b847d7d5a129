package io.membacking.memory.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.error.LayoutException;
import io.membacking.error.MembackingException;
import io.membacking.host.BackingKind;
import io.membacking.memory.BackingChoice;
import io.membacking.memory.MemoryLayout;
import io.membacking.memory.RamRange;
import io.membacking.range.MemoryRange;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;

class GuestSettingsTest {
    private static final long GIB = 1L << 30;

    @Test
    void aNameAloneIsASharedGuestOf512Mib() throws MembackingException {
        GuestSettings settings = read(Map.of());
        assertEquals(MemoryLayout.flat(512L << 20), settings.layout());
        assertEquals(BackingChoice.SHARED, settings.backing());
        assertEquals(OptionalLong.empty(), settings.aliasMapOffset());
        assertEquals("web1", settings.name());
    }

    @Test
    void ramOfASizeIsLaidOutAroundTheGaps() throws MembackingException {
        GuestSettings settings =
                read(Map.of("memory", "4G", "mmio", new String[] {"5G-6G", "3G-4G"}, "vtl2", "4G-0x120000000"));
        assertEquals(
                MemoryLayout.of(
                        List.of(
                                RamRange.of(new MemoryRange(0, 3 * GIB)),
                                RamRange.of(new MemoryRange(0x120000000L, 5 * GIB)),
                                RamRange.of(MemoryRange.ofLength(6 * GIB, GIB / 2))),
                        List.of(new MemoryRange(5 * GIB, 6 * GIB), new MemoryRange(3 * GIB, 4 * GIB)),
                        Optional.of(new MemoryRange(4 * GIB, 0x120000000L))),
                settings.layout());
    }

    @Test
    void explicitRangesReplaceTheSizeAndMayHaveNodes() throws MembackingException {
        GuestSettings settings =
                read(Map.of("memory", "nonsense", "ram", new String[] {"0-1G", "4G-8G@1"}, "mmio", new String[0]));
        assertEquals(
                List.of(
                        RamRange.of(new MemoryRange(0, GIB)),
                        new RamRange(new MemoryRange(4 * GIB, 8 * GIB), OptionalInt.of(1))),
                settings.layout().ram());
    }

    @Test
    void backingChoicesAreRead() throws MembackingException {
        GuestSettings settings = read(Map.of(
                "backing",
                "HugeTLB",
                "huge_page_size",
                "1G",
                "prefetch",
                true,
                "host_node",
                1,
                "alias_map_offset",
                "0x8000000000"));
        assertEquals(BackingChoice.hugetlb(GIB).withPrefetch().onHostNode(1), settings.backing());
        assertEquals(OptionalLong.of(0x8000000000L), settings.aliasMapOffset());
        assertEquals(
                BackingKind.PRIVATE,
                read(Map.of("backing", "private")).backing().kind());
    }

    @Test
    void whatCannotBeReadIsRefusedByTheNameOfTheSetting() {
        assertRefused("memory: 'lots' is no size", Map.of("memory", "lots"));
        assertRefused("memory: 0 bytes", Map.of("memory", "0"));
        assertRefused("memory: 5000 bytes", Map.of("memory", "5000"));
        assertRefused("mmio: '3G' is no range", Map.of("mmio", new String[] {"3G"}));
        assertRefused("mmio: range 0x1-0x1000", Map.of("mmio", new String[] {"1-4K"}));
        assertRefused("vtl2: range 0x1000-0x1000 is empty", Map.of("vtl2", "4K-4K"));
        assertRefused("ram: '0-1G@x'", Map.of("ram", new String[] {"0-1G@x"}));
        assertRefused("backing: 'file'", Map.of("backing", "file"));
        assertRefused("huge.page.size: 'big'", Map.of("backing", "hugetlb", "huge_page_size", "big"));
        assertRefused("alias.map.offset: 'x'", Map.of("alias_map_offset", "x"));
    }

    @Test
    void rangesThatClashAreRefusedByTheLayout() {
        assertThrows(
                LayoutException.class,
                () -> read(Map.of("ram", new String[] {"0-2G"}, "mmio", new String[] {"1G-3G"})));
        assertThrows(LayoutException.class, () -> read(Map.of("memory", "8388607T", "mmio", new String[] {"1T-4T"})));
    }

    private static void assertRefused(String problem, Map<String, Object> settings) {
        IllegalArgumentException refused = assertThrows(IllegalArgumentException.class, () -> read(settings));
        assertTrue(refused.getMessage().contains(problem), refused.getMessage());
    }

    private static GuestSettings read(Map<String, Object> settings) throws LayoutException {
        return GuestSettings.read(Configurations.of("web1", settings));
    }
}
