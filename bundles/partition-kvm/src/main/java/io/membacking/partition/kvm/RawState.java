package io.membacking.partition.kvm;

import com.sun.jna.Memory;
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
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * The state of a processor as KVM's structures, in native memory that is allocated once: reading and setting a state are on the path
 * on which a guest stands still when it moves. Not thread-safe.
 */
final class RawState implements AutoCloseable {
    /** Where software may keep what it likes in an XSAVE area, and the kernel does: nothing of the guest's. */
    private static final int XSAVE_SOFTWARE = 464;

    private static final int XSAVE_SOFTWARE_END = 512;

    /** Where it lies in a local APIC's registers: Intel SDM, volume 3, table "Local APIC Register Address Map". */
    private static final int TASK_PRIORITY = 0x80;

    private static final long CR0_PG = 1L << 31;
    private static final long CR4_PAE = 1 << 5;
    private static final long EFER_LMA = 1 << 10;

    private static final int PDPTES_SIZE = 5 * Long.BYTES;

    private final StateShape shape;

    private final Part general;
    private final Part system;
    private final Part xcrs;
    private final Part xsave;
    private final Part events;
    private final Part debug;
    private final Part activity;
    private final Part lapic;
    private final MsrPart msrs;
    private final Part tscOffsetAttribute;

    /** The value, to which the attribute points. */
    private final Part tscOffset;

    private final MsrPart deadline;

    /** No structure: a note in the guest's own clock. */
    private final Part stopped;

    /** In the order in which they are read: first whether it waits, since asking for that may change its registers. */
    private final List<Part> toRead;

    /** In the order in which they are set, which real hardware bears too. */
    private final List<Part> toWrite;

    RawState(StateShape shape) {
        this.shape = shape;
        activity = new Part(
                shape.kernelApic(),
                KvmAbi.MP_STATE_SIZE,
                KvmAbi.KVM_GET_MP_STATE,
                KvmAbi.KVM_SET_MP_STATE,
                "whether it is halted or waits");
        general = new Part(true, KvmAbi.REGS_SIZE, KvmAbi.KVM_GET_REGS, KvmAbi.KVM_SET_REGS, "the general registers");
        String segments = "the segment and control registers";
        system = shape.sregs2()
                ? new Part(true, KvmAbi.SREGS2_SIZE, KvmAbi.KVM_GET_SREGS2, KvmAbi.KVM_SET_SREGS2, segments)
                : new Part(true, KvmAbi.SREGS_SIZE, KvmAbi.KVM_GET_SREGS, KvmAbi.KVM_SET_SREGS, segments);
        xcrs = new Part(shape.xcrs(), KvmAbi.XCRS_SIZE, KvmAbi.KVM_GET_XCRS, KvmAbi.KVM_SET_XCRS, "XCR0");
        xsave = new Part(
                true,
                shape.xsaveSize(),
                shape.xsave2() ? KvmAbi.KVM_GET_XSAVE2 : KvmAbi.KVM_GET_XSAVE,
                KvmAbi.KVM_SET_XSAVE,
                "the vector registers");
        events = new Part(
                true, KvmAbi.EVENTS_SIZE, KvmAbi.KVM_GET_VCPU_EVENTS, KvmAbi.KVM_SET_VCPU_EVENTS, "what is pending");
        debug = new Part(
                true, KvmAbi.DEBUGREGS_SIZE, KvmAbi.KVM_GET_DEBUGREGS, KvmAbi.KVM_SET_DEBUGREGS, "the debug registers");
        lapic = new Part(
                shape.kernelApic(), KvmAbi.LAPIC_SIZE, KvmAbi.KVM_GET_LAPIC, KvmAbi.KVM_SET_LAPIC, "its local APIC");
        msrs = new MsrPart(shape.msrs().calls());
        tscOffset = new Part(false, Long.BYTES, 0, 0, "");
        tscOffsetAttribute = new Part(
                shape.tscOffset(),
                KvmAbi.DEVICE_ATTR_SIZE,
                KvmAbi.KVM_GET_DEVICE_ATTR,
                KvmAbi.KVM_SET_DEVICE_ATTR,
                "its TSC's offset");
        StateShape.putTscOffset(tscOffsetAttribute.memory, tscOffset.memory);
        deadline = new MsrPart(1);
        stopped = new Part(false, 1, 0, 0, "") {
            @Override
            void set(Syscalls calls, int processor, String operation) {
                // Refused by a KVM without it, which does no harm.
                calls.ioctl(processor, KvmAbi.KVM_KVMCLOCK_CTRL, 0);
            }
        };
        toRead = List.of(activity, general, system, xcrs, xsave, events, debug, lapic, msrs, tscOffsetAttribute);
        toWrite = List.of(
                system,
                general,
                xcrs,
                xsave,
                debug,
                lapic,
                msrs,
                tscOffsetAttribute,
                // KVM reckons by the offset of now when the timer is to expire, and does not again when that changes.
                deadline,
                // Goes with the clock's next update, on entering the guest.
                stopped,
                activity,
                events);
    }

