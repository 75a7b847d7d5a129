package io.membacking.region.internal;

import io.membacking.dma.DmaMapping;
import io.membacking.error.AttachException;
import io.membacking.error.AttachException.Stage;
import io.membacking.error.Failure;
import io.membacking.error.HostMappingException;
import io.membacking.error.MembackingException;
import io.membacking.mapping.AccessPiece;
import io.membacking.mapping.HeldMemory;
import io.membacking.mapping.MappingManager;
import io.membacking.range.MemoryRange;
import io.membacking.region.Attachment.Achieved;
import io.membacking.region.Attachment.Effect;
import io.membacking.region.JournalEntry;
import io.membacking.region.Plan;
import io.membacking.region.Step;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * One plan being carried out: its steps in order or, if one fails, those done undone in reverse. A consumer that cannot be put
 * back is detached alone. Whatever a consumer throws, but for an error of the virtual machine, is its failure and nobody else's.
 * Used once, under the guest's change lock.
 */
final class Execution {
    private final Plan plan;
    private final GuestState before;
    private final MappingManager mappings;
    private final Backings backings;
    private final HostLocks locks;
    private final Detacher detacher;
    private final Map<String, GuestAttachment> attachments = new HashMap<>();
    private final Map<String, GuestTarget> targets = new HashMap<>();
    private final Deadline deadline;

    private final Deque<Step> done = new ArrayDeque<>();
    private final Set<GuestAttachment> held = new LinkedHashSet<>();
    private final Set<GuestAttachment> lostAttachments = new LinkedHashSet<>();
    private final Set<GuestTarget> lostTargets = new LinkedHashSet<>();
    private final List<MemoryRange> emptied = new ArrayList<>();
    private final List<MemoryRange> lostFromView = new ArrayList<>();
    private final List<String> warnings = new ArrayList<>();
    private final Map<String, String> prefetchFailures = new HashMap<>();
    private MappingManager.@Nullable Transition transition;

    /**
     * @param before the state that the plan begins with
     * @param consumers those that the plan may name, whole
     */
    Execution(
            Plan plan,
            GuestState before,
            MappingManager mappings,
            Backings backings,
            HostLocks locks,
            List<GuestAttachment> consumers,
            List<GuestTarget> dmaTargets,
            Deadline deadline) {
        this.plan = plan;
        this.before = before;
        this.mappings = mappings;
        this.backings = backings;
        this.locks = locks;
        this.detacher = new Detacher(locks, warnings);
        this.deadline = deadline;
        consumers.forEach(attachment -> attachments.put(attachment.name(), attachment));
        dmaTargets.forEach(target -> targets.put(target.name(), target));
    }

    /**
     * How it went.
     *
     * @param failure null if every step was done
     * @param emptied parts of the VA space that could not be put back and hold nothing now
     * @param lostTargets DMA targets that could not be put back; attachments say so themselves
     */
    record Result(
            @Nullable MembackingException failure,
            JournalEntry.Outcome outcome,
            List<String> warnings,
            List<MemoryRange> emptied,
            Set<GuestTarget> lostTargets) {}

    Result run() {
        MembackingException failure = null;
        try {
            try {
                for (Step step : plan.steps()) {
                    if (step instanceof Step.HoldProcessors hold) {
                        hold(hold);
                    }
                }
                begin();
                for (Step step : plan.steps()) {
                    if (perform(step)) {
                        done.push(step);
                    }
                }
                publish(List.of());
                recordPrefetch();
            } catch (MembackingException e) {
                failure = e;
                undo();
                leave();
            } catch (VirtualMachineError e) {
                undo(); // as far as the virtual machine still can
                leave();
                throw e;
            }
        } finally {
            // After an error of the virtual machine, too, nobody may be left waiting.
            abandon();
            held.forEach(attachment -> detacher.quietly(
                    "let the processors of attachment '" + attachment.name() + "' go", attachment.gate()::release));
        }
        boolean loss = !lostAttachments.isEmpty() || !lostTargets.isEmpty() || !lostFromView.isEmpty();
        JournalEntry.Outcome outcome = failure == null
                ? JournalEntry.Outcome.COMMITTED
                : loss ? JournalEntry.Outcome.UNDONE_WITH_LOSS : JournalEntry.Outcome.UNDONE;
        return new Result(failure, outcome, warnings, emptied, lostTargets);
    }

