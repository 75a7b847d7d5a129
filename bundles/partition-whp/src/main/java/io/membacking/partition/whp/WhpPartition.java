package io.membacking.partition.whp;

import com.sun.jna.Memory;
import io.membacking.error.BackendException;
import io.membacking.partition.Capabilities;
import io.membacking.partition.CpuModel;
import io.membacking.partition.Partition;
import io.membacking.partition.PartitionMapping;
import io.membacking.partition.PartitionRequest;
import io.membacking.partition.Processor;
import io.membacking.range.MemoryRange;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.TreeMap;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A partition of the platform.
 *
 * <p>Whoever uses the handle holds the read lock of {@code life}, and close the write lock: a handle given back is never used again.
 */
final class WhpPartition implements Partition {
    private static final String MAP_REFUSED = "the platform does not map the range";

    private final WhpCalls calls;
    private final PartitionRequest request;
    private final WhpPlatform platform;
    private final long handle;
    private final CpuModel model;
    private final ProcessorFacts facts;
    private final Consumer<WhpPartition> onClose;

    private final ReadWriteLock life = new ReentrantReadWriteLock();
    private volatile boolean closed;

    /** Guarded by its own monitor, which is held while the platform is asked, so that both say the same. */
    private final RangeBook book = new RangeBook();

    // Guarded by the book's monitor:
    /** Processes that callers gave, by their handles. */
    private final Map<Long, ForeignViews> foreign = new HashMap<>();

    /** A process of our own that this partition's memory goes through; null without. */
    private @Nullable ForeignViews surrogate;

    /** By index; guards itself. */
    private final Map<Integer, WhpProcessor> processors = new TreeMap<>();

    private @Nullable Msrs msrs;

    private WhpPartition(
            WhpCalls calls,
            PartitionRequest request,
            WhpPlatform platform,
            long handle,
            CpuModel model,
            ProcessorFacts facts,
            Consumer<WhpPartition> onClose) {
        this.calls = calls;
        this.request = request;
        this.platform = platform;
        this.handle = handle;
        this.model = model;
        this.facts = facts;
        this.onClose = onClose;
    }

    /**
     * @param facts of the platform's processors
     * @param onClose called once, when it has been closed
     */
    static WhpPartition create(
            WhpCalls calls,
            PartitionRequest request,
            WhpPlatform platform,
            ProcessorFacts facts,
            Consumer<WhpPartition> onClose)
            throws BackendException {
        String operation = "create partition '" + request.name() + "'";
        if (request.interruptControllers()) {
            throw WhpErrors.refused(
                    operation,
                    null,
                    "the Windows Hypervisor Platform has no interrupt controllers and timer of a PC",
                    "ask for a partition without them");
        }
        if (request.dirtyLog() && !platform.capabilities().dirtyLog()) {
            throw WhpErrors.refused(
                    operation, null, "the platform does not track written pages here", "ask for no dirty log");
        }
        try (Memory memory = new Memory(Long.BYTES)) {
            WhpErrors.check(calls.createPartition(memory), operation, "the platform refuses another partition");
            long handle = memory.getLong(0);
            boolean made = false;
            try {
                CpuModel model = setUp(calls, handle, request, facts.model(), operation);
                WhpPartition partition = new WhpPartition(calls, request, platform, handle, model, facts, onClose);
                made = true;
                return partition;
            } finally {
                if (!made) {
                    calls.deletePartition(handle);
                }
            }
        }
    }

    private static CpuModel setUp(
            WhpCalls calls, long handle, PartitionRequest request, CpuModel ownModel, String operation)
            throws BackendException {
        try (Memory count = new Memory(Integer.BYTES)) {
            count.setInt(0, request.maxProcessors());
            WhpErrors.check(
                    calls.setPartitionProperty(handle, WhpAbi.PROPERTY_PROCESSOR_COUNT, count, Integer.BYTES),
                    operation,
                    "the platform refuses " + request.maxProcessors() + " processors");
        }
        CpuModel model = request.model().isPresent()
                ? CpuidLists.set(calls, handle, request.model().get(), ownModel, request.maxProcessors())
                : ownModel;
        WhpErrors.check(calls.setupPartition(handle), operation, "the platform does not set the partition up");
        return model;
    }

