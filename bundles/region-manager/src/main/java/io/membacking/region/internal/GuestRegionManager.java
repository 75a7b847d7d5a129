package io.membacking.region.internal;

import io.membacking.dma.DmaTarget;
import io.membacking.error.AttachException;
import io.membacking.error.AttachException.Stage;
import io.membacking.error.Failure;
import io.membacking.error.LayoutException;
import io.membacking.error.MembackingException;
import io.membacking.error.NativeError;
import io.membacking.host.Backing;
import io.membacking.mapping.HeldMemory;
import io.membacking.mapping.MappingManager;
import io.membacking.range.MemoryRange;
import io.membacking.region.AttachRequest;
import io.membacking.region.Attachment;
import io.membacking.region.Change;
import io.membacking.region.DriftReport;
import io.membacking.region.Explanation;
import io.membacking.region.FlatPiece;
import io.membacking.region.JournalEntry;
import io.membacking.region.Plan;
import io.membacking.region.RegionId;
import io.membacking.region.RegionInfo;
import io.membacking.region.RegionManager;
import io.membacking.region.RegionOperation;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * The regions of one guest. Changes pass one at a time, in the order in which they came, under one lock; what a change leaves
 * is an immutable value that everyone else reads without a lock.
 */
final class GuestRegionManager implements RegionManager {
    /** How long a commit waits for readers and processors unless told otherwise. */
    static final Duration DEFAULT_DEADLINE = Duration.ofSeconds(5);

    private final String guest;
    private final MappingManager mappings;
    private final long size;
    private final Runnable closing;
    private final Consumer<GuestRegionManager> afterClose;
    private final Backings backings = new Backings();
    private final Planner planner;
    private final HostLocks locks;
    private final Journal journal = new Journal();
    private final AtomicInteger regionNumbers = new AtomicInteger();
    private final List<GuestAttachment> attachments = new CopyOnWriteArrayList<>();
    private final List<GuestTarget> targets = new CopyOnWriteArrayList<>();
    private final Counters counters = new Counters();
    private final ReentrantLock changing = new ReentrantLock(true);
    private volatile GuestState state = GuestState.EMPTY;
    private volatile boolean closed;

    /** Since the guest was made. */
    static final class Counters {
        final AtomicLong committed = new AtomicLong();
        final AtomicLong failed = new AtomicLong();
        final AtomicLong lossy = new AtomicLong();
        final AtomicLong steps = new AtomicLong();
        final AtomicLong holds = new AtomicLong();
        final AtomicLong nanos = new AtomicLong();
    }

    /**
     * @param mappings the VA space, closed with this
     * @param closing told before anything is closed, perhaps more than once; no lock is held then
     * @param afterClose told once, when everything has been closed
     */
    GuestRegionManager(MappingManager mappings, Runnable closing, Consumer<GuestRegionManager> afterClose) {
        this.guest = mappings.guest();
        this.mappings = mappings;
        this.size = mappings.size();
        this.closing = closing;
        this.afterClose = afterClose;
        this.planner = new Planner(
                guest, backings, mappings.replacesInPlace() ? UnaryOperator.identity() : mappings::disturbed);
        this.locks = new HostLocks(mappings);
    }

    @Override
    public String guest() {
        return guest;
    }

    @Override
    public long size() {
        checkOpen();
        return size;
    }

    @Override
    public MappingManager mappings() {
        checkOpen();
        return mappings;
    }

    GuestState state() {
        return state;
    }

    Counters counters() {
        return counters;
    }

    List<GuestTarget> targets() {
        return targets;
    }

    String backingName(long id) {
        return backings.name(id);
    }

    int nextRegionNumber() {
        return regionNumbers.incrementAndGet();
    }

    void usedRegionNumber(int number) {
        regionNumbers.accumulateAndGet(number, Math::max);
    }

    @Override
    public void addBacking(Backing backing) {
        checkOpen();
        backings.add(KnownBacking.of(backing));
    }

    @Override
    public void removeBacking(long backing) {
        lock("forget backing " + backing);
        try {
            for (Region region : state.regions().all()) {
                if (region.mappings().values().stream().anyMatch(mapping -> mapping.backing() == backing)) {
                    throw new IllegalStateException(
                            backings.name(backing) + " is still mapped in region " + region.id());
                }
            }
            backings.remove(backing);
        } finally {
            changing.unlock();
        }
    }

