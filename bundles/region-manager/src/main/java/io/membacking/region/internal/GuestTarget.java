package io.membacking.region.internal;

import io.membacking.dma.DmaTarget;
import io.membacking.region.RegionManager;
import io.membacking.region.Step;
import io.membacking.region.internal.Consumers.TargetView;
import java.util.List;

/**
 * One DMA target of a guest, and what it was given: it cannot be asked. Its state changes under the
 * guest's change lock and may be read by anyone.
 */
final class GuestTarget implements RegionManager.DmaRegistration {
    private final GuestRegionManager manager;
    private final DmaTarget target;
    private final TargetView view;
    private volatile RangeTree<Step.DmaMap> given = RangeTree.empty();

    GuestTarget(GuestRegionManager manager, DmaTarget target) {
        this.manager = manager;
        this.target = target;
        this.view = new TargetView(target.name(), target.requiresDescriptor());
    }

    TargetView view() {
        return view;
    }

    String name() {
        return view.name();
    }

    DmaTarget target() {
        return target;
    }

    void gave(Step.DmaMap map) {
        given = given.with(map.memory().range(), map);
    }

    void took(Step.DmaUnmap unmap) {
        given = given.without(unmap.memory().range());
    }

    /** In order of address. */
    List<Step.DmaMap> given() {
        return given.values();
    }

    @Override
    public void close() {
        manager.unregister(this);
    }
}
