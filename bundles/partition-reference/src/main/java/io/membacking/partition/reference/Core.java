package io.membacking.partition.reference;

import io.membacking.error.GuestAccessException;
import io.membacking.partition.CpuModel;
import io.membacking.partition.Exit;
import io.membacking.partition.ProcessorState.PendingEvents;
import io.membacking.partition.ProcessorState.VectorState;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Carries out instructions, one a step, each whole or not at all: what stops one in the middle, an exception of the guest's, an
 * exit to the monitor, or memory that the host is just changing, leaves the registers as they were. After an exit the instruction
 * is begun again, with the monitor's answer in the {@link Exchange}. For one thread at a time.
 */
final class Core {
    private static final int CACHE = 1 << 14;

    /** Nanoseconds in which a commit may be between showing memory to the partition and showing it to everybody. */
    private static final long REFUSAL = TimeUnit.SECONDS.toNanos(2);

    /** What becomes of an operand, with the flags set as a side effect. */
    interface Change {
        long apply(Core core, long value, long other, int size);
    }

    final Registers r = new Registers();
    final Exchange exchange = new Exchange();
    final Bus bus;
    final Mmu mmu;
    final CpuModel model;
    final int index;
    final TimeStampCounter timeStamps;
    /** The bits of CR4 that there are. */
    final long controlBits;
    /** Held for who can execute what is in them. */
    VectorState vectors;

    /** Held for locked operations that the host's memory cannot make one: among processors of a partition they are. */
    private final Object splitLock;

    /** Where the instruction under way goes on. */
    long nextRip;

    PendingEvents events = PendingEvents.NONE;

    private PendingEvents eventsBefore = PendingEvents.NONE;

    private final Registers saved = new Registers();
    private boolean checkpointTaken;
    private int flagsBefore;
    private boolean noStepTrap;
    private @Nullable Exit afterwards;
    private long refusedSince;
    private @Nullable TraceLines trace;

    private final @Nullable Instruction[] cache = new Instruction[CACHE];
    private final long[] cacheKeys = new long[CACHE];

    Core(int index, CpuModel model, @Nullable DirtyLog dirtyLog, Object splitLock) {
        this.index = index;
        this.model = model;
        this.splitLock = splitLock;
        this.timeStamps = new TimeStampCounter(CpuidTable.timeStampFrequency(model));
        this.controlBits = CpuidTable.controlBits(model);
        this.vectors = initialVectors(model);
        this.bus = new Bus(exchange, dirtyLog);
        this.mmu = new Mmu(r, bus, exchange, CpuidTable.physicalWidth(model));
    }

    /** As after reset: nothing in it but the control words. */
    private static VectorState initialVectors(CpuModel model) {
        byte[] area = new byte[CpuidTable.xsaveSize(model)];
        area[0] = 0x7f; // the x87 control word
        area[1] = 3;
        area[24] = (byte) 0x80; // MXCSR
        area[25] = 0x1f;
        return new VectorState(1, area);
    }

    void setTrace(@Nullable TraceLines lines) {
        trace = lines;
        mmu.setTrace(lines);
    }

    /** A thread takes it up. */
    void enter(Thread thread) {
        bus.enter(thread);
        mmu.flush();
    }

    void setTable(SecondLevelTable table) {
        bus.setTable(table);
        mmu.flush();
    }

    void forgetMemory() {
        mmu.forget();
        bus.forget();
    }

    // Steps.

    /** One instruction, one iteration of a repeated one, or one event delivered. @return why the guest was left, or null */
    @SuppressWarnings("ReferenceEquality") // at every step: NONE is the only one that is empty
    @Nullable
    Exit step() {
        flagsBefore = r.flags;
        eventsBefore = events;
        checkpointTaken = false;
        exchange.rewind();
        try {
            try {
                if (events != PendingEvents.NONE && Events.deliverPending(this)) {
                    noStepTrap = true;
                } else {
                    execute();
                }
            } catch (PageFault fault) {
                rollback();
                r.cr2 = fault.linear();
                raise(GuestFault.PAGE_FAULT, fault.errorCode(), r.rip);
            } catch (GuestFault fault) {
                rollback();
                raise(fault.vector(), fault.errorCode(), r.rip);
            }
        } catch (ExitRequest request) {
            rollback();
            events = eventsBefore;
            afterwards = null;
            if (exchange.asked() == null) { // a shutdown, or beyond the subset: no answer finishes it
                exchange.clear();
            }
            if (trace != null) {
                trace.discard();
            }
            return request.exit();
        } catch (GuestAccessException e) {
            return refused(String.valueOf(e.getMessage()), false);
        } catch (IllegalStateException e) { // the guest's memory is closed
            return refused(String.valueOf(e.getMessage()), true);
        }
        exchange.clear();
        refusedSince = 0;
        if (trace != null) {
            trace.done();
        }
        Exit exit = afterwards;
        afterwards = null;
        return exit;
    }

