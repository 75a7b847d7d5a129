package io.membacking.memory.internal;

import io.membacking.error.AllocationException;
import io.membacking.error.MembackingException;
import io.membacking.host.Backing;
import io.membacking.host.BackingRequest;
import io.membacking.host.HostMemory;
import io.membacking.memory.BackingChoice;
import io.membacking.memory.internal.BuildPlan.Placement;
import io.membacking.memory.internal.BuildPlan.PlannedBacking;
import io.membacking.range.MemoryRange;
import io.membacking.region.Change;
import io.membacking.region.JournalEntry;
import io.membacking.region.MapParameters;
import io.membacking.region.RegionId;
import io.membacking.region.RegionKind;
import io.membacking.region.RegionManager;
import io.membacking.region.RegionManagers;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.function.Consumer;

/** Carries a build plan out, whole or not at all: whatever fails, what was made before is given back, the latest first. */
final class Assembly {
    static final String RAM = "ram";
    static final int RAM_PRIORITY = 255;

    private final BuildPlan plan;
    private final HostMemory host;
    private final Deque<Runnable> undo = new ArrayDeque<>();

    private Assembly(BuildPlan plan, HostMemory host) {
        this.plan = plan;
        this.host = host;
    }

    /** @param onClosed called once, when the memory has closed */
    static AssembledMemory assemble(
            BuildPlan plan, HostMemory host, RegionManagers managers, Consumer<AssembledMemory> onClosed)
            throws MembackingException {
        Assembly assembly = new Assembly(plan, host);
        try {
            return assembly.run(managers, onClosed);
        } catch (MembackingException | RuntimeException | Error e) {
            assembly.undo(e);
            throw e;
        }
    }

    private AssembledMemory run(RegionManagers managers, Consumer<AssembledMemory> onClosed)
            throws MembackingException {
        List<ManagedBacking> backings = new ArrayList<>();
        for (PlannedBacking planned : plan.backings()) {
            backings.add(take(planned));
        }
        RegionManager regions = managers.create(plan.guest(), plan.size());
        undo.push(regions::close);
        backings.forEach(managed -> regions.addBacking(managed.backing()));

        Change change = regions.change("lay out RAM");
        List<RegionId> ids = new ArrayList<>();
        for (Placement placement : plan.regions()) {
            ManagedBacking managed = backings.get(placement.backing());
            RegionId id = change.add(RAM, placement.range(), RAM_PRIORITY, RegionKind.RAM);
            change.addMapping(
                    id,
                    MemoryRange.ofLength(0, placement.range().length()),
                    managed.backing().id(),
                    placement.offset(),
                    true);
            change.map(id, new MapParameters(true, true, managed.choice().prefetch()));
            ids.add(id);
        }
        JournalEntry entry = change.commit();
        return new AssembledMemory(plan, host, regions, backings, ids, entry.warnings(), onClosed);
    }

    /** Makes or adopts a backing and claims it, so that nobody else manages what this guest runs on. */
    private ManagedBacking take(PlannedBacking planned) throws AllocationException {
        BackingChoice choice = planned.choice();
        Backing existing = choice.existingOrNull();
        Backing backing = existing != null
                ? host.duplicate(existing)
                : host.allocate(new BackingRequest(
                        planned.name(),
                        choice.kind(),
                        planned.size(),
                        choice.hugePageSize(),
                        choice.transparentHugePages(),
                        choice.hostNode()));
        undo.push(backing::close);
        Backing.Claim claim = backing.claim(plan.guest());
        undo.push(claim::close);
        return new ManagedBacking(backing, claim, choice);
    }

    private void undo(Throwable cause) {
        for (Runnable step : undo) {
            try {
                step.run();
            } catch (RuntimeException e) {
                // One that fails must not keep the others from being given back.
                cause.addSuppressed(e);
            }
        }
    }
}
