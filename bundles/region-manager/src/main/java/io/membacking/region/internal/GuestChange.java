package io.membacking.region.internal;

import io.membacking.error.MembackingException;
import io.membacking.range.MemoryRange;
import io.membacking.region.Change;
import io.membacking.region.JournalEntry;
import io.membacking.region.MapParameters;
import io.membacking.region.Plan;
import io.membacking.region.RegionId;
import io.membacking.region.RegionKind;
import io.membacking.region.RegionOperation;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** A change being built: a list of operations and nothing else, until it is committed. */
final class GuestChange implements Change {
    private final GuestRegionManager manager;
    private final String reason;
    private final List<RegionOperation> operations = new ArrayList<>();
    private boolean spent;

    GuestChange(GuestRegionManager manager, String reason) {
        this.manager = manager;
        this.reason = reason;
    }

    String reason() {
        return reason;
    }

    @Override
    public RegionId add(String name, MemoryRange range, int priority, RegionKind kind) {
        RegionId id = new RegionId(manager.nextRegionNumber(), name);
        append(new RegionOperation.Add(id, range, priority, kind));
        return id;
    }

    @Override
    public Change remove(RegionId region) {
        return append(new RegionOperation.Remove(region));
    }

    @Override
    public Change map(RegionId region, MapParameters parameters) {
        return append(new RegionOperation.Map(region, parameters));
    }

    @Override
    public Change unmap(RegionId region) {
        return append(new RegionOperation.Unmap(region));
    }

    @Override
    public Change move(RegionId region, long start) {
        return append(new RegionOperation.Move(region, start));
    }

    @Override
    public Change addMapping(RegionId region, MemoryRange offsets, long backing, long backingOffset, boolean writable) {
        return append(new RegionOperation.AddMapping(region, offsets, backing, backingOffset, writable));
    }

    @Override
    public Change removeMappings(RegionId region, MemoryRange offsets) {
        return append(new RegionOperation.RemoveMappings(region, offsets));
    }

    @Override
    public Change apply(List<RegionOperation> more) {
        more.forEach(this::append);
        return this;
    }

    private Change append(RegionOperation operation) {
        if (spent) {
            throw new IllegalStateException("change '" + reason + "' is spent: start another");
        }
        if (operation instanceof RegionOperation.Add add) {
            manager.usedRegionNumber(add.region().number());
        } else if (operation instanceof RegionOperation.Move move && !MemoryRange.isAligned(move.start())) {
            throw new IllegalArgumentException("address 0x" + Long.toHexString(move.start()) + " for region "
                    + move.region() + " is not aligned to pages of " + MemoryRange.PAGE_SIZE + " bytes");
        } else if (operation instanceof RegionOperation.AddMapping add
                && (add.backingOffset() < 0 || !MemoryRange.isAligned(add.backingOffset()))) {
            throw new IllegalArgumentException("backing offset 0x" + Long.toHexString(add.backingOffset())
                    + " for region " + add.region() + " is negative or not aligned to pages of "
                    + MemoryRange.PAGE_SIZE + " bytes");
        }
        operations.add(operation);
        return this;
    }

    @Override
    public List<RegionOperation> operations() {
        return List.copyOf(operations);
    }

    @Override
    public Plan plan() throws MembackingException {
        return manager.plan(operations());
    }

    @Override
    public JournalEntry commit() throws MembackingException {
        return commit(GuestRegionManager.DEFAULT_DEADLINE);
    }

    @Override
    public JournalEntry commit(Duration deadline) throws MembackingException {
        if (spent) {
            throw new IllegalStateException("change '" + reason + "' is spent: it was committed; start another");
        }
        JournalEntry entry = manager.commit(this, deadline);
        spent = true;
        return entry;
    }
}
