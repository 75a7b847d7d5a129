package io.membacking.memory.internal;

import io.membacking.host.Backing;
import io.membacking.inspect.Inspectable;
import io.membacking.inspect.Inspection;
import io.membacking.inspect.Sensitivity;
import io.membacking.memory.MemoryLayout;
import io.membacking.memory.RamRange;
import io.membacking.memory.internal.RamRegions.RamRegion;
import io.membacking.range.MemoryRange;
import io.membacking.region.MapParameters;
import io.membacking.region.RegionInfo;
import java.util.List;
import java.util.Optional;

/** Shows a guest's memory: what it was built from, its RAM and what of it is visible, its device memory and its backings. */
final class GuestInspection implements Inspectable {
    private final AssembledMemory memory;

    GuestInspection(AssembledMemory memory) {
        this.memory = memory;
    }

    @Override
    public void inspect(Inspection guest) {
        BuildPlan plan = memory.plan();
        guest.child("layout", layout -> layout(layout, plan.layout()));
        plan.aliasMapOffset()
                .ifPresentOrElse(
                        offset -> guest.hex("alias-map-offset", offset), () -> guest.text("alias-map-offset", "none"));
        guest.bool("pinning", plan.pinning());
        guest.child("ram", ram -> memory.ram().all().forEach(region -> ram(ram, region)));
        guest.child("device-memory", devices -> memory.devices()
                .forEach(device -> devices.child(device.id().toString(), d -> device(d, device))));
        guest.child("backings", backings -> backings(backings));
        if (!memory.warnings().isEmpty()) {
            guest.text("build-warnings", String.join("\n", memory.warnings()));
        }
    }

    private static void layout(Inspection node, MemoryLayout layout) {
        node.number("ram-bytes", layout.ramSize()).hex("end", layout.end());
        node.child("ram", ram -> {
            for (RamRange range : layout.ram()) {
                ram.child(range.range().toString(), r -> {
                    r.number("bytes", range.range().length());
                    range.virtualNode().ifPresent(virtual -> r.number("virtual-node", virtual));
                });
            }
        });
        node.child("mmio", mmio -> {
            for (MemoryRange gap : layout.mmio()) {
                mmio.child(gap.toString(), g -> g.number("bytes", gap.length()));
            }
        });
        layout.vtl2().ifPresent(range -> node.text("vtl2", range.toString()));
    }

    private void ram(Inspection node, RamRegion ram) {
        BuildPlan.Placement placement = ram.placement();
        Optional<RegionInfo> info = memory.regions().region(ram.id());
        node.child(placement.range().toString(), r -> r.text("region", ram.id().toString())
                .text("visibility", visibility(info, placement.range()))
                .bool(
                        "executable",
                        info.flatMap(RegionInfo::mapped)
                                .map(MapParameters::executable)
                                .orElse(false))
                .number("bytes", placement.range().length())
                .number(
                        "backing",
                        memory.backings().get(placement.backing()).backing().id())
                .hex("backing-offset", placement.offset()));
    }

    private static String visibility(Optional<RegionInfo> info, MemoryRange range) {
        if (info.isEmpty()) {
            return "region taken away";
        }
        if (!info.get().range().equals(range)) {
            return "region moved to " + info.get().range();
        }
        return info.get()
                .mapped()
                .map(mapped -> mapped.writable() ? "read-write" : "read-only")
                .orElse("unmapped");
    }

    private static void device(Inspection node, DeviceRegion device) {
        Optional<RegionInfo> info = device.info();
        Optional<MapParameters> mapped = info.flatMap(RegionInfo::mapped);
        node.text("name", device.name())
                .number("bytes", device.length())
                .text("placed", mapped.map(m -> info.get().range().toString()).orElse("no"))
                .bool("writable", mapped.map(MapParameters::writable).orElse(false));
        node.child("mappings", mappings -> info.map(RegionInfo::mappings)
                .orElse(List.of())
                .forEach(mapping ->
                        mappings.child(mapping.offsets().toString(), m -> m.number("backing", mapping.backing())
                                .hex("backing-offset", mapping.backingOffset())
                                .bool("writable", mapping.writable()))));
    }

    private void backings(Inspection node) {
        boolean transparent = memory.host().capabilities().transparentHugePages();
        for (ManagedBacking managed : memory.backings()) {
            node.child(Long.toString(managed.backing().id()), b -> {
                backing(b, managed.backing());
                b.text("use", "RAM").bool("adopted", managed.choice().existing().isPresent());
                b.bool("prefetch", managed.choice().prefetch());
                if (managed.choice().transparentHugePages()) {
                    b.text("transparent-huge-pages", transparent ? "asked for" : "asked for; this host gives none");
                }
                managed.choice().hostNode().ifPresent(host -> b.number("host-node", host));
            });
        }
        for (Backing backing : memory.allocated()) {
            if (!AssembledMemory.isClosed(backing)) {
                node.child(Long.toString(backing.id()), b -> {
                    backing(b, backing);
                    b.text("use", "device memory");
                });
            }
        }
    }

    private static void backing(Inspection node, Backing backing) {
        node.text("name", backing.name())
                .text("kind", backing.kind().name())
                .number("bytes", backing.size())
                .number("page-bytes", backing.pageSize());
        node.sensitivity(Sensitivity.SENSITIVE);
        backing.descriptor().ifPresent(number -> node.number("descriptor", number));
        node.sensitivity(Sensitivity.UNSPECIFIED);
    }
}
