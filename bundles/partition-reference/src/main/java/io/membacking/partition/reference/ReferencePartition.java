package io.membacking.partition.reference;

import io.membacking.error.BackendException;
import io.membacking.error.Failure;
import io.membacking.partition.Capabilities;
import io.membacking.partition.CpuModel;
import io.membacking.partition.Partition;
import io.membacking.partition.PartitionMapping;
import io.membacking.partition.PartitionRequest;
import io.membacking.partition.Processor;
import io.membacking.range.MemoryRange;
import java.io.IOException;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A partition: a table of memory, and processors that look at it. The table is immutable and replaced as a whole; processors read
 * it without a lock. When unmapping returns, no processor uses the old table any more, but for one that waits for the end of a
 * commit that is changing the very memory: it goes on with what that commit leaves.
 */
final class ReferencePartition implements Partition {
    /** Nanoseconds: an instruction takes much less, unless it waits for a commit. */
    private static final long LOOK = TimeUnit.MILLISECONDS.toNanos(10);

    private final PartitionRequest request;
    private final Capabilities capabilities;
    private final CpuModel model;
    private final @Nullable DirtyLog dirtyLog;
    private final Consumer<ReferencePartition> onClose;

    /** By index. Guards itself, changes of the table and of the trace, and close. */
    private final Map<Integer, ReferenceProcessor> processors = new TreeMap<>();

    private final Object splitLock = new Object();
    private volatile SecondLevelTable table = SecondLevelTable.EMPTY;
    private volatile @Nullable TraceFile trace;
    private volatile boolean closed;

    /** @param onClose called once, when it has been closed */
    ReferencePartition(PartitionRequest request, Consumer<ReferencePartition> onClose) {
        this.request = request;
        this.model = request.model().orElseGet(CpuidTable::own);
        this.capabilities = ReferenceBackend.capabilities(CpuidTable.physicalWidth(model));
        this.dirtyLog = request.dirtyLog() ? new DirtyLog() : null;
        this.onClose = onClose;
    }

    @Override
    public String name() {
        return request.name();
    }

    @Override
    public String backend() {
        return ReferenceBackend.REFERENCE;
    }

    @Override
    public Capabilities capabilities() {
        return capabilities;
    }

    @Override
    public CpuModel cpuModel() {
        return model;
    }

    SecondLevelTable table() {
        return table;
    }

    @Nullable
    TraceFile trace() {
        return trace;
    }

    @Override
    public void map(PartitionMapping mapping) throws BackendException {
        String operation = "map into " + this;
        MemoryRange range = mapping.range();
        synchronized (processors) {
            checkOpen();
            checkAddresses(operation, mapping);
            Optional<PartitionMapping> other = table.overlapping(range);
            if (other.isPresent()) {
                throw refused(operation, range, other.get().range() + " is mapped already", "unmap it first");
            }
            if (table.size() == capabilities.maxMappings()) {
                throw refused(
                        operation,
                        range,
                        "there are " + table.size() + " mappings already",
                        "map fewer, larger ranges");
            }
            table = table.with(mapping);
            processors.values().forEach(ReferenceProcessor::askToLook);
        }
    }

    private void checkAddresses(String operation, PartitionMapping mapping) throws BackendException {
        MemoryRange range = mapping.range();
        int width = capabilities.physicalAddressWidth();
        if ((range.end() - 1) >>> width != 0) {
            throw refused(
                    operation,
                    range,
                    "it ends beyond the " + width + " bits of this processor's physical addresses",
                    "place it below 0x" + Long.toHexString(1L << width));
        }
        if (mapping.remote().isPresent()) {
            throw refused(
                    operation,
                    range,
                    "it is memory of another process",
                    "map memory of this process, or use another backend");
        }
        // Not used here, but the same for every backend: a guest that runs here can run elsewhere.
        long hva = mapping.hva();
        if (!MemoryRange.isAligned(hva) || hva <= 0 || hva + range.length() < 0) {
            throw refused(
                    operation,
                    range,
                    "0x" + Long.toHexString(hva) + " is no host address where it could lie",
                    "give the address of a page of this process");
        }
    }