    /** Opens the transition before anything is done that would have to be undone: afterwards it could fail where nothing may. */
    private void begin() throws MembackingException {
        List<MemoryRange> pieces = List.of();
        boolean passesReaders = false;
        for (Step step : plan.steps()) {
            if (step instanceof Step.DrainReaders drain) {
                pieces = drain.pieces();
            }
            passesReaders |= step instanceof Step.DrainReaders
                    || step instanceof Step.ChangeVa
                    || step instanceof Step.ReleaseVa
                    || step instanceof Step.PublishSnapshot;
        }
        if (passesReaders) {
            List<MemoryRange> drained = pieces;
            transition = va(
                    "drain readers",
                    drained.isEmpty() ? null : drained.get(0),
                    () -> mappings.begin(drained, deadline.left()));
        }
    }

    /** @return whether it was done and has to be undone if a later one fails */
    private boolean perform(Step step) throws MembackingException {
        if (step instanceof Step.HoldProcessors || step instanceof Step.DrainReaders) {
            return false; // done first of all; processors are let go in any case
        } else if (step instanceof Step.DmaUnmap unmap) {
            return unmap(unmap);
        } else if (step instanceof Step.DmaMap map) {
            return map(map);
        } else if (step instanceof Step.PartitionUnmap unmap) {
            return partition(unmap.attachment(), "unmap memory", unmap.range(), a -> a.partition()
                    .unmap(unmap.range()));
        } else if (step instanceof Step.PartitionMap map) {
            return partition(map.attachment(), "map memory", map.range(), a -> a.partition()
                    .map(a.mapping(map.range(), map.memoryGpa(), map.writable(), map.executable(), map.memory())));
        } else if (step instanceof Step.Unpin unpin) {
            return unpin(unpin);
        } else if (step instanceof Step.Pin pin) {
            return pin(pin);
        } else if (step instanceof Step.ChangeVa change) {
            changeVa(change.range(), change.after());
            return true;
        } else if (step instanceof Step.Prefetch prefetch) {
            prefetch(prefetch);
            return false;
        } else if (step instanceof Step.ReleaseVa release) {
            detacher.quietly(
                    "release " + release.memory().range(),
                    () -> mappings.release(release.memory().range()));
            return false;
        } else if (step instanceof Step.PublishSnapshot publish) {
            publish(publish.pieces());
            return false;
        }
        throw new IllegalArgumentException("unknown step " + step);
    }

    private void hold(Step.HoldProcessors hold) throws AttachException {
        boolean isHeld = partition(hold.attachment(), "hold the processors", null, attachment -> attachment
                .gate()
                .hold(deadline.left()));
        GuestAttachment attachment = attachments.get(hold.attachment());
        if (isHeld && attachment != null) {
            held.add(attachment);
        }
    }

    private boolean map(Step.DmaMap map) throws AttachException {
        HeldMemory memory = map.memory();
        return dma(map.target(), "map memory", memory.range(), target -> {
            KnownBacking backing = backings.find(memory.backing()).orElseThrow();
            target.target()
                    .map(new DmaMapping(
                            memory.range(),
                            mappings.base() + memory.range().start(),
                            memory.backing(),
                            memory.backingOffset(),
                            backing.backing().descriptor(),
                            map.writable()));
            target.gave(map);
        });
    }

    private boolean unmap(Step.DmaUnmap unmap) throws AttachException {
        return dma(unmap.target(), "unmap memory", unmap.memory().range(), target -> {
            target.target().unmap(unmap.memory().range());
            target.took(unmap);
        });
    }

    private boolean pin(Step.Pin pin) throws AttachException {
        return partition(pin.attachment(), "pin memory", pin.range(), attachment -> {
            if (attachment.view().pinning() == Consumers.Pinning.PARTITION) {
                attachment.partition().pin(pin.range());
            } else {
                locks.lock(attachment.name(), pin.range());
            }
        });
    }

