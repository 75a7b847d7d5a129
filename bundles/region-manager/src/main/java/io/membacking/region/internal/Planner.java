package io.membacking.region.internal;

import io.membacking.error.Failure;
import io.membacking.error.LayoutException;
import io.membacking.range.MemoryRange;
import io.membacking.region.FlatPiece;
import io.membacking.region.Plan;
import io.membacking.region.Step;
import io.membacking.region.internal.Consumers.AttachmentView;
import io.membacking.region.internal.Consumers.TargetView;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.UnaryOperator;

/**
 * Decides what a change takes: a pure function from the state of a guest and a draft of its regions to the steps and the state
 * after them. Everything that cannot be is refused here, before anything is touched.
 */
final class Planner {
    private final String guest;
    private final Backings backings;
    private final UnaryOperator<MemoryRange> disturbed;

    /** @param disturbed see {@link io.membacking.mapping.MappingManager#disturbed} */
    Planner(String guest, Backings backings, UnaryOperator<MemoryRange> disturbed) {
        this.guest = guest;
        this.backings = backings;
        this.disturbed = disturbed;
    }

    /**
     * @param after the state when every step has been done
     * @param changed where the flat view becomes another: disjoint, in order
     */
    record Planned(Plan plan, GuestState after, List<MemoryRange> changed) {}

    /** @throws LayoutException if private memory would be lost, moved or met by a target that needs descriptors, or a partition cannot show what is asked */
    Planned change(GuestState state, Draft draft, Consumers consumers) throws LayoutException {
        List<MemoryRange> window = wholePieces(state.flat(), draft.window());
        List<FlatPiece> before = overlapping(state.flat(), window);
        List<FlatPiece> showing = FlatView.render(regions(draft.table(), window), window);
        List<Difference> differences = Difference.between(before, showing);

        checkPrivateMoves(state, draft);
        checkDescriptors(draft, consumers);
        checkReadOnly(differences, consumers);
        List<FlatPiece> coming = differences.stream()
                .map(Difference::after)
                .filter(Objects::nonNull)
                .toList();
        VaChanges va = VaChanges.of(state.held(), coming, showing, window, draft.table(), backings);

        Map<Run.Grain, Run.Change> runs = new EnumMap<>(Run.Grain.class);
        for (Run.Grain grain : Run.Grain.values()) {
            runs.put(grain, Run.change(state.runs(grain), window, showing, grain));
        }
        GuestState after = new GuestState(
                draft.table(),
                replace(state.flat(), before, showing),
                va.applyTo(state.held()),
                Objects.requireNonNull(runs.get(Run.Grain.ACCESS)).applyTo(state.byAccess()),
                Objects.requireNonNull(runs.get(Run.Grain.BACKING)).applyTo(state.byBacking()),
                Objects.requireNonNull(runs.get(Run.Grain.DMA)).applyTo(state.dma()));

        List<MemoryRange> beside = beside(va.changes());
        List<PartitionPlan> partitions = consumers.attachments().stream()
                .map(view -> PartitionPlan.of(
                        view,
                        state.runs(view.grain()),
                        Objects.requireNonNull(runs.get(view.grain())),
                        va.changes(),
                        beside))
                .toList();
        Run.Change dma = Objects.requireNonNull(runs.get(Run.Grain.DMA)).renewing(beside, state.dma());

        List<Step> steps = new ArrayList<>();
        List<MemoryRange> transitions = new ArrayList<>(Difference.transitions(differences));
        if (!beside.isEmpty()) {
            transitions.addAll(beside);
            transitions = Pieces.union(transitions);
        }
        // Processors first: those of a backend in Java are readers, and one that waits for the end of this commit would
        // not leave.
        for (PartitionPlan partition : partitions) {
            if (partition.mustHold(consumers.replacesInPlace())) {
                steps.add(new Step.HoldProcessors(partition.view().name()));
            }
        }
        if (!transitions.isEmpty()) {
            steps.add(new Step.DrainReaders(transitions));
        }
        for (TargetView target : consumers.targets()) {
            dma.gone().forEach(run -> steps.add(dmaMap(target, run).inverse().orElseThrow()));
        }
        partitions.forEach(partition -> steps.addAll(partition.taking()));
        steps.addAll(va.changes());
        for (TargetView target : consumers.targets()) {
            dma.come().forEach(run -> steps.add(dmaMap(target, run)));
        }
        partitions.forEach(partition -> steps.addAll(partition.giving()));
        addPrefetch(draft, after, consumers, steps);
        steps.addAll(va.releases());
        Step.PublishSnapshot publish = new Step.PublishSnapshot(Difference.access(differences, va.filled()));
        if (!transitions.isEmpty() || !publish.pieces().isEmpty()) {
            steps.add(publish);
        }
        return new Planned(
                new Plan(guest, steps),
                after,
                Pieces.union(differences.stream().map(Difference::range).toList()));
    }

