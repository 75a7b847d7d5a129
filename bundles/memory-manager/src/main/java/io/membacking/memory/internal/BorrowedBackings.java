package io.membacking.memory.internal;

import io.membacking.host.Backing;
import io.membacking.region.RegionInfo.MappingInfo;
import io.membacking.region.RegionManager;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * The backings that device memory maps: known to the region manager from the first mapping on, and forgotten some time after the
 * last one has gone, so that a guest that maps and unmaps files for days does not collect them. Which of them are still mapped is
 * looked up only when they have become twice as many, so that mapping does not pay for how many there are. Thread-safe.
 */
final class BorrowedBackings {
    static final int KEPT = 64;

    private final RegionManager regions;

    /** The guest's own RAM, known as long as the guest lives. */
    private final Set<Long> own;

    /** Ids of what was made known here, with the number of commits under way that count on it. Guarded by this. */
    private final Map<Long, Integer> known = new HashMap<>();

    private int limit = KEPT;

    BorrowedBackings(RegionManager regions, List<ManagedBacking> ram) {
        this.regions = regions;
        own = ram.stream().map(managed -> managed.backing().id()).collect(Collectors.toSet());
    }

    /** Makes it known, and keeps it so until {@link #committed}. */
    synchronized void borrow(Backing backing) {
        long id = backing.id();
        if (own.contains(id)) {
            return;
        }
        if (!known.containsKey(id)) {
            if (regions.backing(id).isPresent()) {
                return; // somebody made it known at the region manager directly, and forgets it there
            }
            regions.addBacking(backing);
        }
        known.merge(id, 1, Integer::sum);
    }

    /** Ends {@link #borrow}, whether the commit went well or not. */
    synchronized void committed(Backing backing) {
        known.computeIfPresent(backing.id(), (id, commits) -> commits - 1);
        if (known.size() > limit) {
            forgetUnused();
        }
    }

    private void forgetUnused() {
        Set<Long> used = new HashSet<>();
        try {
            regions.regions()
                    .forEach(region ->
                            region.mappings().stream().map(MappingInfo::backing).forEach(used::add));
            for (Iterator<Map.Entry<Long, Integer>> all = known.entrySet().iterator(); all.hasNext(); ) {
                Map.Entry<Long, Integer> one = all.next();
                if (one.getValue() == 0 && !used.contains(one.getKey())) {
                    regions.removeBacking(one.getKey());
                    all.remove();
                }
            }
        } catch (IllegalStateException e) {
            // The guest was closed meanwhile, or somebody maps what was borrowed here at the region manager directly.
        }
        limit = Math.max(KEPT, 2 * known.size());
    }
}