    private void execute() {
        noStepTrap = false;
        Instruction in = fetch();
        nextRip = r.codeSize == 8 ? r.rip + in.length : (r.rip + in.length) & 0xffffffffL;
        r.general[Instruction.RIP] = nextRip;
        if (trace != null) {
            trace.instruction(r.rip, in);
        }
        in.opcode.operation().run(this, in);
        r.rip = nextRip;
        if ((flagsBefore & (Flags.TF | Flags.RF)) != 0) {
            afterFlagged();
        }
    }

    private void afterFlagged() {
        if ((flagsBefore & Flags.RF) != 0 && !noStepTrap) {
            r.flags &= ~Flags.RF;
        }
        if ((flagsBefore & Flags.TF) != 0 && !noStepTrap && afterwards == null) {
            r.debug[6] |= 0x4000;
            flagsBefore = r.flags;
            raise(GuestFault.DEBUG, GuestFault.NO_CODE, r.rip);
        }
    }

    /** The instruction under way is not followed by a single-step trap, or changes RF itself. */
    void suppressStepTrap() {
        noStepTrap = true;
    }

    /** The instruction under way ends with an exit. */
    void leaveAfterwards(Exit exit) {
        afterwards = exit;
    }

    /** Before the first register is changed by an operation that can fail later. */
    void checkpoint() {
        if (!checkpointTaken) {
            r.copyTo(saved);
            saved.flags = flagsBefore;
            checkpointTaken = true;
        }
    }

    private void rollback() {
        if (checkpointTaken) {
            boolean modeChanged = saved.cpl != r.cpl || saved.cr0 != r.cr0 || saved.cr3 != r.cr3 || saved.cr4 != r.cr4;
            saved.copyTo(r);
            if (modeChanged) {
                mmu.flush();
            }
        } else {
            r.flags = flagsBefore;
        }
    }

    /** Delivers an exception, or what comes of it. */
    private void raise(int vector, int errorCode, long returnRip) {
        checkpointTaken = false;
        checkpoint();
        try {
            Events.deliver(this, vector, errorCode, Events.Kind.EXCEPTION, returnRip);
            return;
        } catch (PageFault second) {
            rollback();
            r.cr2 = second.linear();
            raiseSecond(vector, GuestFault.PAGE_FAULT, second.errorCode(), returnRip);
        } catch (GuestFault second) {
            rollback();
            raiseSecond(vector, second.vector(), second.errorCode(), returnRip);
        }
    }

    private void raiseSecond(int first, int second, int errorCode, long returnRip) {
        if (first == GuestFault.DOUBLE_FAULT) {
            throw new ExitRequest(new Exit.Shutdown("triple fault"));
        }
        boolean twice = first == GuestFault.PAGE_FAULT
                ? second == GuestFault.PAGE_FAULT || isContributory(second)
                : isContributory(first) && isContributory(second);
        if (twice) {
            raise(GuestFault.DOUBLE_FAULT, 0, returnRip);
        } else {
            raise(second, errorCode, returnRip);
        }
    }

    private static boolean isContributory(int vector) {
        return vector == GuestFault.DIVIDE_ERROR
                || (vector >= GuestFault.INVALID_TSS && vector <= GuestFault.PROTECTION);
    }

    /** The host has not what the partition has: for a moment in the middle of a commit, or for good. */
    private @Nullable Exit refused(String problem, boolean forGood) {
        rollback();
        events = eventsBefore;
        mmu.flush();
        afterwards = null;
        if (trace != null) {
            trace.discard();
        }
        long now = System.nanoTime();
        if (refusedSince == 0) {
            refusedSince = now | 1;
        }
        if (!forGood && now - refusedSince < REFUSAL) {
            Thread.onSpinWait();
            return null;
        }
        refusedSince = 0;
        return new Exit.MemoryFault(-1, problem);
    }

    // Fetching.

