package io.membacking.host.windows;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
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
 * A reservation in this process, or in another one. What is empty is inaccessible.
 *
 * <p>Windows unmaps a view as a whole or not at all. So where other memory comes into a view, all of it goes, and what is to stay
 * of it is mapped again, at the same addresses, with the same contents: {@link #disturbed} says beforehand what that is. A part of
 * a view that is released lingers where it is, hidden from what is observed, until other memory comes there or the rest is released
 * too: it costs nothing, and its neighbours are not disturbed. Views are never merged, since that would disturb them; what is
 * observed shows contiguous ones as one.
 *
 * <p>Its methods exclude each other, so that the host can close it from another thread.
 */
final class WindowsReservation implements AddressReservation {
    /** The id of memory that this book does not have. */
    static final long UNKNOWN = -1;

    /** Bytes that one call touches at most. */
    private static final int TOUCHED = 1 << 20;

    private final WindowsHostMemory host;
    private final AddressRoom room;
    private final long base;
    private final long size;
    /** What is mapped where, by offset: the book. Each is a view, or a piece of private memory. */
    private final TreeMap<Long, Held> held = new TreeMap<>();

    private final RangeSet locked = new RangeSet();
    /** Parts of views that were released. */
    private final RangeSet lingering = new RangeSet();

    private boolean closed;

    /** @param section a user's share of the section; null for private memory */
    private record Held(
            MemoryRange range,
            WindowsBacking backing,
            long backingOffset,
            @Nullable Section section) {
        boolean isView() {
            return section != null;
        }

        /** A part, with a share of its own. */
        Held part(MemoryRange part) {
            return new Held(
                    part,
                    backing,
                    backingOffset + (part.start() - range.start()),
                    section == null ? null : section.shared());
        }

        void release() {
            if (section != null) {
                section.release();
            }
        }
    }

    private WindowsReservation(WindowsHostMemory host, AddressRoom room, long size) {
        this.host = host;
        this.room = room;
        this.base = room.base();
        this.size = size;
    }

    /** @param process a handle of the process whose addresses are reserved, open as long as the reservation is */
    static WindowsReservation reserve(WindowsHostMemory host, long process, long size, long alignment)
            throws HostMappingException {
        HostFacts facts = host.facts();
        long aligned = Math.max(alignment, facts.granularity());
        long whole = (size + facts.granularity() - 1) & -facts.granularity();
        AddressRoom room = facts.placeholders()
                ? Placeholders.reserve(process, size, aligned)
                : RetakenAddresses.reserve(process, whole, aligned, facts);
        if (room == null) {
            throw new HostMappingException(new Failure(
                    "reserve 0x" + Long.toHexString(size) + " bytes of addresses",
                    null,
                    "the host has no such room",
                    "ask for a smaller or less aligned layout",
                    WindowsError.lastOrNull()));
        }
        return new WindowsReservation(host, room, size);
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
        if (!(backing instanceof WindowsBacking memory)) {
            throw new IllegalArgumentException(backing + " is not memory of this host");
        }
        if (backingOffset < 0
                || backingOffset % MemoryRange.PAGE_SIZE != 0
                || Long.compareUnsigned(offsets.length(), memory.size() - backingOffset) > 0
                || backingOffset > memory.size()) {
            throw new IllegalArgumentException("0x" + Long.toHexString(offsets.length()) + " bytes at 0x"
                    + Long.toHexString(backingOffset) + " are not pages of " + memory + ", which has 0x"
                    + Long.toHexString(memory.size()) + " bytes");
        }
        String operation = "map " + memory;
        refuseCutPages(operation, offsets, memory, backingOffset);
        Held fresh = new Held(
                offsets, memory, backingOffset, memory instanceof SectionBacking section ? section.section() : null);
        if (memory instanceof PrivateBacking scratch) {
            scratch.requireOpen();
        }
        NativeError error;
        try {
            error = overlapping(offsets).isEmpty() ? null : tryElsewhere(fresh);
            if (error == null) {
                error = replace(offsets, fresh);
            }
        } catch (RuntimeException | Error e) {
            fresh.release();
            throw e;
        }
        if (error != null) {
            fresh.release();
            throw new HostMappingException(refused(operation, fresh, error));
        }
    }

    private Failure refused(String operation, Held fresh, NativeError error) {
        if (!fresh.isView()) {
            return new Failure(
                    operation,
                    fresh.range,
                    "the host would not commit "
                            + WindowsHostMemory.shortage(fresh.range.length(), MemoryRange.PAGE_SIZE),
                    WindowsHostMemory.COMMIT_REMEDY,
                    error);
        }
        boolean taken = !host.facts().placeholders() && error.code() == WindowsError.INVALID_ADDRESS;
        return new Failure(
                operation,
                fresh.range,
                taken ? "another allocation of this process came to lie there" : "the host refused",
                taken ? "use Windows 10 1803 or newer, which has placeholders" : "",
                error);
    }

    /** What can be refused is refused before anything is touched. */
    private static @Nullable NativeError tryElsewhere(Held fresh) {
        if (fresh.section != null) {
            return Section.tryView(fresh.section.handle(), fresh.backingOffset & -0x10000L, 0x1000);
        }
        long trial = Win32.VirtualAllocEx(
                Win32.CURRENT_PROCESS,
                0,
                fresh.range.length(),
                Win32.MEM_RESERVE | Win32.MEM_COMMIT,
                Win32.PAGE_READWRITE);
        if (trial == Win32.NULL) {
            return WindowsError.last();
        }
        Win32.VirtualFreeEx(Win32.CURRENT_PROCESS, trial, 0, Win32.MEM_RELEASE);
        return null;
    }

    /** Windows maps whole large pages only; without placeholders whole granules, of which every page it says it has is made. */
    private void refuseCutPages(String operation, MemoryRange offsets, WindowsBacking memory, long backingOffset)
            throws HostMappingException {
        long granule = host.capabilities().mappingGranularity();
        if (((offsets.start() | offsets.end() | backingOffset) & (granule - 1)) != 0) {
            throw new HostMappingException(noPlaceholders(operation, offsets, granule));
        }
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

    private static Failure noPlaceholders(String operation, MemoryRange offsets, long granule) {
        return Failure.of(
                operation,
                offsets,
                "this Windows has no placeholders, and without them it maps multiples of 0x" + Long.toHexString(granule)
                        + " bytes only",
                "use Windows 10 1803 or newer, or align the layout");
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
        if (overlapping(offsets).isEmpty()) {
            return;
        }
        locked.inside(offsets).forEach(this::unlockNow);
        for (Held piece : overlapping(offsets)) {
            MemoryRange part = piece.range.intersection(offsets).orElseThrow();
            if (piece.isView()) {
                lingering.add(part);
            } else {
                releasePrivate(part);
            }
        }
        for (Held piece : overlapping(offsets)) {
            if (lingering.outside(piece.range).isEmpty()) {
                replace(piece.range, null);
            }
        }
    }

    /** Whole granules go; what is less of one only loses its pages, and its addresses linger. */
    private void releasePrivate(MemoryRange part) {
        long granule = host.capabilities().mappingGranularity();
        long start = (part.start() + granule - 1) & -granule;
        long end = part.end() & -granule;
        if (start < end) {
            replace(new MemoryRange(start, end), null);
        }
        List<MemoryRange> edges = start < end ? part.minus(new MemoryRange(start, end)) : List.of(part);
        for (MemoryRange edge : edges) {
            room.decommit(edge);
            lingering.add(edge);
        }
    }

    @Override
    public synchronized MemoryRange disturbed(MemoryRange offsets) {
        check(offsets);
        return hull(offsets, overlapping(offsets));
    }

    private static MemoryRange hull(MemoryRange offsets, List<Held> pieces) {
        long start = offsets.start();
        long end = offsets.end();
        for (Held piece : pieces) {
            if (piece.isView()) {
                start = Math.min(start, piece.range.start());
                end = Math.max(end, piece.range.end());
            }
        }
        return new MemoryRange(start, end);
    }

    /** @return null, or why the fresh one is not there; what was there is there then, but for private memory in its place */
    private @Nullable NativeError replace(MemoryRange offsets, @Nullable Held fresh) {
        synchronized (room.exclusion()) {
            List<Held> over = overlapping(offsets);
            MemoryRange disturbed = hull(offsets, over);
            List<MemoryRange> wasLocked = locked.inside(disturbed);
            wasLocked.forEach(this::unlockNow);
            List<Held> kept = new ArrayList<>();
            List<Held> gone = new ArrayList<>();
            for (Held piece : over) {
                held.remove(piece.range.start());
                MemoryRange part = piece.range.intersection(offsets).orElseThrow();
                if (piece.isView()) {
                    room.vacateView(piece.range);
                    piece.range.minus(offsets).forEach(rest -> kept.add(piece.part(rest)));
                    gone.add(piece.part(part));
                } else {
                    room.vacatePrivate(part);
                    piece.range.minus(offsets).forEach(rest -> put(piece.part(rest)));
                }
                piece.release();
            }
            List<MemoryRange> lingered = lingering.inside(offsets);
            lingering.remove(offsets);
            kept.removeIf(this::lingersWhole);
            MemoryRange emptied = withVacantNeighbours(disturbed);
            room.join(emptied);
            kept.forEach(this::placeAgain);
            NativeError error = fresh == null ? null : place(fresh);
            if (error == null) {
                gone.forEach(Held::release);
            } else {
                gone.forEach(this::placeAgain);
                lingered.forEach(lingering::add);
            }
            room.settle(vacant(emptied));
            for (MemoryRange part : wasLocked) {
                for (MemoryRange rest : error == null ? part.minus(offsets) : List.of(part)) {
                    // It was locked a moment ago; should Windows not do it again, the book says so.
                    if (WorkingSet.lock(base + rest.start(), rest.length()) == null) {
                        locked.add(rest);
                    }
                }
            }
            return error;
        }
    }

    /** What is left of a view that nobody wants is not mapped again. */
    private boolean lingersWhole(Held piece) {
        if (!lingering.outside(piece.range).isEmpty()) {
            return false;
        }
        lingering.remove(piece.range);
        piece.release();
        return true;
    }

    private @Nullable NativeError place(Held piece) {
        NativeError error = piece.section != null
                ? room.placeView(
                        piece.range,
                        piece.section.handle(),
                        piece.backingOffset,
                        piece.backing.kind() == BackingKind.HUGETLB)
                : room.placePrivate(
                        piece.range,
                        piece.backing instanceof PrivateBacking memory ? memory.node() : java.util.OptionalInt.empty());
        if (error == null) {
            put(piece);
        }
        return error;
    }

    /** A view that was there a moment ago, of the same section: Windows has no reason to refuse. If it does, the book says so. */
    private void placeAgain(Held piece) {
        NativeError error = place(piece);
        if (error != null) {
            piece.release();
            System.getLogger(WindowsReservation.class.getName())
                    .log(
                            System.Logger.Level.ERROR,
                            "{0} could not be mapped again at {1}: {2}",
                            piece.backing,
                            piece.range,
                            error);
        }
    }

    private void put(Held piece) {
        held.put(piece.range.start(), piece);
    }

    private MemoryRange withVacantNeighbours(MemoryRange vacant) {
        Map.Entry<Long, Held> before = held.lowerEntry(vacant.start());
        Map.Entry<Long, Held> after = held.ceilingEntry(vacant.end());
        return new MemoryRange(
                before == null ? 0 : before.getValue().range.end(), after == null ? size : after.getKey());
    }

    private List<MemoryRange> vacant(MemoryRange within) {
        RangeSet taken = new RangeSet();
        overlapping(within).forEach(piece -> taken.add(piece.range));
        return taken.outside(within);
    }

    /**
     * {@inheritDoc}
     *
     * <p>Windows's prefetching brings back what was paged out, but gives no page to what was never touched; so each page is then
     * read by way of the kernel, which does.
     */
    @Override
    public synchronized void prefetch(MemoryRange offsets) throws HostMappingException {
        check(offsets);
        requireHeld("prefetch", offsets);
        if (Win32.has("PrefetchVirtualMemory")) {
            try (Memory range = new Memory(Win32.SIZE_OF_RANGE_ENTRY)) {
                range.setLong(0, base + offsets.start());
                range.setLong(Win32.RANGE_ENTRY_BYTES, offsets.length());
                // Advice: what it did not bring the reading does.
                Win32.PrefetchVirtualMemory(room.process(), 1, range, 0);
            }
        }
        try (Memory bytes = new Memory(Math.min(offsets.length(), TOUCHED))) {
            for (long at = offsets.start(); at < offsets.end(); at += TOUCHED) {
                long length = Math.min(TOUCHED, offsets.end() - at);
                if (Win32.ReadProcessMemory(room.process(), base + at, bytes, length, Pointer.NULL) == 0) {
                    throw new HostMappingException(new Failure(
                            "prefetch", offsets, "the host could not populate it", "free memory", WindowsError.last()));
                }
            }
        }
    }

    @Override
    public synchronized void lock(MemoryRange offsets) throws HostMappingException {
        check(offsets);
        requireHeld("lock", offsets);
        if (room.process() != Win32.CURRENT_PROCESS) {
            throw new HostMappingException(Failure.of(
                    "lock", offsets, "Windows locks memory of the calling process only", "lock it in that process"));
        }
        List<MemoryRange> fresh = new ArrayList<>();
        for (MemoryRange part : locked.outside(offsets)) {
            // Piece by piece: a call is for one allocation.
            overlapping(part)
                    .forEach(piece -> fresh.add(piece.range.intersection(part).orElseThrow()));
        }
        for (int i = 0; i < fresh.size(); i++) {
            MemoryRange part = fresh.get(i);
            NativeError error = WorkingSet.lock(base + part.start(), part.length());
            if (error != null) {
                fresh.subList(0, i).forEach(this::unlockNow);
                throw new HostMappingException(new Failure(
                        "lock",
                        offsets,
                        "the host would not lock 0x" + Long.toHexString(offsets.length()) + " bytes",
                        "free memory, or let the process have a larger working set (SeIncreaseWorkingSetPrivilege)",
                        error));
            }
            locked.add(part);
        }
    }

    @Override
    public synchronized void unlock(MemoryRange offsets) {
        check(offsets);
        locked.inside(offsets).forEach(this::unlockNow);
    }

    private void unlockNow(MemoryRange part) {
        for (Held piece : overlapping(part)) {
            MemoryRange there = piece.range.intersection(part).orElseThrow();
            WorkingSet.unlock(base + there.start(), there.length());
        }
        locked.remove(part);
    }

    private void requireHeld(String operation, MemoryRange offsets) throws HostMappingException {
        List<MemoryRange> gaps = new ArrayList<>(vacant(offsets));
        gaps.addAll(lingering.inside(offsets));
        if (!gaps.isEmpty()) {
            throw new HostMappingException(
                    Failure.of(operation, offsets, "nothing is mapped at " + gaps.get(0), "map memory there first"));
        }
    }

    /**
     * {@inheritDoc}
     *
     * <p>Windows tells where a view begins and ends, and whether memory is a view, private, or empty; it does not tell which
     * section a view is of, nor from which offset on. So a piece is reported with the book's backing where the system shows a view
     * that begins where the book's does, or private memory where the book has such; as {@link #UNKNOWN} where it shows memory that
     * the book does not have; and not at all where it shows none, or a part of a view that was released.
     */
    @Override
    public synchronized List<HostPiece> observe() {
        requireOpen();
        List<HostPiece> pieces = new ArrayList<>();
        try (Memory region = new Memory(Win32.SIZE_OF_BASIC_INFORMATION)) {
            for (long at = 0; at < size; ) {
                if (Win32.VirtualQueryEx(room.process(), base + at, region, region.size()) == 0) {
                    throw new IllegalStateException("the reservation cannot be looked at: " + WindowsError.last());
                }
                long end = Math.min(
                        size,
                        region.getLong(Win32.BASIC_INFORMATION_BASE)
                                + region.getLong(Win32.BASIC_INFORMATION_REGION_SIZE)
                                - base);
                if (region.getInt(Win32.BASIC_INFORMATION_STATE) == Win32.MEM_COMMIT) {
                    observe(
                            pieces,
                            new MemoryRange(at, end),
                            region.getInt(Win32.BASIC_INFORMATION_TYPE) == Win32.MEM_MAPPED,
                            region.getLong(Win32.BASIC_INFORMATION_ALLOCATION_BASE) - base);
                }
                at = end;
            }
        }
        return List.copyOf(pieces);
    }

    private void observe(List<HostPiece> pieces, MemoryRange shown, boolean view, long viewStart) {
        long at = shown.start();
        for (Held piece : overlapping(shown)) {
            MemoryRange part = piece.range.intersection(shown).orElseThrow();
            appendUnknown(pieces, at, part.start());
            if (!view && !piece.isView()) {
                append(pieces, part, piece.backing.id(), 0, true);
            } else if (view && piece.isView() && viewStart == piece.range.start()) {
                for (MemoryRange wanted : lingering.outside(part)) {
                    long offset = piece.backingOffset + (wanted.start() - piece.range.start());
                    append(pieces, wanted, piece.backing.id(), offset, false);
                }
            } else {
                appendUnknown(pieces, part.start(), part.end());
            }
            at = part.end();
        }
        appendUnknown(pieces, at, shown.end());
    }

    private static void appendUnknown(List<HostPiece> pieces, long from, long to) {
        if (from < to) {
            append(pieces, new MemoryRange(from, to), UNKNOWN, 0, true);
        }
    }

    /** @param anonymous whether offsets mean nothing, so that neighbours are one */
    private static void append(List<HostPiece> pieces, MemoryRange part, long id, long offset, boolean anonymous) {
        HostPiece last = pieces.isEmpty() ? null : pieces.get(pieces.size() - 1);
        if (last != null
                && last.backing() == id
                && last.offsets().end() == part.start()
                && (anonymous || last.backingOffset() + last.offsets().length() == offset)) {
            MemoryRange both = new MemoryRange(last.offsets().start(), part.end());
            pieces.set(pieces.size() - 1, new HostPiece(both, last.backing(), last.backingOffset()));
        } else {
            pieces.add(new HostPiece(part, id, offset));
        }
    }

    private List<Held> overlapping(MemoryRange offsets) {
        Map.Entry<Long, Held> before = held.floorEntry(offsets.start());
        long from = before != null && before.getValue().range.overlaps(offsets) ? before.getKey() : offsets.start();
        return List.copyOf(held.subMap(from, offsets.end()).values());
    }

    private void check(MemoryRange offsets) {
        requireOpen();
        if (Long.compareUnsigned(offsets.end(), size) > 0) {
            throw new IllegalArgumentException(
                    offsets + " is not pages of the reservation 0x0-0x" + Long.toHexString(size));
        }
    }

    private void requireOpen() {
        if (closed) {
            throw new IllegalStateException("the reservation of 0x" + Long.toHexString(size) + " bytes is closed");
        }
    }

    @Override
    public synchronized void close() {
        if (closed) {
            return;
        }
        closed = true;
        locked.all().forEach(this::unlockNow);
        synchronized (room.exclusion()) {
            for (Held piece : held.values()) {
                try {
                    if (piece.isView()) {
                        room.vacateView(piece.range);
                    } else {
                        room.vacatePrivate(piece.range);
                    }
                } catch (IllegalStateException gone) {
                    // The other process has ended, and its memory with it.
                }
                piece.release();
            }
            held.clear();
            lingering.clear();
            room.close();
        }
        host.forget(this);
    }
}