    /** A structure of KVM's, and the calls that read and set it. */
    private static class Part {
        /** Whether a processor of this shape has it. */
        private final boolean there;

        private final long getRequest;
        private final long setRequest;
        private final String what;
        final Memory memory;
        final ByteBuffer bytes;

        /** Whether {@link RawState#write} is to set it. */
        boolean toSet;

        Part(boolean there, int size, long getRequest, long setRequest, String what) {
            this.there = there;
            this.getRequest = getRequest;
            this.setRequest = setRequest;
            this.what = what;
            memory = new Memory(size);
            memory.clear();
            bytes = memory.getByteBuffer(0, size).order(ByteOrder.LITTLE_ENDIAN);
        }

        void get(Syscalls calls, int processor, String operation) throws BackendException {
            int result = calls.ioctl(processor, getRequest, memory);
            if (result < 0) {
                throw KvmErrors.failed(operation, null, "KVM does not tell " + what, result);
            }
        }

        void set(Syscalls calls, int processor, String operation) throws BackendException {
            int result = calls.ioctl(processor, setRequest, memory);
            if (result < 0) {
                throw KvmErrors.failed(operation, null, "KVM does not take " + what, result);
            }
        }
    }

    /** Model-specific registers, in as many structures as there are calls. */
    private static final class MsrPart extends Part {
        /** Entries from the first on that were read; what {@link #has} looks through. */
        private int read;

        /** Entries from the first on that are to be set. */
        private int count;

        private int lastFound;

        MsrPart(int calls) {
            super(true, calls * MsrList.CALL_SIZE, KvmAbi.KVM_GET_MSRS, KvmAbi.KVM_SET_MSRS, "");
        }

        int capacity() {
            return bytes.capacity() / MsrList.CALL_SIZE * MsrList.MOST;
        }

        void clear() {
            count = 0;
            toSet = false;
        }

        void add(int number, long value) {
            putNumber(count, number);
            bytes.putLong(MsrList.entry(count) + KvmAbi.MSR_DATA, value);
            count++;
            toSet = true;
        }

        void putNumber(int entry, int number) {
            bytes.putInt(MsrList.entry(entry) + KvmAbi.MSR_INDEX, number);
        }

        long value(int entry) {
            return bytes.getLong(MsrList.entry(entry) + KvmAbi.MSR_DATA);
        }

        /** Whether the register was read, and had that value. */
        boolean has(int number, long value) {
            for (int i = 0; i < read; i++) {
                lastFound = (lastFound + 1) % read; // mostly they are asked for in order
                if (bytes.getInt(MsrList.entry(lastFound) + KvmAbi.MSR_INDEX) == number) {
                    return value(lastFound) == value;
                }
            }
            return false;
        }

        @Override
        void get(Syscalls calls, int processor, String operation) throws BackendException {
            each(KvmAbi.KVM_GET_MSRS, read, calls, processor, operation, "read");
        }

        @Override
        void set(Syscalls calls, int processor, String operation) throws BackendException {
            each(KvmAbi.KVM_SET_MSRS, count, calls, processor, operation, "set");
        }

        /** KVM stops at the first that it refuses, and returns how many it did. */
        private void each(long request, int entries, Syscalls calls, int processor, String operation, String verb)
                throws BackendException {
            for (int first = 0; first < entries; first += MsrList.MOST) {
                int inCall = Math.min(entries - first, MsrList.MOST);
                int at = first / MsrList.MOST * MsrList.CALL_SIZE;
                bytes.putInt(at + KvmAbi.MSRS_COUNT, inCall);
                int done = calls.ioctl(processor, request, at == 0 ? memory : memory.share(at));
                if (done < 0) {
                    throw KvmErrors.failed(operation, null, "KVM cannot " + verb + " model-specific registers", done);
                }
                if (done < inCall) {
                    int number = bytes.getInt(MsrList.entry(first + done) + KvmAbi.MSR_INDEX);
                    throw KvmErrors.refused(
                            operation,
                            null,
                            "KVM does not " + verb + " model-specific register 0x" + Integer.toHexString(number),
                            "leave it out, or give it a value that this processor takes");
                }
            }
        }
    }

