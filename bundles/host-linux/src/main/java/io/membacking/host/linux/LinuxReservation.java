package io.membacking.host.linux;

import com.sun.jna.Memory;
import io.membacking.error.Failure;
import io.membacking.error.HostMappingException;
import io.membacking.error.NativeError;
import io.membacking.host.AddressReservation;
import io.membacking.host.Backing;
import io.membacking.host.BackingKind;
import io.membacking.host.HostPiece;
import io.membacking.range.MemoryRange;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * A reservation between two inaccessible guard pages, which keep it apart from the process's other mappings: the kernel merges
 * it with none of them, and an access that runs over its end meets nobody's memory.
 *
 * <p>What is empty is anonymous memory for reading and writing that nothing is committed for: the second line behind the
 * readers' epochs, a stray access there finds zeros or leaves a page behind instead of ending the JVM. It is the same before
 * the first mapping and after the last, so that the kernel merges it and the number of mappings returns. Where the host charges
 * such memory (strict overcommit, a limit on data) what is empty is inaccessible.
 *
 * <p>Its methods exclude each other, so that the host can close it from another thread.
 */
final class LinuxReservation implements AddressReservation {
    /** Bytes that one call touches at most, one of each page; the most vectors a call takes. */
    private static final int TOUCHED = 1024;

    private final LinuxHostMemory host;
    private final long base;
    private final long size;
    private final long guard;
    private final int emptyProtection;
    /** What is mapped where, by offset: the book. */
    private final TreeMap<Long, Held> held = new TreeMap<>();

    private final RangeSet locked = new RangeSet();
    /** Released, but still mapped, because there was no room for the mappings that it would make more; tried again with every change. */
    private final RangeSet lingering = new RangeSet();

    /** Of the pieces in the book. */
    private long edges;
    /** Mappings, at most, as the budget has them. */
    private long accounted;

    private boolean closed;

    private record Held(MemoryRange range, LinuxBacking backing, long backingOffset) {
        long backingOffsetAt(long offset) {
            return backingOffset + (offset - range.start());
        }

        /** Private memory is left apart: once touched, the kernel may not merge it. */
        boolean continuesIn(Held next) {
            return backing == next.backing
                    && backing.kind() != BackingKind.PRIVATE
                    && range.end() == next.range.start()
                    && backingOffsetAt(range.end()) == next.backingOffset;
        }

        Held with(Held next) {
            return new Held(new MemoryRange(range.start(), next.range.end()), backing, backingOffset);
        }
    }

    private LinuxReservation(LinuxHostMemory host, long base, long size, long guard, int emptyProtection) {
        this.host = host;
        this.base = base;
        this.size = size;
        this.guard = guard;
        this.emptyProtection = emptyProtection;
        account();
    }

    static LinuxReservation reserve(LinuxHostMemory host, long size, long alignment) throws HostMappingException {
        String operation = "reserve 0x" + Long.toHexString(size) + " bytes of addresses";
        long guard = host.capabilities().pageSize();
        long room = size + alignment + 2 * guard;
        if (room <= 0) {
            throw new HostMappingException(Failure.of(
                    operation, null, "no address space is that large", "ask for a smaller or less aligned layout"));
        }
        if (!host.budget().allowsMapping(3)) {
            throw new HostMappingException(mappingLimit(operation, null, null));
        }
        long start = blank(0, room, Libc.PROT_NONE, 0);
        if (start == Libc.MAP_FAILED) {
            throw new HostMappingException(refused(operation, null));
        }
        long base = (start + guard + alignment - 1) & -alignment;
        trim(start, base - guard);
        trim(base + size + guard, start + room);
        int protection = Libc.PROT_READ_WRITE;
        if (blank(base, size, protection, Libc.MAP_FIXED) == Libc.MAP_FAILED) {
            // The room itself is inaccessible already.
            protection = Libc.PROT_NONE;
        }
        return new LinuxReservation(host, base, size, guard, protection);
    }

    private static void trim(long from, long to) {
        if (from < to) {
            Libc.munmap(from, to - from);
        }
    }

    private static long blank(long address, long length, int protection, int flags) {
        return Libc.mmap(
                address, length, protection, Libc.MAP_PRIVATE | Libc.MAP_ANONYMOUS | Libc.MAP_NORESERVE | flags, -1, 0);
    }

