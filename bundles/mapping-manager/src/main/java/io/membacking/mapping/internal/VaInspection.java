package io.membacking.mapping.internal;

import io.membacking.inspect.Inspectable;
import io.membacking.inspect.Inspection;
import io.membacking.mapping.HeldMemory;
import io.membacking.mapping.MappingManager;

/** Shows a guest's VA space as {@code va}. */
final class VaInspection implements Inspectable {
    private final MappingManager manager;

    VaInspection(MappingManager manager) {
        this.manager = manager;
    }

    @Override
    public void inspect(Inspection guest) {
        guest.child("va", va -> {
            va.hex("size", manager.size()).hostAddress("base", manager.base());
            MappingManager.Counters counters = manager.counters();
            va.counter("transitions", counters.transitions())
                    .counter("drain_ns", counters.drainNanos())
                    .counter("waits", counters.waits());
            va.child("held", held -> manager.held().forEach(piece -> show(held, piece)));
        });
    }

    private static void show(Inspection held, HeldMemory piece) {
        held.child(piece.range().toString(), node -> node.number("backing", piece.backing())
                .hex("offset", piece.backingOffset()));
    }
}