    @Override
    public String name() {
        return request.name();
    }

    @Override
    public String backend() {
        return WhpBackend.WHP;
    }

    @Override
    public Capabilities capabilities() {
        return platform.capabilities();
    }

    @Override
    public CpuModel cpuModel() {
        return model;
    }

    @Override
    public void map(PartitionMapping mapping) throws BackendException {
        String operation = "map into " + this;
        MemoryRange range = mapping.range();
        life.readLock().lock();
        try {
            checkOpen();
            synchronized (book) {
                checkAddresses(operation, mapping);
                Optional<PartitionMapping> other = book.overlapping(range);
                if (other.isPresent()) {
                    throw WhpErrors.refused(
                            operation, range, other.get().range() + " is mapped already", "unmap it first");
                }
                ForeignViews views = views(mapping, operation);
                if (views == null) {
                    int result =
                            calls.mapGpaRange(handle, mapping.hva(), range.start(), range.length(), flags(mapping));
                    if (result == Hresult.PARTITION_ALREADY_EXISTS) {
                        views = surrogate(mapping, operation);
                    } else if (result < 0) {
                        throw WhpErrors.failed(operation, range, MAP_REFUSED, result);
                    }
                }
                if (views != null) {
                    mapThrough(views, mapping, operation);
                }
                book.add(mapping, views);
            }
        } finally {
            life.readLock().unlock();
        }
    }

    /** The process that the mapping is to go through, or null for this one. */
    private @Nullable ForeignViews views(PartitionMapping mapping, String operation) throws BackendException {
        Optional<PartitionMapping.Remote> remote = mapping.remote();
        if (remote.isEmpty()) {
            return surrogate;
        }
        if (!capabilities().remoteProcess()) {
            throw WhpErrors.refused(
                    operation,
                    mapping.range(),
                    "this version of Windows does not map memory of another process",
                    "use Windows 10 version 20H2 or later, or map it in this process");
        }
        return foreign.computeIfAbsent(remote.get().process(), process -> new ForeignViews(calls, process, false));
    }

    /**
     * The platform lets one partition of a process have memory, and another has it: from here on, this one's goes through a
     * process of its own.
     */
    private ForeignViews surrogate(PartitionMapping mapping, String operation) throws BackendException {
        String rule = "another partition of this process has memory, and the platform allows one";
        if (!capabilities().remoteProcess() || mapping.source().isEmpty()) {
            throw WhpErrors.failed(
                    operation,
                    mapping.range(),
                    rule
                            + (mapping.source().isEmpty()
                                    ? "; through another process goes only memory of one backing with a descriptor"
                                    : ""),
                    Hresult.PARTITION_ALREADY_EXISTS);
        }
        long process = calls.startSurrogate();
        if (process < 0) {
            throw WhpErrors.failed(
                    operation, mapping.range(), rule + "; a process to go through cannot be started", (int) process);
        }
        ForeignViews started = new ForeignViews(calls, process, true);
        surrogate = started;
        return started;
    }

    private void mapThrough(ForeignViews views, PartitionMapping mapping, String operation) throws BackendException {
        MemoryRange range = mapping.range();
        boolean mapped = false;
        try {
            PartitionMapping.Source source = source(mapping, operation);
            long address = views.use(source, operation, range);
            int result =
                    calls.mapGpaRange2(handle, views.process(), address, range.start(), range.length(), flags(mapping));
            if (result < 0) {
                views.used(source, -1);
                throw views.failed(operation, range, MAP_REFUSED, result);
            }
            mapped = true;
        } finally {
            if (!mapped && views.isEmpty()) {
                drop(views);
            }
        }
    }

    /** Nothing goes through it any more. */
    private void drop(ForeignViews views) {
        if (views == surrogate) {
            surrogate = null;
        } else {
            foreign.remove(views.process());
        }
        views.close();
    }

