package io.membacking.memory.internal;

import static io.membacking.memory.internal.Rig.PAGE;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.host.Backing;
import io.membacking.host.BackingRequest;
import io.membacking.region.RegionManager;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class BorrowedBackingsTest {
    private final Rig rig = new Rig();

    @AfterEach
    void close() {
        rig.close();
    }

    private Backing backing() throws Exception {
        return rig.host.allocate(BackingRequest.shared("b", PAGE));
    }

    @Test
    void whatACommitUnderWayCountsOnIsNotForgottenByOthers() throws Exception {
        RegionManager regions = rig.regions.create("g", PAGE);
        BorrowedBackings borrowed = new BorrowedBackings(regions, List.of());
        Backing underWay = backing();
        borrowed.borrow(underWay);
        Backing first = backing();
        borrowed.borrow(first);
        borrowed.committed(first);
        for (int i = 0; i <= BorrowedBackings.KEPT; i++) {
            Backing other = backing();
            borrowed.borrow(other);
            borrowed.committed(other);
        }
        assertEquals(Optional.empty(), regions.backing(first.id()));
        assertTrue(regions.backing(underWay.id()).isPresent());
        borrowed.borrow(first);
        assertTrue(regions.backing(first.id()).isPresent());
    }

    @Test
    void whatSomebodyElseMadeKnownIsTheirsToForget() throws Exception {
        RegionManager regions = rig.regions.create("g", PAGE);
        BorrowedBackings borrowed = new BorrowedBackings(regions, List.of());
        Backing theirs = backing();
        regions.addBacking(theirs);
        for (int i = 0; i <= 2 * BorrowedBackings.KEPT; i++) {
            Backing other = i == 0 ? theirs : backing();
            borrowed.borrow(other);
            borrowed.committed(other);
        }
        assertTrue(regions.backing(theirs.id()).isPresent());
    }
}
