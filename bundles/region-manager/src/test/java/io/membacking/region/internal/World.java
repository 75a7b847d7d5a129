package io.membacking.region.internal;

import io.membacking.host.Backing;
import io.membacking.host.BackingKind;
import io.membacking.mapping.MappingManager;
import io.membacking.partition.Capabilities;
import io.membacking.range.MemoryRange;
import io.membacking.region.AttachRequest;
import io.membacking.region.Attachment;
import io.membacking.region.DriftReport;
import io.membacking.region.MapParameters;
import io.membacking.region.RegionId;
import io.membacking.region.RegionKind;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;

/** A region manager over doubles. Pages are counted from 0. */
final class World {
    static final long PAGE = MemoryRange.PAGE_SIZE;
    static final long SHARED = 1;
    static final long OTHER = 2;
    static final long PRIVATE = 3;
    static final MapParameters WRITABLE = MapParameters.RAM;
    static final MapParameters READ_ONLY = MapParameters.READ_ONLY;

    final Faults faults = new Faults();
    final RecordingSpace space;
    final TestSpace anySpace;
    final List<Backing> backings;
    final GuestRegionManager manager;
    final List<RecordingPartition> partitions = new ArrayList<>();
    final List<RecordingGate> gates = new ArrayList<>();
    final List<RecordingTarget> targets = new ArrayList<>();

    World(int pages) {
        this(pages, true);
    }

    World(int pages, boolean replacesInPlace) {
        space = new RecordingSpace(faults, pages * PAGE, replacesInPlace);
        anySpace = space;
        backings = List.of(
                new TestBacking(SHARED, BackingKind.SHARED, 1024 * PAGE),
                new TestBacking(OTHER, BackingKind.SHARED, 1024 * PAGE),
                new TestBacking(PRIVATE, BackingKind.PRIVATE, 1024 * PAGE));
        manager = new GuestRegionManager(space, () -> {}, closed -> {});
        backings.forEach(manager::addBacking);
    }

    /** Over a real VA space, with two shared backings and a private one. */
    World(MappingManager real, List<Backing> backings) {
        space = null;
        anySpace = new FaultySpace(faults, real);
        this.backings = backings;
        manager = new GuestRegionManager(anySpace, () -> {}, closed -> {});
        backings.forEach(manager::addBacking);
    }

    static MemoryRange pages(int from, int to) {
        return new MemoryRange(from * PAGE, to * PAGE);
    }

    static Capabilities following() {
        return RecordingPartition.capabilities(true, true, false, false, 40);
    }

    static Capabilities notFollowing() {
        return RecordingPartition.capabilities(false, true, false, true, 40);
    }

    Attachment attach(String name, Capabilities capabilities) throws Exception {
        return attach(name, capabilities, 0, OptionalLong.empty(), false);
    }

    Attachment attach(String name, Capabilities capabilities, int vtl, OptionalLong alias, boolean pin)
            throws Exception {
        RecordingPartition partition = new RecordingPartition(faults, anySpace, name, capabilities);
        RecordingGate gate = new RecordingGate(faults, name);
        partitions.add(partition);
        gates.add(gate);
        return manager.attach(new AttachRequest(name, partition, gate, vtl, alias, pin, OptionalLong.empty()));
    }

    RecordingTarget register(String name, boolean requiresDescriptor) throws Exception {
        RecordingTarget target = new RecordingTarget(faults, name, requiresDescriptor);
        manager.addDmaTarget(target);
        targets.add(target);
        return target;
    }

    /** A region full of one backing, mapped unless {@code access} is null. */
    RegionId region(
            String name, MemoryRange range, int priority, long backing, long backingOffset, MapParameters access)
            throws Exception {
        var change = manager.change("add " + name);
        RegionId id = change.add(name, range, priority, RegionKind.RAM);
        change.addMapping(id, MemoryRange.ofLength(0, range.length()), backing, backingOffset, true);
        if (access != null) {
            change.map(id, access);
        }
        change.commit();
        return id;
    }

    RegionId ram(int from, int to) throws Exception {
        return region("ram", pages(from, to), 255, SHARED, from * PAGE, WRITABLE);
    }

    void checkClean() {
        DriftReport report = manager.checkDrift();
        if (!report.clean()) {
            throw new AssertionError("drift: " + report);
        }
        if (!faults.violations().isEmpty()) {
            throw new AssertionError("broken contracts: " + faults.violations());
        }
        if (anySpace.inTransition()) {
            throw new AssertionError("a transition was left open");
        }
        for (RecordingGate gate : gates) {
            if (gate.isHeld() && gate.detached().isEmpty()) {
                throw new AssertionError("processors were left held");
            }
        }
    }

    /** Everything that anyone outside could see. */
    String picture() {
        StringBuilder picture = new StringBuilder();
        picture.append(manager.regions()).append('\n');
        picture.append(manager.flatView()).append('\n');
        picture.append(anySpace.held()).append('\n').append(anySpace.snapshot()).append('\n');
        for (RecordingPartition partition : partitions) {
            picture.append(partition.name()).append(partition.view());
            partition.mappings().forEach(m -> picture.append(m.range()).append(m.writable()));
            picture.append('\n');
        }
        targets.forEach(target -> picture.append(target.mappings()).append('\n'));
        return picture.toString();
    }
}