    /** All of a processor, which may not be in the middle of an instruction; {@link #write} would set all of it. */
    void read(Syscalls calls, int processor, String operation) throws BackendException {
        setNothing();
        putMsrNumbers();
        for (Part part : toRead) {
            if (part.there) {
                part.get(calls, processor, operation);
                part.toSet = true;
            }
        }
        msrs.count = msrs.read;
        if (shape.msrs().hasDeadline()) {
            msrs.count--; // it is the last
            deadline.add(MsrList.TSC_DEADLINE, msrs.value(msrs.count));
        }
    }

    /** The local APIC alone: lines and other processors change it though its own processor does not run. */
    void readLapic(Syscalls calls, int processor, String operation) throws BackendException {
        if (lapic.there) {
            lapic.get(calls, processor, operation);
        }
    }

    private void setNothing() {
        for (Part part : toWrite) {
            part.toSet = false;
        }
        msrs.clear();
        deadline.clear();
    }

    private void putMsrNumbers() {
        int entry = 0;
        for (int number : shape.msrs().portable()) {
            msrs.putNumber(entry++, number);
        }
        for (int number : shape.msrs().platform()) {
            msrs.putNumber(entry++, number);
        }
        msrs.read = entry;
    }

    /** Sets what was read or filled in. */
    void write(Syscalls calls, int processor, String operation) throws BackendException {
        for (Part part : toWrite) {
            if (part.toSet) {
                part.set(calls, processor, operation);
            }
        }
    }

    long cr8() {
        return system.bytes.getLong(KvmAbi.SREGS_CR8);
    }

    /** The instruction pointer alone, whatever the processor is in the middle of; what was read before is no whole any more. */
    long readRip(Syscalls calls, int processor, String operation) throws BackendException {
        general.get(calls, processor, operation);
        return general.bytes.getLong(KvmAbi.REGS_RIP);
    }

    /** What was read. */
    ProcessorState state() {
        SortedMap<Integer, Long> portable = new TreeMap<>();
        int entry = 0;
        for (int number : shape.msrs().portable()) {
            portable.put(number, msrs.value(entry++));
        }
        return new ProcessorState(
                Registers.general(general.bytes),
                Registers.system(system.bytes),
                portable,
                Optional.of(vectors()),
                Optional.of(new DebugRegisters(
                        debug.bytes.getLong(KvmAbi.DEBUGREGS_DB),
                        debug.bytes.getLong(KvmAbi.DEBUGREGS_DB + 8),
                        debug.bytes.getLong(KvmAbi.DEBUGREGS_DB + 16),
                        debug.bytes.getLong(KvmAbi.DEBUGREGS_DB + 24),
                        debug.bytes.getLong(KvmAbi.DEBUGREGS_DR6),
                        debug.bytes.getLong(KvmAbi.DEBUGREGS_DR7))),
                Optional.of(Events.get(events.bytes)),
                Optional.of(activity()),
                Optional.of(platform()));
    }

    private VectorState vectors() {
        byte[] area = new byte[shape.vectorSize()];
        xsave.bytes.get(0, area);
        for (int i = XSAVE_SOFTWARE; i < XSAVE_SOFTWARE_END; i++) {
            area[i] = 0;
        }
        return new VectorState(shape.xcrs() ? xcrs.bytes.getLong(KvmAbi.XCRS_FIRST_VALUE) : 1, area);
    }

    private Activity activity() {
        if (!shape.kernelApic()) {
            return Activity.RUNNING; // KVM leaves halting and waiting to who has the APIC
        }
        return switch (activity.bytes.getInt(0)) {
            case KvmAbi.KVM_MP_STATE_HALTED -> Activity.HALTED;
            case KvmAbi.KVM_MP_STATE_UNINITIALIZED -> Activity.WAITING_FOR_INIT;
            case KvmAbi.KVM_MP_STATE_INIT_RECEIVED, KvmAbi.KVM_MP_STATE_SIPI_RECEIVED -> Activity.WAITING_FOR_STARTUP;
            default -> Activity.RUNNING;
        };
    }