    @Override
    public void unmap(MemoryRange range) throws BackendException {
        String operation = "unmap from " + this;
        synchronized (processors) {
            if (closed) {
                return;
            }
            Optional<PartitionMapping> mapping = table.overlapping(range);
            if (mapping.isEmpty()) {
                throw refused(operation, range, "nothing is mapped there", "");
            }
            if (!mapping.get().range().contains(range)) {
                throw refused(
                        operation,
                        range,
                        "one call unmaps what one call mapped, or a part of it, here "
                                + mapping.get().range(),
                        "unmap each on its own");
            }
            table = table.without(range);
            letProcessorsLook();
        }
    }

    private void letProcessorsLook() {
        long deadline = System.nanoTime() + LOOK;
        Map<ReferenceProcessor, Long> asked = new HashMap<>();
        processors.values().forEach(processor -> asked.put(processor, processor.askToLook()));
        asked.forEach((processor, number) -> processor.awaitLook(number, deadline));
    }

    @Override
    public void prefetch(MemoryRange range) throws BackendException {
        checkOpen();
        throw refused(
                "prefetch in " + this,
                range,
                "there are no tables of its own to populate",
                "prefetch the host memory instead");
    }

    @Override
    public void pin(MemoryRange range) throws BackendException {
        checkOpen();
        throw refused("pin in " + this, range, "there are no tables of its own to pin", "lock the host memory instead");
    }

    @Override
    public void unpin(MemoryRange range) {
        // Nothing is ever pinned.
    }

    @Override
    public List<PartitionMapping> mappings() {
        checkOpen();
        return table.mappings();
    }

    @Override
    public Processor createProcessor(int index) throws BackendException {
        String operation = "create processor " + index + " of " + this;
        if (index < 0 || index >= request.maxProcessors()) {
            throw new IllegalArgumentException(
                    operation + ": it was asked for " + request.maxProcessors() + " processors, counted from 0");
        }
        synchronized (processors) {
            checkOpen();
            if (processors.containsKey(index)) {
                throw refused(operation, null, "it was created before", "use it, or make another partition");
            }
            ReferenceProcessor processor = new ReferenceProcessor(this, index, model, dirtyLog, splitLock);
            processors.put(index, processor);
            return processor;
        }
    }

    @Override
    public void setInterruptLine(int line, boolean raised) throws BackendException {
        checkOpen();
        throw refused(
                "set interrupt line " + line + " of " + this,
                null,
                "the reference backend has no interrupt controllers",
                "use a backend with the capability " + Capabilities.INTERRUPT_CONTROLLERS);
    }

    @Override
    public BitSet takeDirty(MemoryRange range) throws BackendException {
        String operation = "take the dirty pages of " + this;
        DirtyLog log = dirtyLog;
        synchronized (processors) {
            checkOpen();
            if (log == null) {
                throw refused(operation, range, "it was made without a dirty log", "ask for one when it is made");
            }
            if (table.overlapping(range).isEmpty()) {
                throw refused(operation, range, "nothing is mapped there", "");
            }
            return log.take(range);
        }
    }

    @Override
    public void startTrace(Path file) throws BackendException {
        String operation = "trace " + this + " to " + file;
        synchronized (processors) {
            checkOpen();
            if (trace != null) {
                throw refused(operation, null, "it is being traced already", "stop that trace first");
            }
            try {
                trace = new TraceFile(file);
            } catch (IOException e) {
                throw new BackendException(
                        Failure.of(operation, null, "the file cannot be written: " + e, "name another file"), e);
            }
            processors.values().forEach(ReferenceProcessor::askToLook);
        }
    }

    @Override
    public void stopTrace() {
        synchronized (processors) {
            TraceFile file = trace;
            if (file != null) {
                trace = null;
                letProcessorsLook();
                file.close();
            }
        }
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
        synchronized (processors) {
            if (closed) {
                return;
            }
            closed = true;
            processors.values().forEach(ReferenceProcessor::stop); // all at once, so that they end side by side
            processors.values().forEach(ReferenceProcessor::close);
            processors.clear();
            table = SecondLevelTable.EMPTY;
            stopTrace();
        }
        onClose.accept(this);
    }

    private static BackendException refused(
            String operation, @Nullable MemoryRange range, String problem, String remedy) {
        return new BackendException(Failure.of(operation, range, problem, remedy));
    }

    @Override
    public String toString() {
        return "partition '" + name() + "'";
    }
}