    private Instruction fetch() {
        int codeSize = r.codeSize;
        long linear;
        if (codeSize == 8) {
            linear = r.rip;
        } else {
            SegmentRegister cs = r.segments[Registers.CS];
            if (Long.compareUnsigned(r.rip, cs.limit & 0xffffffffL) > 0) {
                throw protection(0);
            }
            linear = (cs.base + r.rip) & 0xffffffffL;
        }
        int slot = (int) (linear ^ linear >>> 14) & (CACHE - 1);
        Instruction known = cache[slot];
        if (known != null && cacheKeys[slot] == linear && known.codeSize == codeSize && mmu.canFetch(linear)) {
            long first = mmu.fetch(linear);
            // Compared, not trusted: the guest may have written over it.
            if (((first ^ known.first) << known.firstShift()) == 0
                    && (known.length <= 8 || ((mmu.fetch(linear + 8) ^ known.rest) << known.restShift()) == 0)) {
                return known;
            }
        }
        Instruction in = decode(linear, codeSize);
        cache[slot] = in;
        cacheKeys[slot] = linear;
        return in;
    }

    private Instruction decode(long linear, int codeSize) {
        if (codeSize == 8 && !isCanonical(linear)) {
            throw protection(0);
        }
        CodeBytes bytes = new CodeBytes(linear, codeSize);
        try {
            return Decoder.decode(bytes, codeSize);
        } catch (Decoder.TooLong e) {
            throw protection(0);
        }
    }

    private final class CodeBytes implements Decoder.Bytes {
        private final long limit;
        private final boolean wide;
        private long linear;
        private long offset;

        CodeBytes(long linear, int codeSize) {
            this.linear = linear;
            this.wide = codeSize == 8;
            this.offset = r.rip;
            this.limit = r.segments[Registers.CS].limit & 0xffffffffL;
        }

        @Override
        public int next() {
            if (!wide && Long.compareUnsigned(offset, limit) > 0) {
                throw protection(0);
            }
            byte value = mmu.fetchByte(linear);
            offset++;
            linear = wide ? linear + 1 : (linear + 1) & 0xffffffffL;
            return value;
        }
    }

    // Faults.

    GuestFault undefined() {
        return new GuestFault(GuestFault.INVALID_OPCODE, GuestFault.NO_CODE);
    }

    GuestFault protection(int errorCode) {
        return new GuestFault(GuestFault.PROTECTION, errorCode);
    }

    /** The exit for what is beyond the subset, with the bytes from the instruction's first on as far as they can be read. */
    ExitRequest unsupported(String detail) {
        long linear = r.codeSize == 8 ? r.rip : (r.segments[Registers.CS].base + r.rip) & 0xffffffffL;
        byte[] bytes = new byte[Instruction.MOST_BYTES];
        int length = 0;
        try {
            while (length < bytes.length) {
                bytes[length] = mmu.fetchByte(linear + length);
                length++;
            }
        } catch (PageFault | ExitRequest e) {
            // No more of them; the instruction itself has been read.
        }
        return new ExitRequest(new Exit.EmulationFailure(r.rip, Arrays.copyOf(bytes, length), detail));
    }

    void requirePrivilege() {
        if (r.cpl != 0) {
            throw protection(0);
        }
    }

    // Addresses.

    boolean isCanonical(long address) {
        int shift = (r.cr4 & Registers.CR4_LA57) != 0 ? 64 - 57 : 64 - 48;
        return address << shift >> shift == address;
    }

    /** The offset of the memory operand. */
    long address(Instruction in) {
        long[] general = r.general;
        long sum = general[in.base] + (general[in.index] << in.scale) + in.displacement;
        return in.addressSize == 8 ? sum : sum & Alu.mask(in.addressSize);
    }

    long linear(Instruction in, int size, boolean write) {
        return linear(in.segment, address(in), size, write);
    }

    /** @throws GuestFault if the segment does not permit it */
    long linear(int segment, long offset, int size, boolean write) {
        SegmentRegister s = r.segments[segment];
        if (r.codeSize == 8) {
            long linear = segment >= Registers.FS ? s.base + offset : offset;
            if (!isCanonical(linear) || !isCanonical(linear + size - 1)) {
                throw segmentFault(segment);
            }
            return linear;
        }
        if (r.protectedMode && (!s.isUsable() || (write ? !s.isWritable() : !s.isReadable()))) {
            throw segmentFault(segment);
        }
        long limit = s.limit & 0xffffffffL;
        long last = offset + size - 1;
        // With a limit of 4 GiB an access wraps around.
        boolean outside = (s.isExpandDown() && r.protectedMode)
                ? offset <= limit || last > (s.isBig() ? 0xffffffffL : 0xffff)
                : last > limit && limit != 0xffffffffL;
        if (outside) {
            throw segmentFault(segment);
        }
        return (s.base + offset) & 0xffffffffL;
    }

    private static GuestFault segmentFault(int segment) {
        return new GuestFault(segment == Registers.SS ? GuestFault.STACK : GuestFault.PROTECTION, 0);
    }

