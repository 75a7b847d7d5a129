package io.membacking.region.internal;

import io.membacking.mapping.HeldMemory;
import io.membacking.region.FlatPiece;

/**
 * Everything that a commit changes, as one immutable value: a commit that fails leaves the old one in place, and readers see one
 * or the other, whole.
 *
 * @param flat the flat view, by guest-physical address
 * @param held what the VA space holds, neighbours with contiguous backing as one
 * @param byAccess what consumers of {@link Run.Grain#ACCESS} hold
 * @param byBacking what consumers of {@link Run.Grain#BACKING} hold
 * @param dma what consumers of {@link Run.Grain#DMA} hold
 */
record GuestState(
        RegionTable regions,
        RangeTree<FlatPiece> flat,
        RangeTree<HeldMemory> held,
        RangeTree<Run> byAccess,
        RangeTree<Run> byBacking,
        RangeTree<Run> dma) {
    static final GuestState EMPTY = new GuestState(
            RegionTable.EMPTY,
            RangeTree.empty(),
            RangeTree.empty(),
            RangeTree.empty(),
            RangeTree.empty(),
            RangeTree.empty());

    RangeTree<Run> runs(Run.Grain grain) {
        return switch (grain) {
            case ACCESS -> byAccess;
            case BACKING -> byBacking;
            case DMA -> dma;
        };
    }

    GuestState withHeld(RangeTree<HeldMemory> newHeld) {
        return new GuestState(regions, flat, newHeld, byAccess, byBacking, dma);
    }
}
