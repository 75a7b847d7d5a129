package io.membacking.partition.reference;

import io.membacking.access.GuestMemory;
import io.membacking.partition.Exit;
import io.membacking.partition.PartitionMapping;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Linear addresses: the guest's page tables, the accesses that cross pages, and a buffer of translations that have been used.
 *
 * <p>The buffer holds only pages of memory, only for accesses that need nothing done at each of them, and is emptied whenever the
 * guest or the partition may have changed a translation.
 */
final class Mmu {
    private static final int PAGE = 4096;
    private static final int SLOTS = 512;

    /** Translations for one kind of access. A key is the page's number, and whether it is for CPL 3. */
    private static final class Buffer {
        final long[] keys = new long[SLOTS];
        final @Nullable GuestMemory[] memory = new GuestMemory[SLOTS];
        /** What to add to a linear address. */
        final long[] offsets = new long[SLOTS];

        void clear() {
            Arrays.fill(keys, -1);
        }

        void forget() {
            clear();
            Arrays.fill(memory, null);
        }

        void put(long linear, int user, GuestMemory pageMemory, long offset) {
            int slot = (int) (linear >>> 12) & (SLOTS - 1);
            keys[slot] = linear >>> 12 << 1 | user;
            memory[slot] = pageMemory;
            offsets[slot] = offset;
        }
    }

    private final Registers registers;
    private final Bus bus;
    private final Exchange exchange;
    private final PageWalk walk;
    private final Buffer reads = new Buffer();
    private final Buffer writes = new Buffer();
    private final Buffer fetches = new Buffer();
    private @Nullable TraceLines trace;

    Mmu(Registers registers, Bus bus, Exchange exchange, int physicalWidth) {
        this.registers = registers;
        this.bus = bus;
        this.exchange = exchange;
        this.walk = new PageWalk(bus, registers, physicalWidth);
        flush();
    }

    /** Forgets every translation. */
    void flush() {
        reads.clear();
        writes.clear();
        fetches.clear();
    }

    /** The memory, too. */
    void forget() {
        reads.forget();
        writes.forget();
        fetches.forget();
    }

    void setTrace(@Nullable TraceLines lines) {
        trace = lines;
        flush();
    }

    private int user() {
        return registers.cpl == 3 ? 1 : 0;
    }

    /** @param size 1, 2, 4 or 8 */
    long read(long linear, int size) {
        return read(linear, size, user());
    }

    /** As the processor itself reads its tables: with all rights. */
    long readSystem(long linear, int size) {
        return read(linear, size, 0);
    }

    private long read(long linear, int size, int user) {
        int slot = (int) (linear >>> 12) & (SLOTS - 1);
        if (reads.keys[slot] == (linear >>> 12 << 1 | user) && (linear & (PAGE - 1)) + size <= PAGE) {
            GuestMemory memory = reads.memory[slot];
            if (memory != null && exchange.isEmpty()) {
                return HostMemory.load(memory, linear + reads.offsets[slot], size);
            }
        }
        return readSlowly(linear, size, user);
    }

    private long readSlowly(long linear, int size, int user) {
        int here = Math.min(size, PAGE - (int) (linear & (PAGE - 1)));
        long first = walk.translate(linear, false, false, user == 1);
        long value;
        if (here == size) {
            value = bus.read(first, size);
            keep(reads, linear, user, first, false);
        } else {
            long rest = walk.translate(next(linear, here), false, false, user == 1);
            value = bus.read(first, here);
            value |= bus.read(rest, size - here) << (8 * here);
        }
        if (trace != null) {
            trace.access('r', linear, first, size, value);
        }
        return value;
    }

    /** @param size 1, 2, 4 or 8 */
    void write(long linear, int size, long value) {
        write(linear, size, value, user());
    }

    void writeSystem(long linear, int size, long value) {
        write(linear, size, value, 0);
    }

    private void write(long linear, int size, long value, int user) {
        int slot = (int) (linear >>> 12) & (SLOTS - 1);
        if (writes.keys[slot] == (linear >>> 12 << 1 | user) && (linear & (PAGE - 1)) + size <= PAGE) {
            GuestMemory memory = writes.memory[slot];
            if (memory != null && exchange.isEmpty()) {
                HostMemory.store(memory, linear + writes.offsets[slot], size, value);
                return;
            }
        }
        writeSlowly(linear, size, value, user);
    }

