package io.membacking.partition.reference;

import io.membacking.access.GuestMemory;
import io.membacking.access.GuestMemoryAccessor;
import io.membacking.partition.PartitionMapping;
import java.util.IdentityHashMap;
import org.jspecify.annotations.Nullable;

/**
 * Guest-physical addresses as one processor reaches them: by the partition's table to the guest's memory, or to its monitor. It keeps
 * to one table until it is given another. For one thread at a time.
 *
 * <p>What the guest's memory throws goes through: it is for the processor to try again.
 */
final class Bus implements PageWalk.PhysicalMemory {
    private final Exchange exchange;
    private final @Nullable DirtyLog dirtyLog;

    private SecondLevelTable table = SecondLevelTable.EMPTY;
    private final IdentityHashMap<GuestMemory, GuestMemoryAccessor> accessors = new IdentityHashMap<>();
    private @Nullable Thread thread;

    Bus(Exchange exchange, @Nullable DirtyLog dirtyLog) {
        this.exchange = exchange;
        this.dirtyLog = dirtyLog;
    }

    void setTable(SecondLevelTable next) {
        table = next;
    }

    boolean logsWrites() {
        return dirtyLog != null;
    }

    /** Accessors are a thread's own. */
    void enter(Thread current) {
        if (thread != current) {
            thread = current;
            accessors.clear(); // those of the other thread go with the collector: only it could close them
        }
    }

    /** Forgets the guest's memory. */
    void forget() {
        if (Thread.currentThread() == thread) {
            accessors.values().forEach(GuestMemoryAccessor::close);
        }
        accessors.clear();
        thread = null;
        table = SecondLevelTable.EMPTY;
    }

    @Nullable
    PartitionMapping mapping(long gpa) {
        return table.at(gpa);
    }

    GuestMemory memory(PartitionMapping mapping) {
        GuestMemory memory = mapping.memory();
        GuestMemoryAccessor accessor = accessors.get(memory);
        if (accessor == null) {
            accessor = memory.accessor();
            accessors.put(memory, accessor);
        }
        return accessor;
    }

    static long offset(PartitionMapping mapping) {
        return mapping.memoryGpa() - mapping.range().start();
    }

    /** @param size 1 to 8, within a page */
    long read(long gpa, int size) {
        PartitionMapping mapping = table.at(gpa);
        if (mapping == null || (!exchange.isEmpty() && exchange.answersRead(gpa, size))) {
            return exchange.readMemory(gpa, size);
        }
        return HostMemory.load(memory(mapping), gpa + offset(mapping), size);
    }

    /** @param size 1 to 8, within a page */
    void write(long gpa, int size, long value) {
        PartitionMapping mapping = table.at(gpa);
        if (mapping == null || !mapping.writable() || (!exchange.isEmpty() && exchange.answersWrite(gpa, size))) {
            exchange.writeMemory(gpa, size, value);
            return;
        }
        HostMemory.store(memory(mapping), gpa + offset(mapping), size, value);
        mark(gpa);
    }

    /** Whether an operation of several accesses can be one here. */
    boolean canCompareAndSet(long gpa, int size) {
        PartitionMapping mapping = table.at(gpa);
        return mapping != null
                && mapping.writable()
                && exchange.isEmpty()
                && HostMemory.canCompareAndSet(gpa + offset(mapping), size);
    }

    /** Where {@link #canCompareAndSet}. */
    boolean compareAndSet(long gpa, int size, long expected, long value) {
        PartitionMapping mapping = table.at(gpa);
        if (mapping == null) {
            throw new AssertionError("nothing is mapped at 0x" + Long.toHexString(gpa));
        }
        boolean done = HostMemory.compareAndSet(memory(mapping), gpa + offset(mapping), size, expected, value);
        if (done) {
            mark(gpa);
        }
        return done;
    }

    @Override
    public long entry(long gpa, int size) {
        PartitionMapping mapping = table.at(gpa);
        return mapping == null ? 0 : HostMemory.load(memory(mapping), gpa + offset(mapping), size);
    }

    @Override
    public boolean replaceEntry(long gpa, int size, long expected, long value) {
        PartitionMapping mapping = table.at(gpa);
        return mapping == null || !mapping.writable() || compareAndSet(gpa, size, expected, value);
    }

    private void mark(long gpa) {
        DirtyLog log = dirtyLog;
        if (log != null) {
            log.mark(gpa);
        }
    }
}
