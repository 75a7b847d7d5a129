package io.membacking.mapping.internal;

import io.membacking.inspect.Inspectable;
import io.membacking.inspect.Inspection;
import io.membacking.mapping.HeldMemory;
import io.membacking.mapping.MappingManager;
import java.util.List;

/** Shows a guest's VA space as {@code va}. */
final class VaInspection implements Inspectable {
    private final MappingManager manager;

    VaInspection(MappingManager manager) {
        this.manager = manager;
    }

    @Override
    public void inspect(Inspection guest) {
        guest.child("va", this::inspectSpace);
    }

    private void inspectSpace(Inspection va) {
        long base;
        List<HeldMemory> pieces;
        try {
            base = manager.base();
            pieces = manager.held();
        } catch (IllegalStateException e) { // closed since it was found
            va.text("state", "closed");
            return;
        }
        MappingManager.Counters counters = manager.counters();
        va.hex("size", manager.size())
                .hostAddress("base", base)
                .counter("transitions", counters.transitions())
                .counter("drain_ns", counters.drainNanos())
                .counter("waits", counters.waits())
                .child("held", held -> pieces.forEach(piece -> show(held, piece)));
    }

    private static void show(Inspection held, HeldMemory piece) {
        held.child(piece.range().toString(), node -> node.number("backing", piece.backing())
                .hex("offset", piece.backingOffset()));
    }
}