    private void writeSlowly(long linear, int size, long value, int user) {
        int here = Math.min(size, PAGE - (int) (linear & (PAGE - 1)));
        long first = walk.translate(linear, true, false, user == 1);
        long masked = value & Alu.mask(size);
        if (here == size) {
            bus.write(first, size, masked);
            keep(writes, linear, user, first, true);
        } else { // both or none
            long rest = walk.translate(next(linear, here), true, false, user == 1);
            bus.write(first, here, masked & Alu.mask(here));
            bus.write(rest, size - here, masked >>> (8 * here));
        }
        if (trace != null) {
            trace.access('w', linear, first, size, masked);
        }
    }

    /** Raises the fault that a write would raise. */
    void checkWrite(long linear, int size) {
        int user = user();
        int slot = (int) (linear >>> 12) & (SLOTS - 1);
        if (writes.keys[slot] == (linear >>> 12 << 1 | user) && (linear & (PAGE - 1)) + size <= PAGE) {
            return;
        }
        walk.translate(linear, true, false, user == 1);
        int here = Math.min(size, PAGE - (int) (linear & (PAGE - 1)));
        if (here != size) {
            walk.translate(next(linear, here), true, false, user == 1);
        }
    }

    /** Whether reading and writing can be made one operation by {@link #compareAndSet}. Raises the fault that a write would raise. */
    boolean canCompareAndSet(long linear, int size) {
        checkWrite(linear, size);
        return (linear & (PAGE - 1)) + size <= PAGE
                && bus.canCompareAndSet(walk.translate(linear, true, false, user() == 1), size);
    }

    boolean compareAndSet(long linear, int size, long expected, long value) {
        long physical = walk.translate(linear, true, false, user() == 1);
        boolean done = bus.compareAndSet(physical, size, expected, value);
        if (done && trace != null) {
            trace.access('w', linear, physical, size, value);
        }
        return done;
    }

    /** Whether {@link #fetch} can be used for the 16 bytes from an address on. */
    boolean canFetch(long linear) {
        int slot = (int) (linear >>> 12) & (SLOTS - 1);
        return fetches.keys[slot] == (linear >>> 12 << 1 | user()) && (linear & (PAGE - 1)) <= PAGE - 16;
    }

    /** Eight bytes of code. */
    long fetch(long linear) {
        int slot = (int) (linear >>> 12) & (SLOTS - 1);
        GuestMemory memory = fetches.memory[slot];
        if (memory == null) {
            throw new AssertionError("no code is kept for 0x" + Long.toHexString(linear));
        }
        return memory.readLong(linear + fetches.offsets[slot]);
    }

    /**
     * A byte of code.
     *
     * @throws ExitRequest if there is no memory from which to execute
     */
    byte fetchByte(long linear) {
        int user = user();
        long physical = walk.translate(linear, false, true, user == 1);
        PartitionMapping mapping = bus.mapping(physical);
        if (mapping == null || !mapping.executable()) {
            String where = "guest address 0x" + Long.toHexString(physical);
            throw new ExitRequest(new Exit.EmulationFailure(
                    registers.rip,
                    new byte[0],
                    mapping == null
                            ? "no memory is mapped at " + where + " to fetch an instruction from"
                            : "the memory at " + where + " is not executable"));
        }
        GuestMemory memory = bus.memory(mapping);
        long offset = physical - linear + Bus.offset(mapping);
        fetches.put(linear, user, memory, offset);
        return memory.readByte(linear + offset);
    }

    private void keep(Buffer buffer, long linear, int user, long physical, boolean write) {
        PartitionMapping mapping = bus.mapping(physical);
        boolean needsMore = trace != null || !exchange.isEmpty() || (write && bus.logsWrites());
        if (mapping != null && !needsMore && (!write || mapping.writable())) {
            buffer.put(linear, user, bus.memory(mapping), physical - linear + Bus.offset(mapping));
        }
    }

    private long next(long linear, int bytes) {
        long sum = linear + bytes;
        return registers.longMode ? sum : sum & 0xffffffffL;
    }
}