    @Override
    public synchronized long base() {
        requireOpen();
        return base;
    }

    @Override
    public long size() {
        return size;
    }

    @Override
    public synchronized void map(MemoryRange offsets, Backing backing, long backingOffset) throws HostMappingException {
        check(offsets);
        if (!(backing instanceof LinuxBacking memory)) {
            throw new IllegalArgumentException(backing + " is not memory of this host");
        }
        if (backingOffset < 0
                || backingOffset % guard != 0
                || Long.compareUnsigned(offsets.length(), memory.size() - backingOffset) > 0
                || backingOffset > memory.size()) {
            throw new IllegalArgumentException("0x" + Long.toHexString(offsets.length()) + " bytes at 0x"
                    + Long.toHexString(backingOffset) + " are not pages of " + memory + ", which has 0x"
                    + Long.toHexString(memory.size()) + " bytes");
        }
        String operation = "map " + memory;
        refuseCutPages(operation, offsets, memory, backingOffset);
        releaseLingering();
        if (!host.budget().allowsMapping(2 - edges(offsets))) {
            throw new HostMappingException(mappingLimit(operation, offsets, null));
        }
        NativeError error = memory.place(base + offsets.start(), offsets.length(), backingOffset);
        if (error != null) {
            throw new HostMappingException(failure(operation, offsets, "the host refused", "", error));
        }
        int before = edges(offsets);
        carve(offsets);
        put(new Held(offsets, memory, backingOffset));
        settle(offsets, before);
    }

    /** The kernel maps and unmaps whole huge pages only. */
    private void refuseCutPages(String operation, MemoryRange offsets, LinuxBacking memory, long backingOffset)
            throws HostMappingException {
        long page = memory.pageSize();
        if ((base + offsets.start()) % page != 0 || offsets.length() % page != 0 || backingOffset % page != 0) {
            throw new HostMappingException(Failure.of(
                    operation,
                    offsets,
                    "the range or the offset 0x" + Long.toHexString(backingOffset)
                            + " is not aligned to its pages of 0x" + Long.toHexString(page) + " bytes",
                    "align them, or choose a backing of smaller pages"));
        }
        Held cut = cutBy(offsets);
        if (cut != null) {
            throw new HostMappingException(Failure.of(
                    operation,
                    offsets,
                    "it would cut a page of 0x" + Long.toHexString(cut.backing.pageSize()) + " bytes of " + cut.backing
                            + " at " + cut.range,
                    "align the range, or choose smaller pages for what is there"));
        }
    }

    private @Nullable Held cutBy(MemoryRange offsets) {
        for (Held piece : overlapping(offsets)) {
            if (cuts(offsets.start(), piece) || cuts(offsets.end(), piece)) {
                return piece;
            }
        }
        return null;
    }

    private boolean cuts(long edge, Held piece) {
        return piece.range.start() < edge && edge < piece.range.end() && (base + edge) % piece.backing.pageSize() != 0;
    }

    @Override
    public synchronized void release(MemoryRange offsets) {
        check(offsets);
        Held cut = cutBy(offsets);
        if (cut != null) {
            throw new IllegalArgumentException("releasing " + offsets + " would cut a page of 0x"
                    + Long.toHexString(cut.backing.pageSize()) + " bytes of " + cut.backing + " at " + cut.range);
        }
        releaseLingering();
        if (overlapping(offsets).isEmpty()) {
            return;
        }
        if (!empty(offsets)) {
            linger(offsets);
        }
    }

    private void releaseLingering() {
        if (lingering.isEmpty()) {
            return;
        }
        for (MemoryRange range : lingering.all()) {
            if (!empty(range)) {
                // No room yet: not worth asking for each.
                return;
            }
        }
    }

    /** @return false if there is no room for the mappings that it would make more */
    private boolean empty(MemoryRange offsets) {
        int before = edges(offsets);
        int after = (reaches(offsets.start()) ? 1 : 0) + (begins(offsets.end()) ? 1 : 0);
        if (!host.budget().allowsReleasing(after - before) || !fill(offsets)) {
            return false;
        }
        carve(offsets);
        settle(offsets, before);
        return true;
    }

    /** Whether a piece lies before the offset and ends there or later. */
    private boolean reaches(long offset) {
        Map.Entry<Long, Held> before = held.lowerEntry(offset);
        return before != null && before.getValue().range.end() >= offset;
    }

