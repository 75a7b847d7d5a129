package io.membacking.region.internal;

import io.membacking.inspect.Inspectable;
import io.membacking.inspect.Inspection;
import io.membacking.mapping.MappingManager;
import io.membacking.region.Attachment;
import io.membacking.region.FlatPiece;
import io.membacking.region.JournalEntry;
import io.membacking.region.MapParameters;
import io.membacking.region.RegionInfo;
import io.membacking.region.RegionInfo.MappingInfo;
import io.membacking.region.Step;
import java.util.List;

/** Shows one guest's regions in the inspect tree. Takes no lock. */
final class GuestInspection implements Inspectable {
    private final GuestRegionManager manager;

    GuestInspection(GuestRegionManager manager) {
        this.manager = manager;
    }

    @Override
    public void inspect(Inspection inspection) {
        inspection
                .hex("size", manager.size())
                .hostAddress("base", manager.mappings().base())
                .child("regions", this::regions)
                .child("flat-view", this::flatView)
                .child("attachments", this::attachments)
                .child("dma", this::targets)
                .child("journal", this::journal)
                .child("counters", this::counters);
    }

    private void regions(Inspection node) {
        for (RegionInfo region : manager.regions()) {
            node.child(region.id().toString(), child -> {
                child.text("range", region.range().toString())
                        .number("priority", region.priority())
                        .text("kind", region.kind().toString())
                        .text(
                                "mapped",
                                region.mapped().map(GuestInspection::access).orElse("no"))
                        .child("mappings", mappings -> region.mappings()
                                .forEach(mapping ->
                                        mappings.text(mapping.offsets().toString(), text(mapping))));
            });
        }
    }

    private void flatView(Inspection node) {
        for (FlatPiece piece : manager.flatView()) {
            node.text(
                    piece.range().toString(),
                    piece.region() + ", " + (piece.writable() ? "read-write" : "read-only")
                            + (piece.executable() ? ", executable, " : ", ") + manager.backingName(piece.backing())
                            + " from 0x" + Long.toHexString(piece.backingOffset()));
        }
    }

    private void attachments(Inspection node) {
        for (Attachment attachment : manager.attachments()) {
            Attachment.Info info = attachment.info();
            node.child(info.name(), child -> {
                child.text("backend", info.backend()).number("vtl", info.vtl()).bool("attached", info.attached());
                info.aliasOffset().ifPresent(alias -> child.hex("alias-offset", alias));
                if (!info.attached()) {
                    child.text("detached-reason", info.detachedReason());
                }
                effect("pin", info.pin(), child);
                effect("prefetch", info.prefetch(), child);
                child.child("mappings", mappings -> attachment
                        .mappings()
                        .forEach(mapping -> mappings.text(
                                mapping.range().toString(),
                                (mapping.writable() ? "read-write" : "read-only")
                                        + (mapping.executable() ? ", executable" : "") + ", memory at 0x"
                                        + Long.toHexString(mapping.memoryGpa()))));
            });
        }
    }

    private static void effect(String name, Attachment.Effect effect, Inspection node) {
        node.child(name, child -> child.bool("asked", effect.asked())
                .text("achieved", effect.achieved().toString())
                .text("detail", effect.detail()));
    }

    private void targets(Inspection node) {
        for (GuestTarget target : manager.targets()) {
            List<Step.DmaMap> given = target.given();
            node.child(target.name(), child -> child.bool(
                            "requires-descriptor", target.view().requiresDescriptor())
                    .number("mappings", given.size()));
        }
    }

    private void journal(Inspection node) {
        List<JournalEntry> entries = manager.journal();
        node.number("entries", entries.size());
        if (!entries.isEmpty()) {
            JournalEntry last = entries.get(entries.size() - 1);
            node.child("last", child -> {
                child.number("sequence", last.sequence())
                        .text("time", last.time().toString())
                        .number("microseconds", last.took().toNanos() / 1000)
                        .text("reason", last.reason())
                        .text("thread", last.thread())
                        .number("steps", last.plan().steps().size())
                        .text("outcome", last.outcome().toString());
                last.failure().ifPresent(failure -> child.text("failure", failure));
            });
        }
    }

    private void counters(Inspection node) {
        GuestRegionManager.Counters counters = manager.counters();
        MappingManager.Counters readers = manager.mappings().counters();
        node.counter("commits", counters.committed.get())
                .counter("failed-commits", counters.failed.get())
                .counter("lossy-commits", counters.lossy.get())
                .counter("steps", counters.steps.get())
                .counter("holds", counters.holds.get())
                .counter("commit-microseconds", counters.nanos.get() / 1000)
                .counter("transitions", readers.transitions())
                .counter("drain-microseconds", readers.drainNanos() / 1000)
                .counter("reader-waits", readers.waits());
    }

    private static String access(MapParameters parameters) {
        return (parameters.writable() ? "read-write" : "read-only") + (parameters.executable() ? ", executable" : "");
    }

    private String text(MappingInfo mapping) {
        return manager.backingName(mapping.backing()) + " from 0x" + Long.toHexString(mapping.backingOffset())
                + (mapping.writable() ? "" : ", read-only");
    }
}