    private static PartitionMapping.Source source(PartitionMapping mapping, String operation) throws BackendException {
        if (mapping.source().isPresent()) {
            return mapping.source().get();
        }
        OptionalInt descriptor =
                mapping.remote().map(PartitionMapping.Remote::descriptor).orElse(OptionalInt.empty());
        if (descriptor.isEmpty()) {
            throw WhpErrors.refused(
                    operation,
                    mapping.range(),
                    "private memory, or memory of several backings, cannot be mapped through another process",
                    "use shared memory, one backing a range");
        }
        // Without the backing's number, its descriptor: below zero, where no numbers are.
        return new PartitionMapping.Source(
                -1L - descriptor.getAsInt(),
                descriptor.getAsInt(),
                mapping.remote().orElseThrow().offset());
    }

    private int flags(PartitionMapping mapping) {
        return WhpAbi.MAP_READ
                | (mapping.writable() ? WhpAbi.MAP_WRITE : 0)
                | (mapping.executable() ? WhpAbi.MAP_EXECUTE : 0)
                | (request.dirtyLog() ? WhpAbi.MAP_TRACK_DIRTY_PAGES : 0);
    }

    private void checkAddresses(String operation, PartitionMapping mapping) throws BackendException {
        MemoryRange range = mapping.range();
        int width = capabilities().physicalAddressWidth();
        if (width < Long.SIZE && (range.end() - 1) >>> width != 0) {
            throw WhpErrors.refused(
                    operation,
                    range,
                    "it ends beyond the " + width + " bits of this processor's physical addresses",
                    "place it below 0x" + Long.toHexString(1L << width));
        }
        long hva = mapping.hva();
        if (!MemoryRange.isAligned(hva) || hva <= 0 || hva + range.length() < 0 || (hva + range.length()) >>> 47 != 0) {
            throw WhpErrors.refused(
                    operation,
                    range,
                    "0x" + Long.toHexString(hva) + " is no host address where it could lie",
                    "give the address of a page of this process");
        }
    }

    @Override
    public void unmap(MemoryRange range) throws BackendException {
        String operation = "unmap from " + this;
        life.readLock().lock();
        try {
            if (closed) {
                return;
            }
            synchronized (book) {
                Optional<PartitionMapping> found = book.overlapping(range);
                if (found.isEmpty()) {
                    throw WhpErrors.refused(operation, range, "nothing is mapped there", "");
                }
                MemoryRange whole = found.get().range();
                if (!whole.equals(range) && (!capabilities().partialUnmap() || !whole.contains(range))) {
                    throw WhpErrors.refused(
                            operation,
                            range,
                            "the platform unmaps only what one call mapped"
                                    + (capabilities().partialUnmap() ? ", or a part of it" : "") + ", here " + whole,
                            "unmap that, and map what is to stay");
                }
                int result = calls.unmapGpaRange(handle, range.start(), range.length());
                if (result < 0) {
                    throw WhpErrors.failed(operation, range, "the platform does not unmap the range", result);
                }
                RangeBook.Entry entry = book.touching(range).get(0);
                int left = book.remove(range);
                ForeignViews views = entry.views();
                if (views != null) {
                    views.used(source(entry.mapping(), operation), left - 1);
                    if (views.isEmpty()) {
                        drop(views);
                    }
                }
            }
        } finally {
            life.readLock().unlock();
        }
    }

    @Override
    public void prefetch(MemoryRange range) throws BackendException {
        String operation = "prefetch in " + this;
        life.readLock().lock();
        try {
            checkOpen();
            requireAdvice(operation, range, capabilities().prefetch());
            synchronized (book) {
                requireMapped(operation, range);
                for (RangeBook.Entry entry : book.touching(range)) {
                    MemoryRange part = entry.range().intersection(range).orElseThrow();
                    int result =
                            advise(part, WhpAbi.ADVISE_POPULATE, entry.mapping().writable());
                    if (result < 0) {
                        throw WhpErrors.failed(operation, part, "the platform could not populate its tables", result);
                    }
                }
            }
        } finally {
            life.readLock().unlock();
        }
    }

    private void requireAdvice(String operation, MemoryRange range, boolean there) throws BackendException {
        if (!there) {
            throw WhpErrors.refused(
                    operation,
                    range,
                    "this version of Windows takes no advice about memory",
                    "use Windows 10 version 2004 or later, or do without");
        }
    }