    /** Whether a piece lies behind the offset and begins there or earlier. */
    private boolean begins(long offset) {
        Map.Entry<Long, Held> before = held.floorEntry(offset);
        return before != null && before.getValue().range.end() > offset;
    }

    /**
     * Where one mapping of the kernel's ends and another begins, from the first of these offsets to the last, both included.
     * The ends of the reservation do not count: a guard is there in any case.
     */
    private int edges(MemoryRange offsets) {
        int edges = 0;
        long last = 0;
        Map.Entry<Long, Held> before = held.lowerEntry(offsets.start());
        long from =
                before != null && before.getValue().range.end() >= offsets.start() ? before.getKey() : offsets.start();
        for (Held piece : held.subMap(from, true, offsets.end(), true).values()) {
            if (piece.range.start() >= offsets.start() && piece.range.start() != last) {
                edges++;
            }
            if (piece.range.end() <= offsets.end() && piece.range.end() != size) {
                edges++;
            }
            last = piece.range.end();
        }
        return edges;
    }

    /** After a change to the book there: what follows from it. */
    private void settle(MemoryRange offsets, int edgesBefore) {
        locked.remove(offsets);
        lingering.remove(offsets);
        edges += edges(offsets) - edgesBefore;
        account();
    }

    /** How many mappings the kernel has for it, at most: two guards, what lies between, and one more for each edge in it. */
    synchronized long mappings() {
        return 3 + edges + 2L * locked.size();
    }

    private void account() {
        long mappings = mappings();
        host.budget().changed(mappings - accounted);
        accounted = mappings;
    }

    private boolean fill(MemoryRange offsets) {
        long address = base + offsets.start();
        return blank(address, offsets.length(), emptyProtection, Libc.MAP_FIXED) != Libc.MAP_FAILED
                // A limit on data may have been met since; inaccessible memory does not count.
                || blank(address, offsets.length(), Libc.PROT_NONE, Libc.MAP_FIXED) != Libc.MAP_FAILED;
    }

    /**
     * The last resort: it stays mapped, the book says so, and it is tried again with every change. Private contents go all the
     * same, since this needs no mapping more.
     */
    private void linger(MemoryRange offsets) {
        for (Held piece : overlapping(offsets)) {
            MemoryRange part = piece.range.intersection(offsets).orElseThrow();
            lingering.add(part);
            if (piece.backing.kind() == BackingKind.PRIVATE) {
                unlock(part);
                Libc.madvise(base + part.start(), part.length(), Libc.MADV_DONTNEED);
            }
        }
    }

    @Override
    public synchronized void prefetch(MemoryRange offsets) throws HostMappingException {
        check(offsets);
        String operation = "prefetch";
        requireHeld(operation, offsets);
        if (!host.facts().populates()) {
            touch(operation, offsets);
            return;
        }
        long done =
                Libc.retried(() -> Libc.madvise(base + offsets.start(), offsets.length(), Libc.MADV_POPULATE_WRITE));
        if (done != 0) {
            throw new HostMappingException(
                    failure(operation, offsets, "the host could not populate it", "free memory", Errno.last()));
        }
    }

    /** Before Linux 5.14: reading a byte of a page of shared memory through the kernel gives it a page, and never faults. */
    private void touch(String operation, MemoryRange offsets) throws HostMappingException {
        for (Held piece : overlapping(offsets)) {
            MemoryRange part = piece.range.intersection(offsets).orElseThrow();
            if (piece.backing.kind() == BackingKind.PRIVATE) {
                throw new HostMappingException(Failure.of(
                        operation,
                        part,
                        "this kernel cannot populate private memory without writing to it",
                        "use Linux 5.14 or newer, or shared memory"));
            }
            touch(operation, part, piece.backing.pageSize());
        }
    }

    private void touch(String operation, MemoryRange part, long page) throws HostMappingException {
        try (Memory bytes = new Memory(TOUCHED);
                Memory into = new Memory(16);
                Memory from = new Memory(16L * TOUCHED)) {
            into.setPointer(0, bytes);
            for (long at = part.start(); at < part.end(); ) {
                int pages = 0;
                for (; pages < TOUCHED && at < part.end(); pages++, at += page) {
                    from.setLong(16L * pages, base + at);
                    from.setLong(16L * pages + 8, 1);
                }
                into.setLong(8, pages);
                if (Libc.process_vm_readv(Libc.getpid(), into, 1, from, pages, 0) != pages) {
                    throw new HostMappingException(
                            failure(operation, part, "the host could not populate it", "free memory", Errno.last()));
                }
            }
        }
    }