    private boolean unpin(Step.Unpin unpin) throws AttachException {
        return partition(unpin.attachment(), "unpin memory", unpin.range(), attachment -> {
            if (attachment.view().pinning() == Consumers.Pinning.PARTITION) {
                attachment.partition().unpin(unpin.range());
            } else {
                locks.unlock(attachment.name(), unpin.range());
            }
        });
    }

    private void changeVa(MemoryRange range, @Nullable HeldMemory memory) throws HostMappingException {
        va("change the VA space", range, () -> {
            if (memory == null) {
                mappings.release(range);
            } else {
                KnownBacking backing = backings.find(memory.backing()).orElseThrow();
                mappings.map(range, backing.backing(), memory.backingOffset());
            }
            return range;
        });
    }

    /** Failing is a warning: memory that is not populated is memory all the same. */
    private void prefetch(Step.Prefetch prefetch) {
        String name = prefetch.attachmentOrNull();
        try {
            if (name == null) {
                va("prefetch", prefetch.range(), () -> {
                    mappings.prefetch(prefetch.range());
                    return prefetch;
                });
            } else {
                partition(name, "prefetch", prefetch.range(), attachment -> attachment
                        .partition()
                        .prefetch(prefetch.range()));
            }
        } catch (MembackingException e) {
            warnings.add(e.getMessage());
            prefetchFailures.putIfAbsent(name == null ? "" : name, e.getMessage());
        }
    }

    /** What was asked beside what was achieved, for each attachment. */
    private void recordPrefetch() {
        if (plan.steps().stream().noneMatch(Step.Prefetch.class::isInstance)) {
            return;
        }
        String hostFailure = prefetchFailures.get("");
        for (GuestAttachment attachment : attachments.values()) {
            String failure = attachment.view().prefetch()
                    ? prefetchFailures.get(attachment.name())
                    : "the backend cannot populate the partition's own tables";
            Effect effect;
            if (failure == null) {
                effect = new Effect(true, Achieved.PARTITION, "");
            } else if (hostFailure == null) {
                effect = new Effect(true, Achieved.HOST_MEMORY, failure);
            } else {
                effect = new Effect(true, Achieved.NOTHING, hostFailure);
            }
            attachment.prefetched(effect);
        }
    }

    private void publish(List<AccessPiece> pieces) {
        MappingManager.Transition open = transition;
        if (open != null) {
            transition = null;
            detacher.quietly("publish the snapshot", () -> open.publish(pieces));
        }
    }

    private void abandon() {
        MappingManager.Transition open = transition;
        if (open != null) {
            transition = null;
            detacher.quietly("abandon the transition", open::abandon);
        }
    }

    private void undo() {
        while (!done.isEmpty()) {
            Step step = done.pop();
            Optional<Step> inverse = step.inverse();
            if (inverse.isEmpty()) {
                continue;
            }
            try {
                perform(inverse.get());
            } catch (AttachException e) {
                lose(e);
            } catch (MembackingException e) {
                empty(((Step.ChangeVa) inverse.get()).range(), e);
            }
        }
    }

    /** Lets readers in again after a failure: to what was there, or nowhere where that could not be put back. */
    private void leave() {
        if (lostFromView.isEmpty()) {
            abandon();
        } else {
            publish(Pieces.union(lostFromView).stream()
                    .map(range -> new AccessPiece(range, AccessPiece.Access.NONE))
                    .toList());
        }
    }

    private void lose(AttachException failure) {
        GuestTarget target = failure.stage() == Stage.DMA_TARGET ? targets.get(failure.consumer()) : null;
        GuestAttachment attachment = failure.stage() == Stage.DMA_TARGET ? null : attachments.get(failure.consumer());
        if (target != null) {
            lose(target, failure.failure().toString());
        } else if (attachment != null) {
            lose(attachment, failure.failure().toString());
        }
    }

