package io.membacking.region.internal;

import io.membacking.mapping.AccessPiece;
import io.membacking.mapping.HeldMemory;
import io.membacking.mapping.MappingManager;
import io.membacking.partition.PartitionMapping;
import io.membacking.range.MemoryRange;
import io.membacking.region.DriftReport;
import io.membacking.region.FlatPiece;
import io.membacking.region.Step;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * Compares every view of a guest with its regions: the flat view is rendered afresh, and each of the others is asked what it
 * really has.
 */
final class DriftCheck {
    private final GuestState state;
    private final MappingManager mappings;
    private final List<DriftReport.Difference> differences = new ArrayList<>();

    DriftCheck(GuestState state, MappingManager mappings) {
        this.state = state;
        this.mappings = mappings;
    }

    DriftReport run(List<GuestAttachment> attachments, List<GuestTarget> targets) {
        List<FlatPiece> flat =
                FlatView.render(state.regions().all(), List.of(MemoryRange.ofLength(0, mappings.size())));
        compare("flat view", flat, state.flat().values(), FlatPiece::range, Record::toString);
        heldVersusFlat(flat);
        compare("VA space (book)", state.held().values(), Pieces.joined(mappings.held()));
        compare("VA space (operating system)", Pieces.joined(mappings.held()), Pieces.joined(mappings.observe()));
        compare(
                "snapshot",
                visible(Difference.accessOf(flat)),
                visible(mappings.snapshot()),
                AccessPiece::range,
                p -> p.access().toString());
        attachments.forEach(attachment -> attachment(attachment, flat));
        targets.forEach(target -> target(target, flat));
        return new DriftReport(differences);
    }

    private void heldVersusFlat(List<FlatPiece> flat) {
        for (FlatPiece piece : flat) {
            HeldMemory wanted = Pieces.memory(piece);
            List<HeldMemory> found = state.held().overlapping(piece.range()).stream()
                    .map(memory -> Pieces.clip(memory, piece.range()))
                    .toList();
            if (!found.equals(List.of(wanted))) {
                differences.add(new DriftReport.Difference(
                        "VA space",
                        piece.range(),
                        text(wanted),
                        found.isEmpty()
                                ? "nothing"
                                : found.stream().map(DriftCheck::text).collect(Collectors.joining(", "))));
            }
        }
    }

    private void attachment(GuestAttachment attachment, List<FlatPiece> flat) {
        String where = "attachment " + attachment.name();
        List<PartitionMapping> found;
        try {
            found = attachment.partition().mappings();
        } catch (RuntimeException | LinkageError e) {
            if (!attachment.vanished()) {
                differences.add(new DriftReport.Difference(
                        where, MemoryRange.ofLength(0, mappings.size()), "a list of its mappings", e.toString()));
            }
            return;
        }
        if (!attachment.vanished()) {
            compare(
                    where,
                    attachment.mappings(Run.of(flat, attachment.view().grain())),
                    found,
                    PartitionMapping::range,
                    DriftCheck::text);
        }
    }

    private void target(GuestTarget target, List<FlatPiece> flat) {
        List<Step.DmaMap> expected = Run.of(flat, Run.Grain.DMA).stream()
                .map(run ->
                        new Step.DmaMap(target.name(), java.util.Objects.requireNonNull(run.memory()), run.writable()))
                .toList();
        compare(
                "DMA target " + target.name(),
                expected,
                target.given(),
                map -> map.memory().range(),
                map -> text(map.memory()) + (map.writable() ? " writable" : " read-only"));
    }

    private void compare(String where, List<HeldMemory> expected, List<HeldMemory> found) {
        compare(where, expected, found, HeldMemory::range, DriftCheck::text);
    }

    /** Two lists of pieces, equal where range and text are. */
    private <T> void compare(
            String where,
            List<? extends T> expected,
            List<? extends T> found,
            Function<T, MemoryRange> range,
            Function<T, String> text) {
        Set<Entry> missing = new LinkedHashSet<>();
        expected.forEach(piece -> missing.add(new Entry(range.apply(piece), text.apply(piece))));
        Set<Entry> extra = new LinkedHashSet<>();
        found.forEach(piece -> extra.add(new Entry(range.apply(piece), text.apply(piece))));
        Set<Entry> common = new LinkedHashSet<>(missing);
        common.retainAll(extra);
        missing.removeAll(common);
        extra.removeAll(common);
        for (Entry entry : missing) {
            differences.add(new DriftReport.Difference(where, entry.range, entry.text, over(entry.range, extra)));
        }
        for (Entry entry : extra) {
            if (missing.stream().noneMatch(other -> other.range.overlaps(entry.range))) {
                differences.add(new DriftReport.Difference(where, entry.range, "nothing", entry.text));
            }
        }
    }

    private record Entry(MemoryRange range, String text) {}

    private static String over(MemoryRange range, Set<Entry> entries) {
        String found = entries.stream()
                .filter(entry -> entry.range.overlaps(range))
                .map(entry -> entry.text + " at " + entry.range)
                .collect(Collectors.joining(", "));
        return found.isEmpty() ? "nothing" : found;
    }

    private static List<AccessPiece> visible(List<AccessPiece> pieces) {
        return pieces.stream()
                .filter(piece -> piece.access() != AccessPiece.Access.NONE)
                .toList();
    }

    private static String text(HeldMemory memory) {
        return "backing " + memory.backing() + " from 0x" + Long.toHexString(memory.backingOffset());
    }

    private static String text(PartitionMapping mapping) {
        return "memory at 0x" + Long.toHexString(mapping.memoryGpa()) + ", host address 0x"
                + Long.toHexString(mapping.hva()) + (mapping.writable() ? ", writable" : ", read-only")
                + (mapping.executable() ? ", executable" : "");
    }
}