    @Override
    public synchronized void lock(MemoryRange offsets) throws HostMappingException {
        check(offsets);
        String operation = "lock";
        requireHeld(operation, offsets);
        List<MemoryRange> fresh = locked.outside(offsets);
        if (!host.budget().allowsMapping(fresh.isEmpty() ? 0 : 2)) {
            throw new HostMappingException(mappingLimit(operation, offsets, null));
        }
        for (MemoryRange part : fresh) {
            if (Libc.mlock(base + part.start(), part.length()) != 0) {
                Failure failure = failure(
                        operation,
                        offsets,
                        "the host would not lock 0x" + Long.toHexString(offsets.length())
                                + " bytes; the process may lock " + HostFacts.lockLimit(),
                        "raise the limit (ulimit -l, LimitMEMLOCK=) or give the process CAP_IPC_LOCK",
                        Errno.last());
                // The kernel may have locked the part and then found no pages for it.
                fresh.forEach(undone -> Libc.munlock(base + undone.start(), undone.length()));
                throw new HostMappingException(failure);
            }
        }
        locked.add(offsets);
        account();
    }

    @Override
    public synchronized void unlock(MemoryRange offsets) {
        check(offsets);
        for (MemoryRange part : locked.inside(offsets)) {
            // Unlocking the middle of a locked part makes mappings more. Without room for them it stays locked, and in
            // the
            // book; releasing it unlocks it too.
            if (host.budget().allowsReleasing(2) && Libc.munlock(base + part.start(), part.length()) == 0) {
                locked.remove(part);
                account();
            }
        }
    }

    private void requireHeld(String operation, MemoryRange offsets) throws HostMappingException {
        RangeSet there = new RangeSet();
        overlapping(offsets).forEach(piece -> there.add(piece.range));
        List<MemoryRange> gaps = there.outside(offsets);
        if (!gaps.isEmpty()) {
            throw new HostMappingException(
                    Failure.of(operation, offsets, "nothing is mapped at " + gaps.get(0), "map memory there first"));
        }
    }

    /**
     * {@inheritDoc}
     *
     * <p>Memory with a descriptor is recognised by its file, whatever the book says; if nobody here knows the file, the id is
     * {@link #UNKNOWN}. Private memory has nothing to be recognised by: it is reported where the book has it and the system
     * shows anonymous memory that can be written.
     */
    @Override
    public synchronized List<HostPiece> observe() {
        requireOpen();
        List<HostPiece> pieces = new ArrayList<>();
        for (MapsLine line : MapsLine.within(base, base + size)) {
            MemoryRange offsets =
                    new MemoryRange(Math.max(line.start(), base) - base, Math.min(line.end(), base + size) - base);
            long at = offsets.start();
            for (Held piece : overlapping(offsets)) {
                MemoryRange part = piece.range.intersection(offsets).orElseThrow();
                observeUnbooked(pieces, line, at, part.start());
                if (!line.anonymous()) {
                    long id =
                            line.file().equals(piece.backing.file()) ? piece.backing.id() : host.identify(line.file());
                    append(pieces, part, id, fileOffset(line, part.start()));
                } else if (line.writable() && piece.backing.kind() == BackingKind.PRIVATE) {
                    appendPrivate(pieces, part, piece.backing.id());
                }
                at = part.end();
            }
            observeUnbooked(pieces, line, at, offsets.end());
        }
        return List.copyOf(pieces);
    }

    /** The id of memory that no open backing of this host has. */
    static final long UNKNOWN = -1;

    private void observeUnbooked(List<HostPiece> pieces, MapsLine line, long from, long to) {
        if (from < to && !line.anonymous()) {
            append(pieces, new MemoryRange(from, to), host.identify(line.file()), fileOffset(line, from));
        }
    }

    private long fileOffset(MapsLine line, long offset) {
        return line.offset() + (base + offset - line.start());
    }