    // Operands.

    long read(int segment, long offset, int size) {
        return mmu.read(linear(segment, offset, size, false), size);
    }

    void write(int segment, long offset, int size, long value) {
        mmu.write(linear(segment, offset, size, true), size, value);
    }

    /** The operand that ModRM names. */
    long load(Instruction in) {
        return in.memory ? mmu.read(linear(in, in.size, false), in.size) : r.get(in.rmRegister(), in.size);
    }

    /** The same with a size of its own. */
    long load(Instruction in, int size) {
        return in.memory ? mmu.read(linear(in, size, false), size) : r.get(size == 1 ? in.byteRm : in.rm, size);
    }

    void store(Instruction in, long value) {
        if (in.memory) {
            mmu.write(linear(in, in.size, true), in.size, value);
        } else {
            r.set(in.rmRegister(), in.size, value);
        }
    }

    /** Replaces the operand that ModRM names by what becomes of it; at once for all processors if the instruction is locked. */
    void modify(Instruction in, Change change, long other) {
        int size = in.size;
        if (!in.memory) {
            int register = in.rmRegister();
            r.set(register, size, change.apply(this, r.get(register, size), other, size));
            return;
        }
        modify(linear(in, size, true), size, in.lock, change, other);
    }

    void modify(long linear, int size, boolean lock, Change change, long other) {
        if (!lock) {
            mmu.checkWrite(linear, size);
            long value = mmu.read(linear, size);
            mmu.write(linear, size, change.apply(this, value, other, size));
        } else if (mmu.canCompareAndSet(linear, size)) {
            long value;
            long result;
            do {
                value = mmu.read(linear, size);
                result = change.apply(this, value, other, size);
            } while (!mmu.compareAndSet(linear, size, value, result));
        } else {
            synchronized (splitLock) {
                long value = mmu.read(linear, size);
                mmu.write(linear, size, change.apply(this, value, other, size));
            }
        }
    }

    Object splitLock() {
        return splitLock;
    }

    // The stack.

    long stackPointer() {
        return r.general[Registers.RSP] & Alu.mask(r.stackSize);
    }

    void setStackPointer(long value) {
        r.set(Registers.RSP, r.stackSize, value);
    }

    void push(long value, int size) {
        long pointer = (r.general[Registers.RSP] - size) & Alu.mask(r.stackSize);
        write(Registers.SS, pointer, size, value);
        setStackPointer(pointer);
    }

    long pop(int size) {
        long pointer = stackPointer();
        long value = read(Registers.SS, pointer, size);
        setStackPointer(pointer + size);
        return value;
    }

    // Branches.

    /** Goes on at an offset of the code segment. @param size of the operand: it cuts the offset */
    void jump(long target, int size) {
        nextRip = checkTarget(target, size);
    }

    /** @throws GuestFault if code cannot run there */
    long checkTarget(long target, int size) {
        long cut = target & Alu.mask(size);
        if (r.codeSize == 8) {
            if (!isCanonical(cut)) {
                throw protection(0);
            }
        } else if (Long.compareUnsigned(cut, r.segments[Registers.CS].limit & 0xffffffffL) > 0) {
            throw protection(0);
        }
        return cut;
    }

    // Ports.

    long readPort(int port, int size) {
        checkPort(port, size);
        long value = exchange.readPort(port, size);
        if (trace != null) {
            trace.port(true, port, size, value);
        }
        return value;
    }

    void writePort(int port, int size, long value) {
        checkPort(port, size);
        exchange.writePort(port, size, value & Alu.mask(size));
        if (trace != null) {
            trace.port(false, port, size, value & Alu.mask(size));
        }
    }

    /** By the bit map of the task. */
    void checkPort(int port, int size) {
        if (!r.protectedMode || r.cpl <= r.iopl()) {
            return;
        }
        SegmentRegister task = r.task;
        int type = task.attributes & 0xf;
        long limit = task.limit & 0xffffffffL;
        if (!task.isUsable() || (type != Descriptor.TYPE_TSS && type != Descriptor.TYPE_TSS_BUSY) || limit < 0x67) {
            throw protection(0);
        }
        long map = mmu.readSystem(task.base + 0x66, 2);
        long at = map + (port >>> 3);
        if (at + 1 > limit) {
            throw protection(0);
        }
        long bits = mmu.readSystem(task.base + at, 2) >>> (port & 7);
        if ((bits & ((1 << size) - 1)) != 0) {
            throw protection(0);
        }
    }

    void traceEvent(int vector, int errorCode) {
        if (trace != null) {
            trace.event(vector, errorCode, r.rip);
        }
    }
}