    private void requireMapped(String operation, MemoryRange range) throws BackendException {
        if (!book.covers(range)) {
            throw WhpErrors.refused(operation, range, "not all of it is mapped", "map it first");
        }
    }

    private int advise(MemoryRange range, int advice, boolean writable) {
        try (Memory entry = new Memory(WhpAbi.RANGE_ENTRY_SIZE);
                Memory populate = new Memory(WhpAbi.POPULATE_SIZE)) {
            entry.setLong(WhpAbi.RANGE_ENTRY_ADDRESS, range.start());
            entry.setLong(WhpAbi.RANGE_ENTRY_BYTES, range.length());
            populate.setInt(WhpAbi.POPULATE_FLAGS, 0);
            populate.setInt(WhpAbi.POPULATE_ACCESS_TYPE, writable ? WhpAbi.ACCESS_WRITE : WhpAbi.ACCESS_READ);
            boolean populates = advice == WhpAbi.ADVISE_POPULATE;
            return calls.adviseGpaRange(
                    handle, entry, 1, advice, populates ? populate : null, populates ? WhpAbi.POPULATE_SIZE : 0);
        }
    }

    @Override
    public void pin(MemoryRange range) throws BackendException {
        String operation = "pin in " + this;
        life.readLock().lock();
        try {
            checkOpen();
            requireAdvice(operation, range, capabilities().pin());
            synchronized (book) {
                requireMapped(operation, range);
                int result = advise(range, WhpAbi.ADVISE_PIN, true);
                if (result < 0) {
                    throw WhpErrors.failed(operation, range, "the platform could not pin the range", result);
                }
            }
        } finally {
            life.readLock().unlock();
        }
    }

    @Override
    public void unpin(MemoryRange range) {
        life.readLock().lock();
        try {
            if (!closed && capabilities().pin()) {
                synchronized (book) {
                    if (book.covers(range)) {
                        advise(range, WhpAbi.ADVISE_UNPIN, true);
                    }
                }
            }
        } finally {
            life.readLock().unlock();
        }
    }

    /**
     * Populates a page that the guest met before it was there.
     *
     * @return the platform's result
     */
    int populate(long gpa, boolean write) {
        MemoryRange page = MemoryRange.ofLength(gpa & -MemoryRange.PAGE_SIZE, MemoryRange.PAGE_SIZE);
        synchronized (book) {
            Optional<RangeBook.Entry> entry = book.at(gpa);
            if (entry.isEmpty()) {
                return Hresult.OK; // unmapped since: the access exits again, and says so
            }
            int result = advise(page, WhpAbi.ADVISE_POPULATE, write);
            if (!WhpPlatform.isThere(result)) {
                // Touching it is all that is left.
                entry.get().read(page.start(), new byte[1], 0, 1);
                return Hresult.OK;
            }
            return result;
        }
    }

    /** Whether the book has memory at the address that permits the access. */
    boolean permits(long gpa, boolean write) {
        synchronized (book) {
            return book.at(gpa)
                    .filter(entry -> !write || entry.mapping().writable())
                    .isPresent();
        }
    }

    @Override
    public BitSet takeDirty(MemoryRange range) throws BackendException {
        String operation = "take the dirty pages of " + this;
        life.readLock().lock();
        try {
            checkOpen();
            if (!request.dirtyLog()) {
                throw WhpErrors.refused(
                        operation, range, "it was made without a dirty log", "ask for one when it is created");
            }
            BitSet dirty = new BitSet();
            synchronized (book) {
                List<RangeBook.Entry> entries = book.touching(range);
                if (entries.isEmpty()) {
                    throw WhpErrors.refused(operation, range, "nothing is mapped there", "");
                }
                for (RangeBook.Entry entry : entries) {
                    MemoryRange part = entry.range().intersection(range).orElseThrow();
                    // What the platform has told it may tell no more: it is ours until all of the range is known.
                    int from = pages(entry.range().start(), part.start());
                    BitSet.valueOf(queryDirty(part, operation)).stream()
                            .forEach(page -> entry.written().set(from + page));
                }
                for (RangeBook.Entry entry : entries) {
                    MemoryRange part = entry.range().intersection(range).orElseThrow();
                    int offset = pages(range.start(), part.start());
                    int from = pages(entry.range().start(), part.start());
                    int to = from + Math.toIntExact(part.pages());
                    entry.written().get(from, to).stream().forEach(page -> dirty.set(offset + page));
                    entry.written().clear(from, to);
                }
            }
            return dirty;
        } finally {
            life.readLock().unlock();
        }
    }

