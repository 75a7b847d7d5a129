package io.membacking.partition.kvm;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import io.membacking.error.BackendException;
import io.membacking.partition.PlatformState;
import io.membacking.partition.ProcessorState;
import io.membacking.partition.ProcessorState.Activity;
import io.membacking.partition.ProcessorState.DebugRegisters;
import io.membacking.partition.ProcessorState.PendingEvents;
import io.membacking.partition.ProcessorState.SystemRegisters;
import io.membacking.partition.ProcessorState.VectorState;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * The state of a processor as KVM's structures, in native memory that is allocated once: reading and setting a state are on the path
 * on which a guest stands still when it moves. Not thread-safe.
 */
final class RawState implements AutoCloseable {
    // The structures, as bits of a set.
    private static final int SYSTEM = 1;
    private static final int GENERAL = 1 << 1;
    private static final int XCR0 = 1 << 2;
    private static final int VECTORS = 1 << 3;
    private static final int DEBUG = 1 << 4;
    private static final int LAPIC = 1 << 5;
    private static final int MSRS = 1 << 6;
    private static final int TSC_OFFSET = 1 << 7;
    private static final int ACTIVITY = 1 << 8;
    private static final int EVENTS = 1 << 9;
    private static final int TSC_DEADLINE = 1 << 10;

    /** No structure: a note in the guest's own clock. */
    private static final int STOPPED = 1 << 11;

    /** Where software may keep what it likes in an XSAVE area, and the kernel does: nothing of the guest's. */
    private static final int XSAVE_SOFTWARE = 464;

    private static final int XSAVE_SOFTWARE_END = 512;

    /** Where it lies in a local APIC's registers: Intel SDM, volume 3, table "Local APIC Register Address Map". */
    private static final int TASK_PRIORITY = 0x80;

    private static final long CR0_PG = 1L << 31;
    private static final long CR4_PAE = 1 << 5;
    private static final long EFER_LMA = 1 << 10;

    private static final int ALIGNMENT = 64;
    private static final int PDPTES_SIZE = 5 * Long.BYTES;

    private final StateShape shape;

    private final Memory memory;
    private final Pointer general;
    private final Pointer system;
    private final Pointer xcrs;
    private final Pointer xsave;
    private final Pointer events;
    private final Pointer debug;
    private final Pointer activity;
    private final Pointer lapic;
    private final Pointer msrs;
    private final Pointer tscOffsetAttribute;
    private final Pointer deadline;

    private final ByteBuffer generalBytes;
    private final ByteBuffer systemBytes;
    private final ByteBuffer xcrsBytes;
    private final ByteBuffer xsaveBytes;
    private final ByteBuffer eventsBytes;
    private final ByteBuffer debugBytes;
    private final ByteBuffer activityBytes;
    private final ByteBuffer lapicBytes;
    private final ByteBuffer msrsBytes;
    private final ByteBuffer tscOffsetBytes;
    private final ByteBuffer deadlineBytes;

    /** What {@link #write} is to set. */
    private int parts;

    /** Entries of {@code msrs} that have been read; what {@link #hasMsr} looks through. */
    private int msrsRead;

    /** Entries of {@code msrs}, from the first on, that {@link #write} is to set. */
    private int msrsToSet;

    private int lastFound;