    private PlatformState platform() {
        SortedMap<String, byte[]> named = new TreeMap<>();
        named.put(StateParts.EVENTS, bytes(events.bytes, 0, KvmAbi.EVENTS_SIZE));
        named.put(StateParts.MSRS, platformMsrs());
        if (shape.kernelApic()) {
            named.put(StateParts.LAPIC, bytes(lapic.bytes, 0, KvmAbi.LAPIC_SIZE));
        }
        if (shape.tscOffset()) {
            named.put(StateParts.TSC_OFFSET, bytes(tscOffset.bytes, 0, Long.BYTES));
        }
        if (shape.sregs2() && (system.bytes.getLong(KvmAbi.SREGS2_FLAGS) & KvmAbi.KVM_SREGS2_FLAGS_PDPTRS_VALID) != 0) {
            ByteBuffer loaded = ByteBuffer.allocate(PDPTES_SIZE).order(ByteOrder.LITTLE_ENDIAN);
            loaded.putLong(system.bytes.getLong(KvmAbi.SREGS_CR3));
            loaded.put(Long.BYTES, system.bytes, KvmAbi.SREGS2_PDPTRS, 4 * Long.BYTES);
            named.put(StateParts.PDPTES, loaded.array());
        }
        return new PlatformState(StateParts.FORMAT, named);
    }

    private byte[] platformMsrs() {
        int first = shape.msrs().portable().size();
        byte[] entries = new byte[shape.msrs().platform().size() * KvmAbi.MSR_ENTRY_SIZE];
        for (int at = 0; at < entries.length; at += KvmAbi.MSR_ENTRY_SIZE) {
            msrs.bytes.get(MsrList.entry(first++), entries, at, KvmAbi.MSR_ENTRY_SIZE);
        }
        return entries;
    }

    private static byte[] bytes(ByteBuffer from, int offset, int length) {
        byte[] bytes = new byte[length];
        from.get(offset, bytes);
        return bytes;
    }