    private static int pages(long from, long to) {
        return Math.toIntExact((to - from) / MemoryRange.PAGE_SIZE);
    }

    private long[] queryDirty(MemoryRange part, String operation) throws BackendException {
        int words = Math.toIntExact((part.pages() + Long.SIZE - 1) / Long.SIZE);
        try (Memory bitmap = new Memory((long) words * Long.BYTES)) {
            bitmap.clear();
            int result =
                    calls.queryGpaRangeDirtyBitmap(handle, part.start(), part.length(), bitmap, words * Long.BYTES);
            if (result < 0) {
                throw WhpErrors.failed(operation, part, "the platform does not tell the written pages", result);
            }
            return bitmap.getLongArray(0, words);
        }
    }

    @Override
    public List<PartitionMapping> mappings() {
        checkOpen();
        synchronized (book) {
            return book.mappings();
        }
    }

    @Override
    public Processor createProcessor(int index) throws BackendException {
        String operation = "create processor " + index + " of " + this;
        if (index < 0 || index >= request.maxProcessors()) {
            throw new IllegalArgumentException(
                    operation + ": it was asked for " + request.maxProcessors() + " processors, counted from 0");
        }
        life.readLock().lock();
        try {
            checkOpen();
            if (!capabilities().processors()) {
                throw WhpErrors.refused(
                        operation,
                        null,
                        "processors are x86-64, and this host is " + System.getProperty("os.arch", "?"),
                        "use an x86-64 host");
            }
            synchronized (processors) {
                if (processors.containsKey(index)) {
                    throw WhpErrors.refused(
                            operation, null, "it was created before", "use it, or make another partition");
                }
                WhpErrors.check(
                        calls.createVirtualProcessor(handle, index),
                        operation,
                        "the platform refuses another processor");
                WhpProcessor processor = null;
                try {
                    Msrs known = msrs != null ? msrs : Msrs.find(calls, handle, index, operation);
                    msrs = known;
                    processor = new WhpProcessor(
                            calls,
                            this,
                            handle,
                            index,
                            known,
                            platform.xsave(),
                            facts,
                            new PartitionRam(calls, handle, index, book));
                } finally {
                    if (processor == null) {
                        calls.deleteVirtualProcessor(handle, index);
                    }
                }
                processors.put(index, processor);
                return processor;
            }
        } finally {
            life.readLock().unlock();
        }
    }

    @Override
    public void setInterruptLine(int line, boolean raised) throws BackendException {
        checkOpen();
        throw WhpErrors.refused(
                "set interrupt line " + line + " of " + this,
                null,
                "it has no interrupt controllers",
                "use a backend with the capability " + Capabilities.INTERRUPT_CONTROLLERS);
    }

    @Override
    public boolean isClosed() {
        return closed;
    }

    private void checkOpen() {
        if (closed) {
            throw new IllegalStateException(this + " is closed");
        }
    }

    @Override
    public void close() {
        life.writeLock().lock();
        try {
            if (closed) {
                return;
            }
            closed = true;
            synchronized (processors) {
                processors.values().forEach(WhpProcessor::stop); // all at once, so that they leave side by side
                processors.values().forEach(WhpProcessor::close);
                processors.clear();
            }
            calls.deletePartition(handle); // which drops every mapping
            synchronized (book) {
                book.clear();
                foreign.values().forEach(ForeignViews::close);
                foreign.clear();
                if (surrogate != null) {
                    surrogate.close();
                    surrogate = null;
                }
            }
        } finally {
            life.writeLock().unlock();
        }
        onClose.accept(this);
    }

    @Override
    public String toString() {
        return "partition '" + name() + "'";
    }
}