    private static void append(List<HostPiece> pieces, MemoryRange part, long id, long backingOffset) {
        HostPiece last = pieces.isEmpty() ? null : pieces.get(pieces.size() - 1);
        if (last != null
                && last.backing() == id
                && last.offsets().end() == part.start()
                && last.backingOffset() + last.offsets().length() == backingOffset) {
            extend(pieces, last, part);
        } else {
            pieces.add(new HostPiece(part, id, backingOffset));
        }
    }

    /** Private memory has no offsets: neighbours are one. */
    private static void appendPrivate(List<HostPiece> pieces, MemoryRange part, long id) {
        HostPiece last = pieces.isEmpty() ? null : pieces.get(pieces.size() - 1);
        if (last != null && last.backing() == id && last.offsets().end() == part.start()) {
            extend(pieces, last, part);
        } else {
            pieces.add(new HostPiece(part, id, 0));
        }
    }

    private static void extend(List<HostPiece> pieces, HostPiece last, MemoryRange part) {
        MemoryRange both = new MemoryRange(last.offsets().start(), part.end());
        pieces.set(pieces.size() - 1, new HostPiece(both, last.backing(), last.backingOffset()));
    }

    private List<Held> overlapping(MemoryRange offsets) {
        Map.Entry<Long, Held> before = held.floorEntry(offsets.start());
        long from = before != null && before.getValue().range.overlaps(offsets) ? before.getKey() : offsets.start();
        return List.copyOf(held.subMap(from, offsets.end()).values());
    }

    /** Neighbours that the kernel merges are one in the book. */
    private void put(Held piece) {
        Held whole = piece;
        Map.Entry<Long, Held> before = held.lowerEntry(piece.range.start());
        if (before != null && before.getValue().continuesIn(whole)) {
            whole = before.getValue().with(whole);
        }
        Held after = held.get(piece.range.end());
        if (after != null && whole.continuesIn(after)) {
            held.remove(after.range.start());
            whole = whole.with(after);
        }
        held.put(whole.range.start(), whole);
    }

    private void carve(MemoryRange offsets) {
        for (Held piece : overlapping(offsets)) {
            held.remove(piece.range.start());
            for (MemoryRange rest : piece.range.minus(offsets)) {
                held.put(rest.start(), new Held(rest, piece.backing, piece.backingOffsetAt(rest.start())));
            }
        }
    }

    private void check(MemoryRange offsets) {
        requireOpen();
        if (Long.compareUnsigned(offsets.end(), size) > 0
                || offsets.start() % guard != 0
                || offsets.end() % guard != 0) {
            throw new IllegalArgumentException(
                    offsets + " is not pages of the reservation 0x0-0x" + Long.toHexString(size));
        }
    }

    private void requireOpen() {
        if (closed) {
            throw new IllegalStateException("the reservation of 0x" + Long.toHexString(size) + " bytes is closed");
        }
    }

    private static Failure refused(String operation, @Nullable MemoryRange range) {
        return failure(
                operation,
                range,
                "the host has no such room",
                "ask for less, or raise the limit on address space (ulimit -v)",
                Errno.last());
    }

    private static Failure failure(
            String operation, @Nullable MemoryRange range, String problem, String remedy, NativeError error) {
        return error.code() == Errno.ENOMEM && HostFacts.atMappingLimit()
                ? mappingLimit(operation, range, error)
                : new Failure(operation, range, problem, remedy, error);
    }

    private static Failure mappingLimit(String operation, @Nullable MemoryRange range, @Nullable NativeError error) {
        long limit = HostFacts.mappingLimit();
        return new Failure(
                operation,
                range,
                "the process has as many mappings as vm.max_map_count allows, " + limit + ", less "
                        + MappingBudget.kept(limit) + " that are kept for the JVM and for undoing",
                "raise it (sysctl -w vm.max_map_count=" + 2 * limit + ") or map fewer, larger pieces",
                error);
    }

    @Override
    public synchronized void close() {
        if (closed) {
            return;
        }
        closed = true;
        held.clear();
        // Between its guards it is at least a mapping of its own, so that nothing is cut in two, which the limit could
        // refuse. Only an empty one of inaccessible memory may be the middle of a larger one; then addresses are lost,
        // but no memory.
        Libc.munmap(base - guard, size + 2 * guard);
        host.budget().changed(-accounted);
        host.forget(this);
    }
}