    /**
     * The host could not put back what a part of the VA space held. Wrong memory must not show: the part is emptied, readers are
     * kept out, and whoever has mapped over it loses its memory. Hidden memory is missed by nobody: it is mapped when it shows.
     */
    private void empty(MemoryRange range, MembackingException failure) {
        detacher.quietly("release " + range, () -> mappings.release(range));
        emptied.add(range);
        List<MemoryRange> shown = before.flat().overlapping(range).stream()
                .map(piece -> Pieces.clip(piece, range).range())
                .toList();
        if (shown.isEmpty()) {
            return;
        }
        lostFromView.addAll(shown);
        warnings.add("the VA space holds nothing at " + range + ", where a failed change could not be undone ("
                + failure.getMessage() + "); unmap what lies there and map it again");
        String reason = "what the host held at " + range + " could not be put back: " + failure.getMessage();
        for (GuestAttachment attachment : List.copyOf(attachments.values())) {
            if (!before.runs(attachment.view().grain()).overlapping(range).isEmpty()) {
                lose(attachment, reason);
            }
        }
        if (!before.dma().overlapping(range).isEmpty()) {
            List.copyOf(targets.values()).forEach(target -> lose(target, reason));
        }
    }

    private void lose(GuestAttachment attachment, String problem) {
        if (!lostAttachments.add(attachment)) {
            return;
        }
        String name = "attachment '" + attachment.name() + "'";
        String reason = name + " could not be put back after a failed change: " + problem;
        warnings.add(reason + "; it is detached");
        boolean wasAttached = attachment.attached() && attachment.isMember();
        attachment.detached(reason); // first: closing it from within the gate's callback then does nothing
        if (wasAttached) {
            if (!held.remove(attachment)) {
                detacher.quietly(
                        "hold the processors of " + name,
                        () -> attachment.gate().hold(deadline.left()));
            }
            detacher.quietly(
                    "report the loss to " + name, () -> attachment.gate().detached(reason));
        } else if (held.remove(attachment)) {
            detacher.quietly("let the processors of " + name + " go", attachment.gate()::release);
        }
        detacher.drop(attachment);
    }

    private void lose(GuestTarget target, String problem) {
        if (lostTargets.add(target)) {
            warnings.add("DMA target '" + target.name() + "' could not be put back after a failed change: " + problem
                    + "; it is dropped");
            detacher.drop(target);
        }
    }

    private interface Call<T> {
        T run() throws Exception;
    }

    private interface ConsumerAction<C> {
        void run(C consumer) throws Exception;
    }

    /** @return whether it was done; not if the partition vanished or is lost, which is no failure */
    private boolean partition(
            String name, String operation, @Nullable MemoryRange range, ConsumerAction<GuestAttachment> action)
            throws AttachException {
        GuestAttachment attachment = attachments.get(name);
        if (attachment == null || lostAttachments.contains(attachment) || attachment.vanished()) {
            return false;
        }
        try {
            action.run(attachment);
            return true;
        } catch (Throwable e) {
            rethrowFatal(e);
            if (attachment.vanished()) {
                return false;
            }
            // Pinning may be the host's: locking its memory.
            Stage stage = e instanceof HostMappingException ? Stage.VA_SPACE : Stage.PARTITION;
            throw new AttachException(stage, name, failure(operation + " of attachment '" + name + "'", range, e), e);
        }
    }

    private boolean dma(String name, String operation, MemoryRange range, ConsumerAction<GuestTarget> action)
            throws AttachException {
        GuestTarget target = targets.get(name);
        if (target == null || lostTargets.contains(target)) {
            return false;
        }
        try {
            action.run(target);
            return true;
        } catch (Throwable e) {
            rethrowFatal(e);
            throw new AttachException(
                    Stage.DMA_TARGET, name, failure(operation + " of DMA target '" + name + "'", range, e), e);
        }
    }

    private static <T> T va(String operation, @Nullable MemoryRange range, Call<T> call) throws HostMappingException {
        try {
            return call.run();
        } catch (HostMappingException e) {
            throw e;
        } catch (Throwable e) {
            rethrowFatal(e);
            throw new HostMappingException(failure(operation, range, e), e);
        }
    }

    private static Failure failure(String operation, @Nullable MemoryRange range, Throwable e) {
        if (e instanceof MembackingException known) {
            Failure failure = known.failure();
            return new Failure(operation, range, failure.problem(), failure.remedy(), failure.nativeErrorOrNull());
        }
        return Failure.of(operation, range, "it threw " + e, "");
    }

    private static void rethrowFatal(Throwable e) {
        if (e instanceof VirtualMachineError fatal) {
            throw fatal;
        }
    }
}