    @Override
    public Optional<Backing> backing(long id) {
        checkOpen();
        return backings.find(id).map(KnownBacking::backing);
    }

    @Override
    public Change change(String reason) {
        checkOpen();
        return new GuestChange(this, reason);
    }

    @Override
    public List<RegionInfo> regions() {
        checkOpen();
        return state.regions().all().stream().map(Region::info).toList();
    }

    @Override
    public Optional<RegionInfo> region(RegionId id) {
        checkOpen();
        return state.regions()
                .find(id.number())
                .filter(region -> region.id().equals(id))
                .map(Region::info);
    }

    @Override
    public List<FlatPiece> flatView() {
        checkOpen();
        return state.flat().values();
    }

    @Override
    public List<FlatPiece> flatView(MemoryRange range) {
        checkOpen();
        return state.flat().overlapping(range);
    }

    @Override
    public List<Attachment> attachments() {
        checkOpen();
        return List.copyOf(attachments);
    }

    @Override
    public List<JournalEntry> journal() {
        checkOpen();
        return journal.entries();
    }

    /** What committing these operations now would do. Takes no lock and calls nobody. */
    Plan plan(List<RegionOperation> operations) throws LayoutException {
        checkOpen();
        GuestState now = state;
        return planner.change(now, draft(now, operations), consumers()).plan();
    }

    JournalEntry commit(GuestChange change, Duration deadline) throws MembackingException {
        lock("commit '" + change.reason() + "'");
        try {
            return new Commit(change).run(Deadline.in(deadline));
        } finally {
            changing.unlock();
        }
    }

    /** One commit, from the operations to the journal. */
    private final class Commit {
        private final GuestChange change;
        private final Instant time = Instant.now();
        private final long began = System.nanoTime();

        Commit(GuestChange change) {
            this.change = change;
        }

        JournalEntry run(Deadline deadline) throws MembackingException {
            forgetVanished();
            GuestState before = state;
            List<RegionOperation> operations = change.operations();
            Planner.Planned planned;
            try {
                Draft draft = draft(before, operations);
                planned = planner.change(before, draft, consumers());
                if (planned.plan().isEmpty() && draft.changesNothing()) {
                    return entry(0, planned.plan(), JournalEntry.Outcome.COMMITTED, null, List.of());
                }
            } catch (LayoutException e) {
                counters.failed.incrementAndGet();
                Plan none = new Plan(guest, List.of());
                keep(entry(journal.nextSequence(), none, JournalEntry.Outcome.UNDONE, e, List.of()), List.of());
                throw e;
            }
            Execution.Result result = execute(planned.plan(), attached(), targets, deadline);
            if (result.failure() == null) {
                state = planned.after();
            }
            JournalEntry entry = entry(
                    journal.nextSequence(), planned.plan(), result.outcome(), result.failure(), result.warnings());
            keep(entry, result.failure() == null ? planned.changed() : List.of());
            count(planned.plan(), result);
            if (result.failure() != null) {
                throw result.failure();
            }
            return entry;
        }

        private JournalEntry entry(
                long sequence,
                Plan plan,
                JournalEntry.Outcome outcome,
                @Nullable MembackingException failure,
                List<String> warnings) {
            return new JournalEntry(
                    sequence,
                    time,
                    Duration.ofNanos(System.nanoTime() - began),
                    change.reason(),
                    Thread.currentThread().getName(),
                    change.operations(),
                    plan,
                    outcome,
                    failure == null ? null : failure.getMessage(),
                    failure == null
                            ? 0
                            : failure.failure()
                                    .nativeError()
                                    .map(NativeError::code)
                                    .orElse(0),
                    warnings);
        }

        private void keep(JournalEntry entry, List<MemoryRange> changed) {
            journal.add(entry, changed);
        }

        private void count(Plan plan, Execution.Result result) {
            (result.failure() == null ? counters.committed : counters.failed).incrementAndGet();
            if (result.outcome() == JournalEntry.Outcome.UNDONE_WITH_LOSS) {
                counters.lossy.incrementAndGet();
            }
            counters.steps.addAndGet(plan.steps().size());
            counters.holds.addAndGet(plan.steps().stream()
                    .filter(io.membacking.region.Step.HoldProcessors.class::isInstance)
                    .count());
            counters.nanos.addAndGet(System.nanoTime() - began);
        }
    }

