package io.membacking.memory.internal;

import io.membacking.error.Failure;
import io.membacking.error.LayoutException;
import io.membacking.host.BackingKind;
import io.membacking.memory.BackingChoice;
import io.membacking.memory.GuestMemoryBuilder;
import io.membacking.memory.MemoryLayout;
import io.membacking.memory.RamRange;
import io.membacking.range.MemoryRange;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;

/**
 * A configuration, read: what it says as values, and as text to compare it with a later one.
 *
 * @param text every setting by its name
 */
record GuestSettings(
        String name,
        MemoryLayout layout,
        OptionalLong aliasMapOffset,
        boolean x86Legacy,
        boolean pinning,
        BackingChoice backing,
        Map<String, String> text) {

    /**
     * Reads a configuration.
     *
     * @throws IllegalArgumentException naming the setting that cannot be read
     * @throws LayoutException if its ranges clash
     */
    static GuestSettings read(GuestConfig config) throws LayoutException {
        if (config.name() == null || config.name().isBlank()) {
            throw new IllegalArgumentException("name: the guest has none");
        }
        return new GuestSettings(
                config.name(),
                layout(config),
                config.alias_map_offset().isBlank()
                        ? OptionalLong.empty()
                        : OptionalLong.of(size("alias.map.offset", config.alias_map_offset())),
                config.x86_legacy(),
                config.pinning(),
                backing(config),
                text(config));
    }

    static Map<String, String> text(GuestConfig config) {
        Map<String, String> text = new LinkedHashMap<>();
        text.put("name", Objects.toString(config.name(), ""));
        text.put("memory", config.memory());
        text.put("ram", String.join(", ", config.ram()));
        text.put("mmio", String.join(", ", config.mmio()));
        text.put("vtl2", config.vtl2());
        text.put("alias.map.offset", config.alias_map_offset());
        text.put("x86.legacy", Boolean.toString(config.x86_legacy()));
        text.put("pinning", Boolean.toString(config.pinning()));
        text.put("prefetch", Boolean.toString(config.prefetch()));
        text.put("backing", config.backing());
        text.put("huge.page.size", config.huge_page_size());
        text.put("transparent.huge.pages", Boolean.toString(config.transparent_huge_pages()));
        text.put("host.node", Integer.toString(config.host_node()));
        return text;
    }

    GuestMemoryBuilder apply(GuestMemoryBuilder builder) {
        builder.layout(layout).backing(backing).x86LegacySupport(x86Legacy).pinning(pinning);
        aliasMapOffset.ifPresent(builder::aliasMapOffset);
        return builder;
    }

    private static MemoryLayout layout(GuestConfig config) throws LayoutException {
        List<MemoryRange> mmio = Arrays.stream(config.mmio())
                .filter(text -> !text.isBlank())
                .map(text -> range("mmio", text))
                .toList();
        Optional<MemoryRange> vtl2 =
                config.vtl2().isBlank() ? Optional.empty() : Optional.of(range("vtl2", config.vtl2()));
        List<RamRange> ram = Arrays.stream(config.ram())
                .filter(text -> !text.isBlank())
                .map(GuestSettings::ramRange)
                .toList();
        if (ram.isEmpty()) {
            List<MemoryRange> gaps = new ArrayList<>(mmio);
            vtl2.ifPresent(gaps::add);
            ram = fill(size("memory", config.memory()), gaps);
        }
        return MemoryLayout.of(ram, mmio, vtl2);
    }

    /** RAM of this size from 0 on, around the gaps. */
    private static List<RamRange> fill(long size, List<MemoryRange> gaps) throws LayoutException {
        if (size == 0 || !MemoryRange.isAligned(size)) {
            throw new IllegalArgumentException(
                    "memory: " + size + " bytes are not a positive multiple of " + MemoryRange.PAGE_SIZE);
        }
        List<RamRange> ram = new ArrayList<>();
        long left = size;
        long at = 0;
        for (MemoryRange gap : gaps.stream().sorted().toList()) {
            long room = gap.start() - at;
            if (room > 0 && left > 0) {
                long take = Math.min(left, room);
                ram.add(RamRange.of(MemoryRange.ofLength(at, take)));
                left -= take;
            }
            at = Math.max(at, gap.end());
        }
        if (left > 0) {
            if (at > Long.MAX_VALUE - left) {
                throw new LayoutException(Failure.of(
                        "lay out memory",
                        null,
                        Size.of(left) + " of RAM find no room above the MMIO gaps",
                        "ask for less memory"));
            }
            ram.add(RamRange.of(MemoryRange.ofLength(at, left)));
        }
        return ram;
    }

    private static RamRange ramRange(String text) {
        int at = text.indexOf('@');
        if (at < 0) {
            return RamRange.of(range("ram", text));
        }
        try {
            int node = Integer.parseInt(text.substring(at + 1).strip());
            return new RamRange(range("ram", text.substring(0, at)), OptionalInt.of(node));
        } catch (NumberFormatException e) {
            throw new IllegalArgumentException("ram: '" + text + "' names no virtual NUMA node; write 4G-8G@1", e);
        }
    }

    private static MemoryRange range(String setting, String text) {
        int dash = text.indexOf('-');
        if (dash < 0) {
            throw new IllegalArgumentException(setting + ": '" + text + "' is no range; write 0x0-0x80000000 or 3G-4G");
        }
        long start = size(setting, text.substring(0, dash));
        long end = size(setting, text.substring(dash + 1));
        try {
            return new MemoryRange(start, end);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(setting + ": " + e.getMessage(), e);
        }
    }

    private static long size(String setting, String text) {
        try {
            return Size.parse(text);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(setting + ": " + e.getMessage(), e);
        }
    }

    private static BackingChoice backing(GuestConfig config) {
        BackingKind kind =
                switch (config.backing().strip().toLowerCase(Locale.ROOT)) {
                    case "shared" -> BackingKind.SHARED;
                    case "private" -> BackingKind.PRIVATE;
                    case "hugetlb" -> BackingKind.HUGETLB;
                    default ->
                        throw new IllegalArgumentException(
                                "backing: '" + config.backing() + "' is none of shared, private, hugetlb");
                };
        // The page size has a default, so it counts only where it means something.
        long pageSize = kind == BackingKind.HUGETLB ? size("huge.page.size", config.huge_page_size()) : 0;
        OptionalInt node = config.host_node() < 0 ? OptionalInt.empty() : OptionalInt.of(config.host_node());
        return new BackingChoice(kind, pageSize, config.transparent_huge_pages(), config.prefetch(), node, null);
    }
}
