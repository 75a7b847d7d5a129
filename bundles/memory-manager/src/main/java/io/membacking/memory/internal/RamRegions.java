package io.membacking.memory.internal;

import io.membacking.error.Failure;
import io.membacking.error.MembackingException;
import io.membacking.error.VisibilityException;
import io.membacking.memory.RamVisibility;
import io.membacking.memory.VisibilityChange;
import io.membacking.memory.internal.BuildPlan.Placement;
import io.membacking.range.MemoryRange;
import io.membacking.region.Change;
import io.membacking.region.JournalEntry;
import io.membacking.region.MapParameters;
import io.membacking.region.RegionId;
import io.membacking.region.RegionInfo;
import io.membacking.region.RegionManager;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The RAM regions of a guest and what it sees of them. Their state is the region manager's alone, so what others change of them
 * there is what is told here. Thread-safe.
 */
final class RamRegions {
    private final RegionManager regions;
    private final Map<MemoryRange, RamRegion> byRange = new LinkedHashMap<>();

    /** @param placements what the regions are, in the same order */
    RamRegions(RegionManager regions, List<RegionId> ids, List<Placement> placements) {
        this.regions = regions;
        for (int i = 0; i < ids.size(); i++) {
            byRange.put(placements.get(i).range(), new RamRegion(ids.get(i), placements.get(i)));
        }
    }

    /** A RAM region as it was built. */
    static final class RamRegion {
        private final RegionId id;
        private final Placement placement;

        /** Whether it was executable when it was last seen mapped: it is so again when it is shown. */
        private volatile boolean executable = true;

        private RamRegion(RegionId id, Placement placement) {
            this.id = id;
            this.placement = placement;
        }

        RegionId id() {
            return id;
        }

        Placement placement() {
            return placement;
        }
    }

    /** In order of address, without those that were taken away or moved through the region manager. */
    List<MemoryRange> ranges() {
        return byRange.keySet().stream()
                .filter(range -> info(range).isPresent())
                .sorted()
                .toList();
    }

    List<RamRegion> all() {
        return List.copyOf(byRange.values());
    }

    RamVisibility visibility(MemoryRange range) throws VisibilityException {
        require("tell the visibility of RAM", range);
        return info(range)
                .flatMap(RegionInfo::mapped)
                .map(mapped -> mapped.writable() ? RamVisibility.READ_WRITE : RamVisibility.READ_ONLY)
                .orElse(RamVisibility.UNMAPPED);
    }

    VisibilityChange change(String reason) {
        return new Pending(reason);
    }

    private Optional<RegionInfo> info(MemoryRange range) {
        return Optional.ofNullable(byRange.get(range))
                .flatMap(ram -> regions.region(ram.id()))
                .filter(region -> region.range().equals(range));
    }

    private RamRegion require(String operation, MemoryRange range) throws VisibilityException {
        RamRegion ram = byRange.get(range);
        if (ram != null && info(range).isPresent()) {
            return ram;
        }
        List<MemoryRange> near = ranges().stream().filter(range::overlaps).toList();
        throw new VisibilityException(Failure.of(
                operation,
                range,
                "it is not exactly one RAM region",
                near.isEmpty() ? "no RAM is there" : "the RAM regions there are " + near));
    }

    /** Resolved when it is committed: what was executable by then stays so. */
    private final class Pending implements VisibilityChange {
        private final String reason;
        private final Map<MemoryRange, RamVisibility> wanted = new LinkedHashMap<>();
        private boolean spent;

        Pending(String reason) {
            this.reason = reason;
        }

        @Override
        public VisibilityChange set(MemoryRange range, RamVisibility visibility) throws VisibilityException {
            requireUnspent();
            require("set the visibility of RAM to " + visibility, range);
            wanted.put(range, visibility);
            return this;
        }

        @Override
        public JournalEntry commit() throws MembackingException {
            requireUnspent();
            Change change = regions.change(reason);
            for (Map.Entry<MemoryRange, RamVisibility> entry : wanted.entrySet()) {
                RamRegion ram = require("set the visibility of RAM to " + entry.getValue(), entry.getKey());
                info(entry.getKey())
                        .flatMap(RegionInfo::mapped)
                        .ifPresent(mapped -> ram.executable = mapped.executable());
                if (entry.getValue() == RamVisibility.UNMAPPED) {
                    change.unmap(ram.id());
                } else {
                    boolean writable = entry.getValue() == RamVisibility.READ_WRITE;
                    change.map(ram.id(), new MapParameters(writable, ram.executable, false));
                }
            }
            JournalEntry committed = change.commit();
            spent = true;
            return committed;
        }

        private void requireUnspent() {
            if (spent) {
                throw new IllegalStateException("this change of visibility is committed already; start another");
            }
        }
    }
}