    RawState(StateShape shape) {
        this.shape = shape;
        int[] sizes = {
            KvmAbi.REGS_SIZE,
            shape.sregs2() ? KvmAbi.SREGS2_SIZE : KvmAbi.SREGS_SIZE,
            KvmAbi.XCRS_SIZE,
            shape.xsaveSize(),
            KvmAbi.EVENTS_SIZE,
            KvmAbi.DEBUGREGS_SIZE,
            KvmAbi.MP_STATE_SIZE,
            KvmAbi.LAPIC_SIZE,
            shape.msrs().calls() * MsrList.CALL_SIZE,
            KvmAbi.DEVICE_ATTR_SIZE,
            Long.BYTES,
            MsrList.entry(1),
        };
        int[] offsets = new int[sizes.length];
        int end = 0;
        for (int i = 0; i < sizes.length; i++) {
            offsets[i] = end;
            end = (end + sizes[i] + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        }
        memory = new Memory(end);
        memory.clear();
        ByteBuffer bytes = memory.getByteBuffer(0, end).order(ByteOrder.LITTLE_ENDIAN);
        int i = 0;
        general = memory.share(offsets[i]);
        generalBytes = slice(bytes, offsets[i], sizes[i++]);
        system = memory.share(offsets[i]);
        systemBytes = slice(bytes, offsets[i], sizes[i++]);
        xcrs = memory.share(offsets[i]);
        xcrsBytes = slice(bytes, offsets[i], sizes[i++]);
        xsave = memory.share(offsets[i]);
        xsaveBytes = slice(bytes, offsets[i], sizes[i++]);
        events = memory.share(offsets[i]);
        eventsBytes = slice(bytes, offsets[i], sizes[i++]);
        debug = memory.share(offsets[i]);
        debugBytes = slice(bytes, offsets[i], sizes[i++]);
        activity = memory.share(offsets[i]);
        activityBytes = slice(bytes, offsets[i], sizes[i++]);
        lapic = memory.share(offsets[i]);
        lapicBytes = slice(bytes, offsets[i], sizes[i++]);
        msrs = memory.share(offsets[i]);
        msrsBytes = slice(bytes, offsets[i], sizes[i++]);
        tscOffsetAttribute = memory.share(offsets[i++]);
        StateShape.putTscOffset(tscOffsetAttribute, memory.share(offsets[i]));
        tscOffsetBytes = slice(bytes, offsets[i], sizes[i++]);
        deadline = memory.share(offsets[i]);
        deadlineBytes = slice(bytes, offsets[i], sizes[i]);
    }

    private static ByteBuffer slice(ByteBuffer bytes, int offset, int size) {
        return bytes.slice(offset, size).order(ByteOrder.LITTLE_ENDIAN);
    }

    /** All of a processor, which may not be in the middle of an instruction; {@link #write} would set all of it. */
    void read(Syscalls calls, int processor, String operation) throws BackendException {
        parts = 0;
        if (shape.kernelApic()) {
            get(calls, processor, KvmAbi.KVM_GET_MP_STATE, activity, operation, "whether it is halted");
            parts |= ACTIVITY;
        }
        get(calls, processor, KvmAbi.KVM_GET_REGS, general, operation, "the general registers");
        long request = shape.sregs2() ? KvmAbi.KVM_GET_SREGS2 : KvmAbi.KVM_GET_SREGS;
        get(calls, processor, request, system, operation, "the segment and control registers");
        if (shape.xcrs()) {
            get(calls, processor, KvmAbi.KVM_GET_XCRS, xcrs, operation, "XCR0");
            parts |= XCR0;
        }
        request = shape.xsave2() ? KvmAbi.KVM_GET_XSAVE2 : KvmAbi.KVM_GET_XSAVE;
        get(calls, processor, request, xsave, operation, "the vector registers");
        get(calls, processor, KvmAbi.KVM_GET_VCPU_EVENTS, events, operation, "what is pending");
        get(calls, processor, KvmAbi.KVM_GET_DEBUGREGS, debug, operation, "the debug registers");
        readLapic(calls, processor, operation);
        putMsrNumbers();
        forMsrs(KvmAbi.KVM_GET_MSRS, shape.msrs().size(), calls, processor, operation, "read");
        msrsRead = shape.msrs().size();
        msrsToSet = msrsRead;
        if (shape.msrs().hasDeadline()) {
            msrsToSet--; // it is the last
            putDeadline(msrsBytes.getLong(MsrList.entry(msrsToSet) + KvmAbi.MSR_DATA));
        }
        if (shape.tscOffset()) {
            get(calls, processor, KvmAbi.KVM_GET_DEVICE_ATTR, tscOffsetAttribute, operation, "the TSC's offset");
            parts |= TSC_OFFSET;
        }
        parts |= GENERAL | SYSTEM | VECTORS | EVENTS | DEBUG | MSRS;
    }

    /** The local APIC alone: lines and other processors change it though its own processor does not run. */
    void readLapic(Syscalls calls, int processor, String operation) throws BackendException {
        if (shape.kernelApic()) {
            get(calls, processor, KvmAbi.KVM_GET_LAPIC, lapic, operation, "its local APIC");
            parts |= LAPIC;
        }
    }

    private void putMsrNumbers() {
        int entry = 0;
        for (int number : shape.msrs().portable()) {
            msrsBytes.putInt(MsrList.entry(entry++) + KvmAbi.MSR_INDEX, number);
        }
        for (int number : shape.msrs().platform()) {
            msrsBytes.putInt(MsrList.entry(entry++) + KvmAbi.MSR_INDEX, number);
        }
    }

    private static void get(
            Syscalls calls, int processor, long request, Pointer structure, String operation, String what)
            throws BackendException {
        int result = calls.ioctl(processor, request, structure);
        if (result < 0) {
            throw KvmErrors.failed(operation, null, "KVM does not tell " + what, result);
        }
    }

    /** Reads or sets the first so many model-specific registers, as many with one call as it takes. */
    private void forMsrs(long request, int count, Syscalls calls, int processor, String operation, String verb)
            throws BackendException {
        for (int first = 0; first < count; first += MsrList.MOST) {
            int inCall = Math.min(count - first, MsrList.MOST);
            int at = first / MsrList.MOST * MsrList.CALL_SIZE;
            msrsBytes.putInt(at + KvmAbi.MSRS_COUNT, inCall);
            Pointer call = at == 0 ? msrs : msrs.share(at);
            checkMsrs(calls.ioctl(processor, request, call), inCall, msrsBytes, at, operation, verb);
        }
    }

    /** KVM stops at the first that it refuses, and returns how many it did. */
    private static void checkMsrs(int done, int asked, ByteBuffer entries, int at, String operation, String verb)
            throws BackendException {
        if (done < 0) {
            throw KvmErrors.failed(operation, null, "KVM cannot " + verb + " model-specific registers", done);
        }
        if (done < asked) {
            int number = entries.getInt(at + MsrList.entry(done) + KvmAbi.MSR_INDEX);
            throw KvmErrors.refused(
                    operation,
                    null,
                    "KVM does not " + verb + " model-specific register 0x" + Integer.toHexString(number),
                    "leave it out, or give it a value that this processor takes");
        }
    }

    /** Sets what was read or filled in, in an order that real hardware bears too. */
    void write(Syscalls calls, int processor, String operation) throws BackendException {
        long request = shape.sregs2() ? KvmAbi.KVM_SET_SREGS2 : KvmAbi.KVM_SET_SREGS;
        set(SYSTEM, calls, processor, request, system, operation, "these segment and control registers");
        set(GENERAL, calls, processor, KvmAbi.KVM_SET_REGS, general, operation, "these general registers");
        set(XCR0, calls, processor, KvmAbi.KVM_SET_XCRS, xcrs, operation, "this XCR0");
        set(VECTORS, calls, processor, KvmAbi.KVM_SET_XSAVE, xsave, operation, "these vector registers");
        set(DEBUG, calls, processor, KvmAbi.KVM_SET_DEBUGREGS, debug, operation, "these debug registers");
        set(LAPIC, calls, processor, KvmAbi.KVM_SET_LAPIC, lapic, operation, "this state of its local APIC");
        if ((parts & MSRS) != 0) {
            forMsrs(KvmAbi.KVM_SET_MSRS, msrsToSet, calls, processor, operation, "set");
        }
        set(
                TSC_OFFSET,
                calls,
                processor,
                KvmAbi.KVM_SET_DEVICE_ATTR,
                tscOffsetAttribute,
                operation,
                "its TSC's offset");
        if ((parts & TSC_DEADLINE) != 0) {
            // KVM reckons by the offset of now when the timer is to expire, and does not again when that changes.
            int done = calls.ioctl(processor, KvmAbi.KVM_SET_MSRS, deadline);
            checkMsrs(done, 1, deadlineBytes, 0, operation, "set");
        }
        if ((parts & STOPPED) != 0) {
            // Goes with the clock's next update, on entering the guest. Refused by a KVM without it, which does no
            // harm.
            calls.ioctl(processor, KvmAbi.KVM_KVMCLOCK_CTRL, 0);
        }
        set(ACTIVITY, calls, processor, KvmAbi.KVM_SET_MP_STATE, activity, operation, "it to be halted or waiting");
        set(EVENTS, calls, processor, KvmAbi.KVM_SET_VCPU_EVENTS, events, operation, "what is to be pending");
    }

    private void set(
            int part, Syscalls calls, int processor, long request, Pointer structure, String operation, String what)
            throws BackendException {
        if ((parts & part) == 0) {
            return;
        }
        int result = calls.ioctl(processor, request, structure);
        if (result < 0) {
            throw KvmErrors.failed(operation, null, "KVM refuses " + what, result);
        }
    }

    long cr8() {
        return systemBytes.getLong(KvmAbi.SREGS_CR8);
    }

    /** The instruction pointer alone, whatever the processor is in the middle of; what was read before is no whole any more. */
    long readRip(Syscalls calls, int processor, String operation) throws BackendException {
        get(calls, processor, KvmAbi.KVM_GET_REGS, general, operation, "the general registers");
        return generalBytes.getLong(KvmAbi.REGS_RIP);
    }

    /** What was read. */
    ProcessorState state() {
        SortedMap<Integer, Long> portable = new TreeMap<>();
        int entry = 0;
        for (int number : shape.msrs().portable()) {
            portable.put(number, msrsBytes.getLong(MsrList.entry(entry++) + KvmAbi.MSR_DATA));
        }
        return new ProcessorState(
                Registers.general(generalBytes),
                Registers.system(systemBytes),
                portable,
                Optional.of(vectors()),
                Optional.of(new DebugRegisters(
                        debugBytes.getLong(KvmAbi.DEBUGREGS_DB),
                        debugBytes.getLong(KvmAbi.DEBUGREGS_DB + 8),
                        debugBytes.getLong(KvmAbi.DEBUGREGS_DB + 16),
                        debugBytes.getLong(KvmAbi.DEBUGREGS_DB + 24),
                        debugBytes.getLong(KvmAbi.DEBUGREGS_DR6),
                        debugBytes.getLong(KvmAbi.DEBUGREGS_DR7))),
                Optional.of(Events.get(eventsBytes)),
                Optional.of(activity()),
                Optional.of(platform()));
    }

    private VectorState vectors() {
        byte[] area = new byte[shape.vectorSize()];
        xsaveBytes.get(0, area);
        for (int i = XSAVE_SOFTWARE; i < XSAVE_SOFTWARE_END; i++) {
            area[i] = 0;
        }
        return new VectorState(shape.xcrs() ? xcrsBytes.getLong(KvmAbi.XCRS_FIRST_VALUE) : 1, area);
    }

    private Activity activity() {
        if (!shape.kernelApic()) {
            return Activity.RUNNING; // KVM leaves halting and waiting to who has the APIC
        }
        return switch (activityBytes.getInt(0)) {
            case KvmAbi.KVM_MP_STATE_HALTED -> Activity.HALTED;
            case KvmAbi.KVM_MP_STATE_UNINITIALIZED -> Activity.WAITING_FOR_INIT;
            case KvmAbi.KVM_MP_STATE_INIT_RECEIVED, KvmAbi.KVM_MP_STATE_SIPI_RECEIVED -> Activity.WAITING_FOR_STARTUP;
            default -> Activity.RUNNING;
        };
    }

    private PlatformState platform() {
        SortedMap<String, byte[]> named = new TreeMap<>();
        named.put(StateParts.EVENTS, bytes(eventsBytes, 0, KvmAbi.EVENTS_SIZE));
        named.put(StateParts.MSRS, platformMsrs());
        if (shape.kernelApic()) {
            named.put(StateParts.LAPIC, bytes(lapicBytes, 0, KvmAbi.LAPIC_SIZE));
        }
        if (shape.tscOffset()) {
            named.put(StateParts.TSC_OFFSET, bytes(tscOffsetBytes, 0, Long.BYTES));
        }
        if (shape.sregs2() && (systemBytes.getLong(KvmAbi.SREGS2_FLAGS) & KvmAbi.KVM_SREGS2_FLAGS_PDPTRS_VALID) != 0) {
            ByteBuffer loaded = ByteBuffer.allocate(PDPTES_SIZE).order(ByteOrder.LITTLE_ENDIAN);
            loaded.putLong(systemBytes.getLong(KvmAbi.SREGS_CR3));
            loaded.put(Long.BYTES, systemBytes, KvmAbi.SREGS2_PDPTRS, 4 * Long.BYTES);
            named.put(StateParts.PDPTES, loaded.array());
        }
        return new PlatformState(StateParts.FORMAT, named);
    }

    private byte[] platformMsrs() {
        int first = shape.msrs().portable().size();
        byte[] entries = new byte[shape.msrs().platform().size() * KvmAbi.MSR_ENTRY_SIZE];
        for (int at = 0; at < entries.length; at += KvmAbi.MSR_ENTRY_SIZE) {
            msrsBytes.get(MsrList.entry(first++), entries, at, KvmAbi.MSR_ENTRY_SIZE);
        }
        return entries;
    }

    private static byte[] bytes(ByteBuffer from, int offset, int length) {
        byte[] bytes = new byte[length];
        from.get(offset, bytes);
        return bytes;
    }

    /**
     * Fills in what is to be set.
     *
     * @param before the processor's present state: what the portable form lacks is taken from it
     * @throws BackendException if it has what this KVM cannot hold, or a platform part in a version that is not understood
     */
    void fill(ProcessorState state, RawState before, String operation) throws BackendException {
        parts = GENERAL | SYSTEM;
        Registers.put(generalBytes, state.general());
        systemBytes.put(0, before.systemBytes, 0, systemBytes.capacity());
        Registers.put(systemBytes, state.system());
        if (shape.sregs2()) {
            systemBytes.putLong(KvmAbi.SREGS2_FLAGS, 0); // the PDPTEs are loaded from memory, as by a write of CR3
        }
        if (state.vectors().isPresent()) {
            putVectors(state.vectors().get(), operation);
        }
        if (state.debug().isPresent()) {
            putDebug(state.debug().get(), before);
        }
        if (state.activity().isPresent()) {
            putActivity(state.activity().get(), operation);
        }
        Optional<PlatformState> platform =
                state.platform().filter(p -> p.format().equals(StateParts.FORMAT));
        if (state.events().isPresent()) {
            putEvents(state.events().get(), platform, operation);
        }
        putMsrs(state.msrs(), platform, before, operation);
        if (platform.isPresent()) {
            putPlatform(platform.get(), state.system(), operation);
        }
    }

    private void putVectors(VectorState vectors, String operation) throws BackendException {
        byte[] area = vectors.xsave();
        int length = Math.min(area.length, xsaveBytes.capacity());
        xsaveBytes.put(0, area, 0, length);
        for (int i = length; i < xsaveBytes.capacity(); i++) {
            xsaveBytes.put(i, (byte) 0);
        }
        parts |= VECTORS;
        if (shape.xcrs()) {
            xcrsBytes.putInt(KvmAbi.XCRS_COUNT, 1);
            xcrsBytes.putInt(KvmAbi.XCRS_FIRST_NUMBER, 0);
            xcrsBytes.putLong(KvmAbi.XCRS_FIRST_VALUE, vectors.xcr0());
            parts |= XCR0;
        } else if (vectors.xcr0() != 1) {
            throw KvmErrors.refused(
                    operation,
                    null,
                    "the guest has enabled vector components 0x" + Long.toHexString(vectors.xcr0())
                            + ", and this processor has no XSAVE",
                    "use a host with newer processors");
        }
    }

    private void putDebug(DebugRegisters registers, RawState before) {
        debugBytes.put(0, before.debugBytes, 0, KvmAbi.DEBUGREGS_SIZE);
        debugBytes.putLong(KvmAbi.DEBUGREGS_DB, registers.dr0());
        debugBytes.putLong(KvmAbi.DEBUGREGS_DB + 8, registers.dr1());
        debugBytes.putLong(KvmAbi.DEBUGREGS_DB + 16, registers.dr2());
        debugBytes.putLong(KvmAbi.DEBUGREGS_DB + 24, registers.dr3());
        debugBytes.putLong(KvmAbi.DEBUGREGS_DR6, registers.dr6());
        debugBytes.putLong(KvmAbi.DEBUGREGS_DR7, registers.dr7());
        parts |= DEBUG;
    }

    private void putActivity(Activity value, String operation) throws BackendException {
        if (!shape.kernelApic()) {
            if (value != Activity.RUNNING) {
                throw KvmErrors.refused(
                        operation,
                        null,
                        "without interrupt controllers in the kernel KVM has no processor that is " + value,
                        "make the partition with interrupt controllers, or set a state that runs");
            }
            return;
        }
        activityBytes.putInt(
                0,
                switch (value) {
                    case RUNNING -> KvmAbi.KVM_MP_STATE_RUNNABLE;
                    case HALTED -> KvmAbi.KVM_MP_STATE_HALTED;
                    case WAITING_FOR_INIT -> KvmAbi.KVM_MP_STATE_UNINITIALIZED;
                    case WAITING_FOR_STARTUP -> KvmAbi.KVM_MP_STATE_INIT_RECEIVED;
                });
        parts |= ACTIVITY;
    }

    private void putEvents(PendingEvents pending, Optional<PlatformState> platform, String operation)
            throws BackendException {
        Optional<byte[]> raw = platform.isEmpty()
                ? Optional.empty()
                : StateParts.find(platform.get(), StateParts.EVENTS, KvmAbi.EVENTS_SIZE, operation);
        eventsBytes.put(0, raw.orElseGet(() -> new byte[KvmAbi.EVENTS_SIZE]));
        int flags = eventsBytes.getInt(KvmAbi.EVENTS_FLAGS);
        eventsBytes.putInt(
                KvmAbi.EVENTS_FLAGS,
                flags & (KvmAbi.KVM_VCPUEVENT_VALID_SMM | KvmAbi.KVM_VCPUEVENT_VALID_TRIPLE_FAULT));
        if (!shape.payload() && pending.exception().flatMap(e -> e.payload()).isPresent()) {
            throw KvmErrors.refused(
                    operation,
                    null,
                    "this KVM cannot hold an exception whose effects on registers are to come",
                    "use Linux 4.20 or later, or take the state at another moment");
        }
        Events.put(eventsBytes, pending, shape.payload());
        parts |= EVENTS;
    }

    /** Those whose value differs from the present one, and the time-stamp counter: setting each costs time. */
    private void putMsrs(
            SortedMap<Integer, Long> portable, Optional<PlatformState> platform, RawState before, String operation)
            throws BackendException {
        Optional<byte[]> others =
                platform.isEmpty() ? Optional.empty() : StateParts.find(platform.get(), StateParts.MSRS, -1, operation);
        boolean byOffset =
                shape.tscOffset() && platform.isPresent() && platform.get().has(StateParts.TSC_OFFSET);
        int entries = portable.size() + others.map(bytes -> bytes.length).orElse(0) / KvmAbi.MSR_ENTRY_SIZE;
        if (entries > shape.msrs().calls() * MsrList.MOST) {
            throw KvmErrors.refused(
                    operation,
                    null,
                    "the state has " + entries + " model-specific registers, and this KVM "
                            + shape.msrs().size(),
                    "leave out those that it does not know");
        }
        msrsToSet = 0;
        for (Map.Entry<Integer, Long> msr : portable.entrySet()) {
            if (msr.getKey() != MsrList.TSC || !byOffset) {
                putMsr(msr.getKey(), msr.getValue(), before);
            }
        }
        if (others.isPresent()) {
            ByteBuffer each = ByteBuffer.wrap(others.get()).order(ByteOrder.LITTLE_ENDIAN);
            for (int at = 0; at < each.capacity(); at += KvmAbi.MSR_ENTRY_SIZE) {
                putMsr(each.getInt(at + KvmAbi.MSR_INDEX), each.getLong(at + KvmAbi.MSR_DATA), before);
            }
        }
        if (msrsToSet > 0) {
            parts |= MSRS;
        }
    }

    private void putMsr(int number, long value, RawState before) {
        if (MsrList.isClock(number) && (value & MsrList.CLOCK_ENABLED) != 0) {
            parts |= STOPPED; // or a Linux guest takes the time that it was away for a lockup of its own
        }
        if (number == MsrList.TSC_DEADLINE) {
            // The same value again, once the time-stamp counter differs, is another moment.
            if (value != 0 || !before.hasMsr(number, value)) {
                putDeadline(value);
            }
        } else if (number == MsrList.TSC || !before.hasMsr(number, value)) {
            int at = MsrList.entry(msrsToSet++);
            msrsBytes.putInt(at + KvmAbi.MSR_INDEX, number);
            msrsBytes.putLong(at + KvmAbi.MSR_DATA, value);
        }
    }

    private void putDeadline(long value) {
        deadlineBytes.putInt(KvmAbi.MSRS_COUNT, 1);
        deadlineBytes.putInt(MsrList.entry(0) + KvmAbi.MSR_INDEX, MsrList.TSC_DEADLINE);
        deadlineBytes.putLong(MsrList.entry(0) + KvmAbi.MSR_DATA, value);
        parts |= TSC_DEADLINE;
    }

    /** Whether the register was read, and had that value. */
    private boolean hasMsr(int number, long value) {
        for (int i = 0; i < msrsRead; i++) {
            lastFound = (lastFound + 1) % msrsRead; // mostly they are asked for in order
            if (msrsBytes.getInt(MsrList.entry(lastFound) + KvmAbi.MSR_INDEX) == number) {
                return msrsBytes.getLong(MsrList.entry(lastFound) + KvmAbi.MSR_DATA) == value;
            }
        }
        return false;
    }

    private void putPlatform(PlatformState platform, SystemRegisters system, String operation) throws BackendException {
        Optional<byte[]> part = StateParts.find(platform, StateParts.LAPIC, KvmAbi.LAPIC_SIZE, operation);
        if (part.isPresent()) {
            if (!shape.kernelApic()) {
                throw KvmErrors.refused(
                        operation,
                        null,
                        "the state has a local APIC, and the partition was made without interrupt controllers",
                        "make it with them, or set the portable state alone");
            }
            lapicBytes.put(0, part.get());
            // CR8 is the upper half of the APIC's task priority, which is set after it and would overwrite it.
            int priority = (int) (system.cr8() & 0xf) << 4 | (lapicBytes.get(TASK_PRIORITY) & 0xf);
            lapicBytes.put(TASK_PRIORITY, (byte) priority);
            parts |= LAPIC;
        }
        part = StateParts.find(platform, StateParts.TSC_OFFSET, Long.BYTES, operation);
        if (part.isPresent() && shape.tscOffset()) {
            tscOffsetBytes.put(0, part.get());
            parts |= TSC_OFFSET;
        }
        part = StateParts.find(platform, StateParts.PDPTES, PDPTES_SIZE, operation);
        if (part.isPresent()
                && shape.sregs2()
                && hasPdptes(system)
                && Arrays.equals(part.get(), 0, Long.BYTES, cr3(), 0, Long.BYTES)) {
            systemBytes.put(KvmAbi.SREGS2_PDPTRS, part.get(), Long.BYTES, 4 * Long.BYTES);
            systemBytes.putLong(KvmAbi.SREGS2_FLAGS, KvmAbi.KVM_SREGS2_FLAGS_PDPTRS_VALID);
        }
    }

    /** Whether it pages as PAE does. */
    private static boolean hasPdptes(SystemRegisters system) {
        return (system.cr0() & CR0_PG) != 0 && (system.cr4() & CR4_PAE) != 0 && (system.efer() & EFER_LMA) == 0;
    }

    private byte[] cr3() {
        return bytes(systemBytes, KvmAbi.SREGS_CR3, Long.BYTES);
    }

    @Override
    public void close() {
        memory.close();
    }
}
