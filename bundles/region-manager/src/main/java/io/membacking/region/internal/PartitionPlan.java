package io.membacking.region.internal;

import io.membacking.range.MemoryRange;
import io.membacking.region.Step;
import io.membacking.region.internal.Consumers.AttachmentView;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * What a change takes in one partition.
 *
 * @param replaced where the VA space changes under what stays mapped, a list for each change of it
 */
record PartitionPlan(AttachmentView view, Run.Change runs, List<List<MemoryRange>> replaced) {

    /** @param disturbed what stays, but is inaccessible while the VA space changes beside it */
    static PartitionPlan of(
            AttachmentView view,
            RangeTree<Run> mapped,
            Run.Change change,
            List<Step.ChangeVa> va,
            List<MemoryRange> disturbed) {
        Run.Change runs = view.followsHostRemapping() ? change : change.renewing(disturbed, mapped);
        List<MemoryRange> changed = new ArrayList<>();
        for (Step.ChangeVa step : va) {
            if (step.before() != null) {
                changed.add(step.range());
            }
        }
        changed.addAll(disturbed);
        List<List<MemoryRange>> replaced = new ArrayList<>();
        Set<Run> gone = new HashSet<>(runs.gone());
        for (MemoryRange range : changed) {
            List<MemoryRange> parts = mapped.overlapping(range).stream()
                    .filter(run -> !gone.contains(run))
                    .map(run -> run.range().intersection(range).orElseThrow())
                    .toList();
            if (!parts.isEmpty()) {
                replaced.add(parts);
            }
        }
        return new PartitionPlan(view, runs, replaced);
    }

    /** Everything, into an empty partition. */
    static PartitionPlan all(AttachmentView view, RangeTree<Run> runs) {
        return new PartitionPlan(view, new Run.Change(List.of(), runs.values()), List.of());
    }

    /**
     * Whether its guest could see a hole or a mixture: it would see more than one step, or one that is not atomic.
     *
     * @param replacesInPlace whether changing the VA space is atomic for the guest
     */
    boolean mustHold(boolean replacesInPlace) {
        int steps = (runs.gone().size() + runs.come().size()) * view.offsets().size() + replaced.size();
        return steps > 1 || (!replaced.isEmpty() && !replacesInPlace);
    }

    /** What comes before the VA space changes. */
    List<Step> taking() {
        List<Step> steps = new ArrayList<>();
        replaced.forEach(parts -> parts.forEach(part -> pins(part).forEach(pin -> steps.add(inverse(pin)))));
        for (Run run : runs.gone()) {
            pins(run.range()).forEach(pin -> steps.add(inverse(pin)));
            maps(run).forEach(map -> steps.add(inverse(map)));
        }
        return steps;
    }

    /** What comes after it. */
    List<Step> giving() {
        List<Step> steps = new ArrayList<>();
        runs.come().forEach(run -> steps.addAll(maps(run)));
        runs.come().forEach(run -> steps.addAll(pins(run.range())));
        replaced.forEach(parts -> parts.forEach(part -> steps.addAll(pins(part))));
        return steps;
    }

    private List<Step> maps(Run run) {
        List<Step> steps = new ArrayList<>();
        for (long offset : view.offsets()) {
            steps.add(new Step.PartitionMap(
                    view.name(),
                    run.range().shift(offset),
                    run.range().start(),
                    run.writable(),
                    run.executable(),
                    run.memory()));
        }
        return steps;
    }

    private List<Step> pins(MemoryRange range) {
        return switch (view.pinning()) {
            case NONE -> List.of();
            // The same host memory, however often it is mapped.
            case HOST_MEMORY -> List.of(new Step.Pin(view.name(), range, range.start()));
            case PARTITION -> {
                List<Step> steps = new ArrayList<>();
                for (long offset : view.offsets()) {
                    steps.add(new Step.Pin(view.name(), range.shift(offset), range.start()));
                }
                yield steps;
            }
        };
    }

    private static Step inverse(Step step) {
        return step.inverse().orElseThrow();
    }
}