    private Execution.Result execute(
            Plan plan, List<GuestAttachment> members, List<GuestTarget> dmaTargets, Deadline deadline) {
        GuestState before = state;
        Execution.Result result =
                new Execution(plan, before, mappings, backings, locks, members, dmaTargets, deadline).run();
        if (!result.emptied().isEmpty()) {
            RangeTree<HeldMemory> held = before.held();
            for (MemoryRange range : result.emptied()) {
                held = VaChanges.set(held, range, null);
            }
            state = before.withHeld(held);
        }
        targets.removeAll(result.lostTargets());
        return result;
    }

    private Draft draft(GuestState from, List<RegionOperation> operations) throws LayoutException {
        Draft draft = new Draft(from.regions(), backings, limits());
        for (RegionOperation operation : operations) {
            draft.apply(operation);
        }
        return draft;
    }

    private List<AddressLimit> limits() {
        List<AddressLimit> limits = new ArrayList<>();
        limits.add(new AddressLimit(size, "the VA space of guest '" + guest + "'"));
        for (GuestAttachment attachment : attached()) {
            limits.add(limit(attachment));
        }
        return limits;
    }

    /** Where what is mapped at the alias offset, if there is one, would reach beyond the physical address width. */
    private static AddressLimit limit(GuestAttachment attachment) {
        int width = attachment.capabilities().physicalAddressWidth();
        long end = width >= 63 ? Long.MAX_VALUE & -MemoryRange.PAGE_SIZE : 1L << width;
        long alias = attachment.view().aliasOffset().orElse(0);
        return new AddressLimit(
                Math.max(0, end - alias),
                "the " + width + "-bit physical addresses of attachment '" + attachment.name() + "'"
                        + (alias == 0 ? "" : " at alias offset 0x" + Long.toHexString(alias)));
    }

    private Consumers consumers() {
        return new Consumers(
                attached().stream().map(GuestAttachment::view).toList(),
                targets.stream().map(GuestTarget::view).toList(),
                mappings.replacesInPlace());
    }

    private List<GuestAttachment> attached() {
        return attachments.stream().filter(GuestAttachment::attached).toList();
    }

    /** A partition that was closed by its owner is no error; it only is there no more. */
    private void forgetVanished() {
        for (GuestAttachment attachment : attached()) {
            if (attachment.vanished()) {
                attachment.detached("its partition was closed");
                new Detacher(locks, new ArrayList<>()).drop(attachment);
            }
        }
    }

    @Override
    public Attachment attach(AttachRequest request) throws AttachException {
        lock("attach '" + request.name() + "'");
        try {
            forgetVanished();
            GuestAttachment attachment;
            try {
                attachment = new GuestAttachment(this, mappings, backings, request);
            } catch (RuntimeException | LinkageError e) {
                throw refused(request.name(), null, "its partition cannot say what it can do: " + e, "", e);
            }
            checkRequest(attachment);
            Planner.Planned planned;
            try {
                planned = planner.attach(state, attachment.view());
            } catch (LayoutException e) {
                throw new AttachException(Stage.REQUEST, request.name(), e.failure(), e);
            }
            List<GuestAttachment> members = new ArrayList<>(attached());
            members.add(attachment);
            Execution.Result result = execute(planned.plan(), members, targets, Deadline.in(DEFAULT_DEADLINE));
            if (result.failure() != null) {
                throw attachFailure(request.name(), result.failure());
            }
            state = planned.after();
            attachment.becomeMember();
            attachments.removeIf(other -> other.name().equals(request.name())); // one that is detached
            attachments.add(attachment);
            return attachment;
        } finally {
            changing.unlock();
        }
    }