    /** What stays, but is inaccessible while the VA space changes: nothing where the host can cut a mapping. */
    private List<MemoryRange> beside(List<Step.ChangeVa> changes) {
        List<MemoryRange> changed = changes.stream().map(Step.ChangeVa::range).toList();
        List<MemoryRange> all = Pieces.union(changed.stream().map(disturbed).toList());
        return all.equals(changed) ? List.of() : Pieces.subtract(all, Pieces.union(changed));
    }

    /** Replays the flat view into a partition; and makes the VA space hold it, where an earlier failure left it empty. */
    Planned attach(GuestState state, AttachmentView attachment) throws LayoutException {
        List<Step> given =
                PartitionPlan.all(attachment, state.runs(attachment.grain())).giving();
        return replay(state, given);
    }

    /** As {@link #attach}, for a DMA target. */
    Planned register(GuestState state, TargetView target) throws LayoutException {
        return replay(
                state,
                state.dma().values().stream()
                        .map(run -> (Step) dmaMap(target, run))
                        .toList());
    }

    private Planned replay(GuestState state, List<Step> given) throws LayoutException {
        List<FlatPiece> flat = state.flat().values();
        VaChanges va = new VaChanges(VaChanges.changes(state.held(), flat, backings), List.of());
        List<Step> steps = new ArrayList<>(va.changes());
        steps.addAll(given);
        List<MemoryRange> healed =
                Pieces.union(va.changes().stream().map(Step.ChangeVa::range).toList());
        if (!healed.isEmpty()) {
            List<FlatPiece> back = new ArrayList<>();
            for (MemoryRange range : healed) {
                state.flat().overlapping(range).forEach(piece -> back.add(Pieces.clip(piece, range)));
            }
            steps.add(new Step.PublishSnapshot(Difference.accessOf(back)));
        }
        return new Planned(new Plan(guest, steps), state.withHeld(va.applyTo(state.held())), List.of());
    }

    private static Step.DmaMap dmaMap(TargetView target, Run run) {
        return new Step.DmaMap(target.name(), Objects.requireNonNull(run.memory()), run.writable());
    }

    /** Prefetch is an action: done only when asked for, where the regions show once all is done. */
    private static void addPrefetch(Draft draft, GuestState after, Consumers consumers, List<Step> steps) {
        List<MemoryRange> shown = new ArrayList<>();
        for (Region region : draft.prefetched()) {
            after.flat().overlapping(region.range()).stream()
                    .filter(piece -> piece.region().equals(region.id()))
                    .forEach(piece -> shown.add(piece.range()));
        }
        List<MemoryRange> ranges = Pieces.union(shown);
        ranges.forEach(range -> steps.add(new Step.Prefetch(null, range)));
        for (AttachmentView view : consumers.attachments()) {
            if (view.prefetch()) {
                for (MemoryRange range : ranges) {
                    for (Run run : after.runs(view.grain()).overlapping(range)) {
                        MemoryRange part = run.range().intersection(range).orElseThrow();
                        view.offsets().forEach(offset -> steps.add(new Step.Prefetch(view.name(), part.shift(offset))));
                    }
                }
            }
        }
    }