    /**
     * Fills in what is to be set; parts that seldom change, only where they differ from the present: each call costs time.
     *
     * @param before the processor's present state: what the portable form lacks is taken from it
     * @throws BackendException if it has what this KVM cannot hold, or a platform part in a version that is not understood
     */
    void fill(ProcessorState state, RawState before, String operation) throws BackendException {
        setNothing();
        general.toSet = true;
        system.toSet = true;
        Registers.put(general.bytes, state.general());
        system.bytes.put(0, before.system.bytes, 0, system.bytes.capacity());
        Registers.put(system.bytes, state.system());
        if (shape.sregs2()) {
            system.bytes.putLong(KvmAbi.SREGS2_FLAGS, 0); // the PDPTEs are loaded from memory, as by a write of CR3
        }
        if (state.vectors().isPresent()) {
            putVectors(state.vectors().get(), before, operation);
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

    private void putVectors(VectorState vectors, RawState before, String operation) throws BackendException {
        byte[] area = vectors.xsave();
        int length = Math.min(area.length, xsave.bytes.capacity());
        xsave.bytes.put(0, area, 0, length);
        xsave.memory.setMemory(length, xsave.bytes.capacity() - length, (byte) 0);
        xsave.toSet = true;
        if (shape.xcrs()) {
            xcrs.bytes.putInt(KvmAbi.XCRS_COUNT, 1);
            xcrs.bytes.putInt(KvmAbi.XCRS_FIRST_NUMBER, 0);
            xcrs.bytes.putLong(KvmAbi.XCRS_FIRST_VALUE, vectors.xcr0());
            xcrs.toSet = before.xcrs.bytes.getLong(KvmAbi.XCRS_FIRST_VALUE) != vectors.xcr0();
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
        debug.bytes.put(0, before.debug.bytes, 0, KvmAbi.DEBUGREGS_SIZE);
        debug.bytes.putLong(KvmAbi.DEBUGREGS_DB, registers.dr0());
        debug.bytes.putLong(KvmAbi.DEBUGREGS_DB + 8, registers.dr1());
        debug.bytes.putLong(KvmAbi.DEBUGREGS_DB + 16, registers.dr2());
        debug.bytes.putLong(KvmAbi.DEBUGREGS_DB + 24, registers.dr3());
        debug.bytes.putLong(KvmAbi.DEBUGREGS_DR6, registers.dr6());
        debug.bytes.putLong(KvmAbi.DEBUGREGS_DR7, registers.dr7());
        debug.toSet = !debug.bytes.equals(before.debug.bytes);
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
        activity.bytes.putInt(
                0,
                switch (value) {
                    case RUNNING -> KvmAbi.KVM_MP_STATE_RUNNABLE;
                    case HALTED -> KvmAbi.KVM_MP_STATE_HALTED;
                    case WAITING_FOR_INIT -> KvmAbi.KVM_MP_STATE_UNINITIALIZED;
                    case WAITING_FOR_STARTUP -> KvmAbi.KVM_MP_STATE_INIT_RECEIVED;
                });
        activity.toSet = true;
    }

    private void putEvents(PendingEvents pending, Optional<PlatformState> platform, String operation)
            throws BackendException {
        Optional<byte[]> raw = platform.isEmpty()
                ? Optional.empty()
                : StateParts.find(platform.get(), StateParts.EVENTS, KvmAbi.EVENTS_SIZE, operation);
        events.bytes.put(0, raw.orElseGet(() -> new byte[KvmAbi.EVENTS_SIZE]));
        int flags = events.bytes.getInt(KvmAbi.EVENTS_FLAGS);
        events.bytes.putInt(
                KvmAbi.EVENTS_FLAGS,
                flags & (KvmAbi.KVM_VCPUEVENT_VALID_SMM | KvmAbi.KVM_VCPUEVENT_VALID_TRIPLE_FAULT));
        if (!shape.payload() && pending.exception().flatMap(e -> e.payload()).isPresent()) {
            throw KvmErrors.refused(
                    operation,
                    null,
                    "this KVM cannot hold an exception whose effects on registers are to come",
                    "use Linux 4.20 or later, or take the state at another moment");
        }
        Events.put(events.bytes, pending, shape.payload());
        events.toSet = true;
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
        if (entries > msrs.capacity()) {
            throw KvmErrors.refused(
                    operation,
                    null,
                    "the state has " + entries + " model-specific registers, and this KVM "
                            + shape.msrs().size(),
                    "leave out those that it does not know");
        }
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
    }

    private void putMsr(int number, long value, RawState before) {
        if (MsrList.isClock(number) && (value & MsrList.CLOCK_ENABLED) != 0) {
            stopped.toSet = true; // or a Linux guest takes the time that it was away for a lockup of its own
        }
        if (number == MsrList.TSC_DEADLINE) {
            // The same value again, once the time-stamp counter differs, is another moment.
            if (value != 0 || !before.msrs.has(number, value)) {
                deadline.clear();
                deadline.add(number, value);
            }
        } else if (number == MsrList.TSC || !before.msrs.has(number, value)) {
            msrs.add(number, value);
        }
    }

    private void putPlatform(PlatformState platform, SystemRegisters registers, String operation)
            throws BackendException {
        Optional<byte[]> part = StateParts.find(platform, StateParts.LAPIC, KvmAbi.LAPIC_SIZE, operation);
        if (part.isPresent()) {
            if (!shape.kernelApic()) {
                throw KvmErrors.refused(
                        operation,
                        null,
                        "the state has a local APIC, and the partition was made without interrupt controllers",
                        "make it with them, or set the portable state alone");
            }
            lapic.bytes.put(0, part.get());
            // CR8 is the upper half of the APIC's task priority, which is set after it and would overwrite it.
            int priority = (int) (registers.cr8() & 0xf) << 4 | (lapic.bytes.get(TASK_PRIORITY) & 0xf);
            lapic.bytes.put(TASK_PRIORITY, (byte) priority);
            lapic.toSet = true;
        }
        part = StateParts.find(platform, StateParts.TSC_OFFSET, Long.BYTES, operation);
        if (part.isPresent() && shape.tscOffset()) {
            tscOffset.bytes.put(0, part.get());
            tscOffsetAttribute.toSet = true;
        }
        part = StateParts.find(platform, StateParts.PDPTES, PDPTES_SIZE, operation);
        if (part.isPresent()
                && shape.sregs2()
                && hasPdptes(registers)
                && Arrays.equals(part.get(), 0, Long.BYTES, cr3(), 0, Long.BYTES)) {
            system.bytes.put(KvmAbi.SREGS2_PDPTRS, part.get(), Long.BYTES, 4 * Long.BYTES);
            system.bytes.putLong(KvmAbi.SREGS2_FLAGS, KvmAbi.KVM_SREGS2_FLAGS_PDPTRS_VALID);
        }
    }

    /** Whether it pages as PAE does. */
    private static boolean hasPdptes(SystemRegisters system) {
        return (system.cr0() & CR0_PG) != 0 && (system.cr4() & CR4_PAE) != 0 && (system.efer() & EFER_LMA) == 0;
    }

    private byte[] cr3() {
        return bytes(system.bytes, KvmAbi.SREGS_CR3, Long.BYTES);
    }

    @Override
    public void close() {
        toWrite.forEach(part -> part.memory.close());
        tscOffset.memory.close();
    }
}