    private void checkRequest(GuestAttachment attachment) throws AttachException {
        AttachRequest request = attachment.request();
        String name = request.name();
        if (attached().stream().anyMatch(other -> other.name().equals(name))) {
            throw refused(name, null, "an attachment has this name already", "choose another name", null);
        }
        if (attachment.vanished()) {
            throw refused(name, null, "its partition is closed", "make another", null);
        }
        if (request.remoteProcess().isPresent() && !attachment.capabilities().remoteProcess()) {
            throw refused(
                    name,
                    null,
                    "backend '" + attachment.info().backend() + "' cannot map into another process",
                    "attach without a remote process",
                    null);
        }
        if (request.remoteProcess().isPresent() && state.regions().hasPrivateMemory()) {
            throw refused(
                    name,
                    null,
                    "it maps through another process, and the guest has private memory",
                    "build the guest with shared memory, or attach without a remote process",
                    null);
        }
        if (request.aliasOffset().isPresent()) {
            checkAlias(attachment, request.aliasOffset().getAsLong());
        }
        AddressLimit limit = limit(attachment);
        for (Region region : regionsBeyond(limit.end())) {
            throw refused(
                    name,
                    region.range(),
                    "region " + region.id() + " reaches beyond " + limit.what() + ", which end at 0x"
                            + Long.toHexString(limit.end()),
                    "place the region lower",
                    null);
        }
        if (!attachment.capabilities().readOnlyMemory()) {
            for (FlatPiece piece : state.flat().values()) {
                if (!piece.writable()) {
                    throw refused(
                            name,
                            piece.range(),
                            "region " + piece.region() + " is read-only and backend '"
                                    + attachment.info().backend() + "' has no read-only memory",
                            "map it writable or not at all, or use another backend",
                            null);
                }
            }
        }
    }

    private void checkAlias(GuestAttachment attachment, long alias) throws AttachException {
        String name = attachment.name();
        if (attachment.request().vtl() != 2) {
            throw refused(
                    name,
                    null,
                    "an alias offset is for VTL 2 and not for VTL "
                            + attachment.request().vtl(),
                    "",
                    null);
        }
        if (!MemoryRange.isAligned(alias)) {
            throw refused(
                    name,
                    null,
                    "alias offset 0x" + Long.toHexString(alias) + " is not aligned to pages",
                    "choose a multiple of " + MemoryRange.PAGE_SIZE,
                    null);
        }
        if (Long.compareUnsigned(alias, size) < 0) {
            throw refused(
                    name,
                    MemoryRange.ofLength(0, size),
                    "alias offset 0x" + Long.toHexString(alias) + " lies within the guest's address space",
                    "choose 0x" + Long.toHexString(size) + " or higher",
                    null);
        }
    }

    private List<Region> regionsBeyond(long end) {
        List<Region> all = state.regions().all();
        return Long.compareUnsigned(state.regions().end(), end) <= 0
                ? List.of()
                : all.stream()
                        .filter(region -> Long.compareUnsigned(region.range().end(), end) > 0)
                        .toList();
    }

    void detach(GuestAttachment attachment) {
        if (!attachments.contains(attachment)) {
            return; // closed before, or with the manager
        }
        if (!attachment.attached() && changing.isHeldByCurrentThread()) {
            return; // its owner was just told that it is detached; the name is free for another
        }
        lock("detach '" + attachment.name() + "'");
        try {
            release(attachment, "it was closed");
        } finally {
            changing.unlock();
        }
    }

    private void release(GuestAttachment attachment, String reason) {
        if (attachment.attached()) {
            attachment.detached(reason);
            new Detacher(locks, new ArrayList<>()).drop(attachment);
        }
        attachments.remove(attachment);
    }

    @Override
    public DmaRegistration addDmaTarget(DmaTarget dmaTarget) throws AttachException {
        lock("register a DMA target");
        try {
            GuestTarget target = new GuestTarget(this, dmaTarget);
            String name = target.name();
            if (targets.stream().anyMatch(other -> other.name().equals(name))) {
                throw refused(name, null, "a DMA target has this name already", "choose another name", null);
            }
            if (target.view().requiresDescriptor() && state.regions().hasPrivateMemory()) {
                throw refused(
                        name,
                        null,
                        "it needs memory with a descriptor, and the guest has private memory",
                        "build the guest with shared memory",
                        null);
            }
            Planner.Planned planned;
            try {
                planned = planner.register(state, target.view());
            } catch (LayoutException e) {
                throw new AttachException(Stage.REQUEST, name, e.failure(), e);
            }
            List<GuestTarget> all = new ArrayList<>(targets);
            all.add(target);
            Execution.Result result = execute(planned.plan(), attached(), all, Deadline.in(DEFAULT_DEADLINE));
            if (result.failure() != null) {
                throw attachFailure(name, result.failure());
            }
            state = planned.after();
            targets.add(target);
            return target;
        } finally {
            changing.unlock();
        }
    }