    /** The window widened to whole pieces of the flat view and to those that only touch it. */
    static List<MemoryRange> wholePieces(RangeTree<FlatPiece> flat, List<MemoryRange> window) {
        List<MemoryRange> whole = new ArrayList<>(window);
        for (MemoryRange part : window) {
            flat.touching(part).forEach(piece -> whole.add(piece.range()));
        }
        return Pieces.union(whole);
    }

    private static List<FlatPiece> overlapping(RangeTree<FlatPiece> flat, List<MemoryRange> window) {
        List<FlatPiece> pieces = new ArrayList<>();
        window.forEach(part -> pieces.addAll(flat.overlapping(part)));
        return pieces;
    }

    private static List<Region> regions(RegionTable table, List<MemoryRange> window) {
        Map<Integer, Region> regions = new LinkedHashMap<>();
        for (MemoryRange part : window) {
            table.overlapping(part).forEach(region -> regions.put(region.id().number(), region));
        }
        return List.copyOf(regions.values());
    }

    private static RangeTree<FlatPiece> replace(
            RangeTree<FlatPiece> flat, List<FlatPiece> before, List<FlatPiece> after) {
        Set<FlatPiece> unchanged = Set.of();
        if (!before.isEmpty() && !after.isEmpty()) {
            unchanged = new HashSet<>(before);
            unchanged.retainAll(new HashSet<>(after));
        }
        RangeTree<FlatPiece> result = flat;
        for (FlatPiece piece : before) {
            result = unchanged.contains(piece) ? result : result.without(piece.range());
        }
        for (FlatPiece piece : after) {
            result = unchanged.contains(piece) ? result : result.with(piece.range(), piece);
        }
        return result;
    }

    private void checkPrivateMoves(GuestState state, Draft draft) throws LayoutException {
        for (Draft.PrivateMove move : draft.privateMoves()) {
            MemoryRange from = move.from().memory();
            for (var held : state.held().overlapping(from)) {
                if (backings.isPrivate(held.backing())) {
                    throw new LayoutException(Failure.of(
                            "place private memory of region "
                                    + move.to().region().id(),
                            move.to().memory(),
                            "it is at " + from + " already, and " + backings.name(held.backing())
                                    + " cannot be moved with its contents",
                            "use shared memory, or remove the mapping in a change of its own and lose the contents"));
                }
            }
        }
    }

    private static void checkDescriptors(Draft draft, Consumers consumers) throws LayoutException {
        for (AttachmentView attachment : consumers.attachments()) {
            if (attachment.remote() && draft.addsPrivateMemory()) {
                throw new LayoutException(Failure.of(
                        "map private memory",
                        draft.window().stream().findFirst().orElse(null),
                        "attachment '" + attachment.name() + "' maps through another process",
                        "use shared memory, or detach it first"));
            }
        }
        for (TargetView target : consumers.targets()) {
            if (target.requiresDescriptor() && draft.addsPrivateMemory()) {
                throw new LayoutException(Failure.of(
                        "map private memory",
                        draft.window().stream().findFirst().orElse(null),
                        "DMA target '" + target.name() + "' needs memory with a descriptor",
                        "use shared memory, or close the target's registration first"));
            }
        }
    }

    private static void checkReadOnly(List<Difference> differences, Consumers consumers) throws LayoutException {
        for (AttachmentView view : consumers.attachments()) {
            if (view.readOnlyMemory()) {
                continue;
            }
            for (Difference difference : differences) {
                FlatPiece after = difference.after();
                if (after != null && !after.writable()) {
                    throw new LayoutException(Failure.of(
                            "show region " + after.region() + " read-only",
                            difference.range(),
                            "the backend of attachment '" + view.name() + "' has no read-only memory",
                            "map it writable or not at all, or use another backend"));
                }
            }
        }
    }
}