    void unregister(GuestTarget target) {
        if (!targets.contains(target)) {
            return;
        }
        lock("unregister DMA target '" + target.name() + "'");
        try {
            if (targets.remove(target)) {
                new Detacher(locks, new ArrayList<>()).drop(target);
            }
        } finally {
            changing.unlock();
        }
    }

    private static AttachException attachFailure(String name, MembackingException failure) {
        return failure instanceof AttachException attach
                ? attach
                : new AttachException(Stage.VA_SPACE, name, failure.failure(), failure);
    }

    private static AttachException refused(
            String name, @Nullable MemoryRange range, String problem, String remedy, @Nullable Throwable cause) {
        return new AttachException(
                Stage.REQUEST, name, Failure.of("attach '" + name + "'", range, problem, remedy), cause);
    }

    @Override
    public Explanation explain(long gpa) {
        checkOpen();
        GuestState now = state;
        FlatPiece visible = now.flat().containing(gpa).stream().findFirst().orElse(null);
        List<Region> here = now.regions().containing(gpa);
        List<Region> mapped = here.stream()
                .filter(region -> region.mapped() != null)
                .sorted((a, b) -> a.beats(b) ? -1 : b.beats(a) ? 1 : 0)
                .toList();
        return new Explanation(
                gpa,
                visible,
                mapped.isEmpty() ? null : mapped.get(0).info(),
                mapped.stream().skip(1).map(Region::info).toList(),
                here.stream()
                        .filter(region -> region.mapped() == null)
                        .map(Region::info)
                        .toList(),
                attachments.stream()
                        .map(attachment -> explain(attachment, now, gpa))
                        .toList(),
                journal.lastChangeAt(gpa).orElse(null));
    }

    private static String explain(GuestAttachment attachment, GuestState now, long gpa) {
        String prefix = attachment.name() + ": ";
        if (!attachment.attached()) {
            return prefix + "detached, " + attachment.info().detachedReason();
        }
        List<Run> runs = now.runs(attachment.view().grain()).containing(gpa);
        if (runs.isEmpty()) {
            return prefix + "nothing";
        }
        Run run = runs.get(0);
        StringBuilder line = new StringBuilder(prefix).append(run.range());
        attachment.view().aliasOffset().ifPresent(alias -> line.append(" and ")
                .append(run.range().shift(alias)));
        line.append(run.writable() ? ", writable" : ", read-only");
        return line.append(run.executable() ? ", executable" : "").toString();
    }

    @Override
    public DriftReport checkDrift() {
        lock("check for drift");
        try {
            return new DriftCheck(state, mappings).run(attached(), targets);
        } finally {
            changing.unlock();
        }
    }

    @Override
    public void close() {
        if (closed) {
            return;
        }
        checkNotWithin("close");
        closing.run();
        changing.lock();
        try {
            if (closed) {
                return;
            }
            List.copyOf(attachments).forEach(attachment -> release(attachment, "the guest was closed"));
            targets.forEach(new Detacher(locks, new ArrayList<>())::drop);
            targets.clear();
            closed = true;
            state = GuestState.EMPTY;
            mappings.close();
        } finally {
            changing.unlock();
        }
        afterClose.accept(this);
    }

    private void lock(String operation) {
        checkNotWithin(operation);
        checkOpen();
        changing.lock();
        if (closed) {
            changing.unlock();
            checkOpen();
        }
    }

    private void checkNotWithin(String operation) {
        if (changing.isHeldByCurrentThread()) {
            throw new IllegalStateException("guest '" + guest + "': cannot " + operation
                    + " from within a change of it: a step must not call back");
        }
    }

    private void checkOpen() {
        if (closed) {
            throw new IllegalStateException("region manager of guest '" + guest + "' is closed");
        }
    }
}
