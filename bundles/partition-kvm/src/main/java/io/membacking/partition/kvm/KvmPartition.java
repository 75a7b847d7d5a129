package io.membacking.partition.kvm;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import io.membacking.error.BackendException;
import io.membacking.partition.Capabilities;
import io.membacking.partition.CpuModel;
import io.membacking.partition.Partition;
import io.membacking.partition.PartitionMapping;
import io.membacking.partition.PartitionRequest;
import io.membacking.partition.PlatformState;
import io.membacking.partition.Processor;
import io.membacking.range.MemoryRange;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A KVM virtual machine: a range mapped is a memory slot. KVM has no bit that forbids execution, so every range is executable.
 *
 * <p>Whoever uses the descriptor holds the read lock of {@code life}, and close the write lock: a number given back to the kernel
 * is never used again.
 */
final class KvmPartition implements Partition {
    /**
     * Pages that KVM on Intel processors needs in the guest's address space: three for a task state segment, one for a page table,
     * used in real mode. They lie where QEMU has them, below the 16 MiB that firmware may take under 4 GiB.
     */
    private static final MemoryRange TSS = new MemoryRange(0xfeffd000L, 0xff000000L);

    private static final MemoryRange IDENTITY_MAP = new MemoryRange(0xfeffc000L, 0xfeffd000L);
    private static final MemoryRange LOCAL_APIC = new MemoryRange(0xfee00000L, 0xfee01000L);
    private static final MemoryRange IO_APIC = new MemoryRange(0xfec00000L, 0xfec01000L);

    /** Pages in a slot, less than 2 to the power of 31: {@code KVM_MEM_MAX_NR_PAGES}. */
    private static final long MOST_PAGES = (1L << 31) - 1;

    /**
     * Bytes that one call prefetches: nobody gets the processor in between. Memory that the host must clear first comes at some
     * 100 MiB a second on slow hosts.
     */
    private static final long PREFETCH_PIECE = 16L << 20;

    /** Pages of the platform's own, by name. */
    private record Reserved(MemoryRange range, String name) {}

    private final Syscalls calls;
    private final PartitionRequest request;
    private final Capabilities capabilities;
    private final int vm;

    /** What its processors look like, but for their own APIC ids; null where the host is not x86-64. */
    private final @Nullable CpuidTable cpuid;

    private final Consumer<KvmPartition> onClose;
    private final List<Reserved> reserved;
    private final Devices devices;

    // What is said when these fail; made beforehand, as in KvmProcessor.
    private final String toReadState;
    private final String toSetState;

    private final ReadWriteLock life = new ReentrantReadWriteLock();
    private volatile boolean closed;

    /** Guards the book and the memory that its requests are written into. */
    private final SlotBook slots;

    private final DirtyLog dirtyLog;

    private final Memory region = new Memory(KvmAbi.MEMORY_REGION_SIZE);

    private final KvmProcessors processors;

    /** Every {@code struct kvm_irq_level} there can be, each line lowered and raised; null without interrupt controllers. */
    private final @Nullable Memory lines;

    private KvmPartition(
            Syscalls calls,
            PartitionRequest request,
            Capabilities capabilities,
            int vm,
            int runAreaSize,
            @Nullable CpuidTable cpuid,
            KvmFeatures features,
            Consumer<KvmPartition> onClose) {
        this.calls = calls;
        this.request = request;
        this.capabilities = capabilities;
        this.vm = vm;
        this.cpuid = cpuid;
        this.onClose = onClose;
        this.processors = new KvmProcessors(calls, vm, runAreaSize, request, features, cpuid);
        this.dirtyLog = new DirtyLog(calls, vm, features.manualDirtyLog());
        this.slots = new SlotBook(capabilities.maxMappings());
        this.toReadState = "read the state of " + this;
        this.toSetState = "set the state of " + this;
        this.devices = new Devices(request.interruptControllers(), request.timer());
        this.lines = request.interruptControllers() ? lines() : null;
        this.reserved = reserved(request.interruptControllers());
    }

    /** @param onClose called once, when it has been closed */
    static KvmPartition create(Syscalls calls, PartitionRequest request, Consumer<KvmPartition> onClose)
            throws BackendException {
        String operation = "create partition '" + request.name() + "'";
        try (KvmDevice device = KvmDevice.open(calls, operation)) {
            Capabilities capabilities = device.capabilities(operation);
            if (request.interruptControllers() && !capabilities.interruptControllers()) {
                throw KvmErrors.refused(
                        operation,
                        null,
                        "KVM has no interrupt controllers and timer of a PC here",
                        "ask for a partition without them");
            }
            if (request.maxProcessors() > device.maxProcessors()) {
                throw KvmErrors.refused(
                        operation,
                        null,
                        request.maxProcessors() + " processors are more than KVM's " + device.maxProcessors(),
                        "ask for fewer");
            }
            int runAreaSize = device.runAreaSize(operation);
            KvmFeatures features = device.features(operation);
            CpuidTable cpuid =
                    KvmDevice.isX86() ? model(device.supportedCpuid(operation), features, request, operation) : null;
            int vm = device.createVm(operation);
            boolean made = false;
            try {
                if (KvmDevice.isX86()) {
                    placePages(calls, vm, operation);
                    enable(calls, vm, features, operation);
                }
                if (request.dirtyLog() && features.manualDirtyLog()) {
                    enable(calls, vm, KvmAbi.KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, operation);
                }
                if (request.interruptControllers()) {
                    createInterruptControllers(calls, vm, operation);
                }
                if (request.timer()) {
                    createTimer(calls, vm, operation);
                }
                KvmPartition partition =
                        new KvmPartition(calls, request, capabilities, vm, runAreaSize, cpuid, features, onClose);
                made = true;
                return partition;
            } finally {
                if (!made) {
                    calls.close(vm);
                }
            }
        }
    }

    /** Before the first processor, or KVM on Intel processors takes its own idea of where they lie. */
    private static void placePages(Syscalls calls, int vm, String operation) throws BackendException {
        try (Memory address = new Memory(Long.BYTES)) {
            address.setLong(0, IDENTITY_MAP.start());
            int result = calls.ioctl(vm, KvmAbi.KVM_SET_IDENTITY_MAP_ADDR, address);
            if (result >= 0) {
                result = calls.ioctl(vm, KvmAbi.KVM_SET_TSS_ADDR, TSS.start());
            }
            if (result < 0) {
                throw KvmErrors.failed(operation, null, "KVM does not take the addresses of its own pages", result);
            }
        }
    }

    /** Lets the state of processors be told whole. */
    private static void enable(Syscalls calls, int vm, KvmFeatures features, String operation) throws BackendException {
        if (features.payload()) {
            enable(calls, vm, KvmAbi.KVM_CAP_EXCEPTION_PAYLOAD, operation);
        }
        if (features.tripleFault()) {
            enable(calls, vm, KvmAbi.KVM_CAP_X86_TRIPLE_FAULT_EVENT, operation);
        }
    }

    private static void enable(Syscalls calls, int vm, int capability, String operation) throws BackendException {
        try (Memory request = new Memory(KvmAbi.ENABLE_CAP_SIZE)) {
            request.clear();
            request.setInt(KvmAbi.ENABLE_CAP_CAP, capability);
            request.setLong(KvmAbi.ENABLE_CAP_ARGS, 1); // on; KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE

            int result = calls.ioctl(vm, KvmAbi.KVM_ENABLE_CAP, request);
            if (result < 0) {
                throw KvmErrors.failed(operation, null, "KVM does not enable its extension " + capability, result);
            }
        }
    }

    private static CpuidTable model(
            CpuidTable supported, KvmFeatures features, PartitionRequest request, String operation)
            throws BackendException {
        CpuidTable host =
                supported.forPartition(request.interruptControllers(), features.tscDeadline(), request.maxProcessors());
        if (request.model().isEmpty()) {
            return host;
        }
        CpuidTable model = CpuidTable.of(request.model().get());
        List<String> lacking = CpuFeatures.lacking(model, host);
        if (!lacking.isEmpty()) {
            throw KvmErrors.refused(
                    operation,
                    null,
                    "the processors asked for have what this host's KVM has not: " + String.join(", ", lacking),
                    "use a host that has it, or ask for a model without it");
        }
        if (model.physicalAddressWidth() > host.physicalAddressWidth()) {
            throw KvmErrors.refused(
                    operation,
                    null,
                    "the processors asked for have physical addresses of " + model.physicalAddressWidth()
                            + " bits, and this host's KVM of " + host.physicalAddressWidth(),
                    "ask for a model with fewer");
        }
        return model;
    }

    private static void createInterruptControllers(Syscalls calls, int vm, String operation) throws BackendException {
        int result = calls.ioctl(vm, KvmAbi.KVM_CREATE_IRQCHIP, 0);
        if (result < 0) {
            throw KvmErrors.failed(operation, null, "KVM refuses interrupt controllers", result);
        }
    }

    private static void createTimer(Syscalls calls, int vm, String operation) throws BackendException {
        try (Memory pit = new Memory(KvmAbi.PIT_CONFIG_SIZE)) {
            pit.clear();
            pit.setInt(KvmAbi.PIT_FLAGS, KvmAbi.KVM_PIT_SPEAKER_DUMMY);
            int result = calls.ioctl(vm, KvmAbi.KVM_CREATE_PIT2, pit);
            if (result < 0) {
                throw KvmErrors.failed(operation, null, "KVM refuses a timer", result);
            }
        }
    }

    private static Memory lines() {
        Memory lines = new Memory(2L * KvmAbi.KVM_IOAPIC_NUM_PINS * KvmAbi.IRQ_LEVEL_SIZE);
        for (int line = 0; line < KvmAbi.KVM_IOAPIC_NUM_PINS; line++) {
            for (int level = 0; level <= 1; level++) {
                long at = level(line, level == 1);
                lines.setInt(at + KvmAbi.IRQ_LEVEL_IRQ, line);
                lines.setInt(at + KvmAbi.IRQ_LEVEL_LEVEL, level);
            }
        }
        return lines;
    }

    private static long level(int line, boolean raised) {
        return (2L * line + (raised ? 1 : 0)) * KvmAbi.IRQ_LEVEL_SIZE;
    }

    private static List<Reserved> reserved(boolean interruptControllers) {
        List<Reserved> reserved = new ArrayList<>();
        if (KvmDevice.isX86()) {
            reserved.add(new Reserved(IDENTITY_MAP, "KVM's identity map"));
            reserved.add(new Reserved(TSS, "KVM's task state segment"));
            reserved.add(new Reserved(LOCAL_APIC, "the local APIC"));
            if (interruptControllers) {
                reserved.add(new Reserved(IO_APIC, "the I/O APIC"));
            }
        }
        return reserved;
    }

    @Override
    public String name() {
        return request.name();
    }

    @Override
    public String backend() {
        return KvmBackend.KVM;
    }

    @Override
    public Capabilities capabilities() {
        return capabilities;
    }

    @Override
    public void map(PartitionMapping mapping) throws BackendException {
        String operation = "map into " + this;
        MemoryRange range = mapping.range();
        life.readLock().lock();
        try {
            checkOpen();
            synchronized (slots) {
                checkAddresses(operation, mapping);
                Optional<PartitionMapping> other = slots.overlapping(range);
                if (other.isPresent()) {
                    throw KvmErrors.refused(
                            operation, range, other.get().range() + " is mapped already", "unmap it first");
                }
                if (slots.isFull()) {
                    throw KvmErrors.refused(
                            operation,
                            range,
                            "all " + capabilities.maxMappings() + " memory slots of KVM are in use",
                            "map fewer, larger ranges");
                }
                SlotBook.Slot slot = slots.add(mapping);
                int result = setRegion(slot, range.length());
                if (result < 0) {
                    slots.remove(slot);
                    throw KvmErrors.failed(operation, range, "KVM refuses the memory slot", result);
                }
            }
        } finally {
            life.readLock().unlock();
        }
    }

    private void checkAddresses(String operation, PartitionMapping mapping) throws BackendException {
        MemoryRange range = mapping.range();
        // Shifting by the width says more than comparing with 1L << width: the width may be 64 some day.
        int width = capabilities.physicalAddressWidth();
        if (width < Long.SIZE && (range.end() - 1) >>> width != 0) {
            throw KvmErrors.refused(
                    operation,
                    range,
                    "it ends beyond the " + width + " bits of this processor's physical addresses",
                    "place it below 0x" + Long.toHexString(1L << width));
        }
        for (Reserved pages : reserved) {
            if (pages.range().overlaps(range)) {
                throw KvmErrors.refused(
                        operation,
                        range,
                        "the pages of " + pages.name() + " lie at " + pages.range(),
                        "leave them out");
            }
        }
        if (range.pages() > MOST_PAGES) {
            throw KvmErrors.refused(
                    operation,
                    range,
                    "KVM's memory slots have at most 0x" + Long.toHexString(MOST_PAGES) + " pages",
                    "map it in parts");
        }
        if (mapping.remote().isPresent()) {
            throw KvmErrors.refused(
                    operation,
                    range,
                    "it is memory of another process, and KVM maps that of its own alone",
                    "map the same backing in this process, or use a backend that has membacking.remote-process");
        }
        long hva = mapping.hva();
        if (!MemoryRange.isAligned(hva) || hva <= 0 || hva + range.length() < 0) {
            throw KvmErrors.refused(
                    operation,
                    range,
                    "0x" + Long.toHexString(hva) + " is no host address where it could lie",
                    "give the address of a page of this process");
        }
        if (!mapping.writable() && !capabilities.readOnlyMemory()) {
            throw KvmErrors.refused(
                    operation, range, "KVM has no read-only memory here", "map it writable or not at all");
        }
    }

    /** With length 0 the slot is deleted. */
    private int setRegion(SlotBook.Slot slot, long length) {
        PartitionMapping mapping = slot.mapping();
        region.setInt(KvmAbi.REGION_SLOT, slot.id());
        int writableFlags = request.dirtyLog() ? KvmAbi.KVM_MEM_LOG_DIRTY_PAGES : 0;
        region.setInt(KvmAbi.REGION_FLAGS, mapping.writable() ? writableFlags : KvmAbi.KVM_MEM_READONLY);
        region.setLong(KvmAbi.REGION_GPA, mapping.range().start());
        region.setLong(KvmAbi.REGION_BYTES, length);
        region.setLong(KvmAbi.REGION_HVA, mapping.hva());
        return calls.ioctl(vm, KvmAbi.KVM_SET_USER_MEMORY_REGION, region);
    }

    @Override
    public void unmap(MemoryRange range) throws BackendException {
        String operation = "unmap from " + this;
        life.readLock().lock();
        try {
            if (closed) {
                return;
            }
            synchronized (slots) {
                Optional<SlotBook.Slot> slot = slots.exactly(range);
                if (slot.isEmpty()) {
                    Optional<PartitionMapping> other = slots.overlapping(range);
                    throw other.isEmpty()
                            ? KvmErrors.refused(
                                    operation,
                                    range,
                                    "nothing is mapped there",
                                    "unmap ranges as they were mapped, once")
                            : KvmErrors.refused(
                                    operation,
                                    range,
                                    "KVM unmaps only what one call mapped, here "
                                            + other.get().range(),
                                    "unmap that, and map what is to stay");
                }
                int result = setRegion(slot.get(), 0);
                if (result < 0) {
                    throw KvmErrors.failed(operation, range, "KVM does not delete the memory slot", result);
                }
                slots.remove(slot.get());
                dirtyLog.forget(slot.get().id());
            }
        } finally {
            life.readLock().unlock();
        }
    }

    /**
     * {@inheritDoc}
     *
     * <p>Pages of the range where nothing, or read-only memory, is mapped are in no log. The log of a mapping ends with it: who
     * wants it takes it before unmapping, while no processor runs.
     */
    @Override
    public BitSet takeDirty(MemoryRange range) throws BackendException {
        String operation = "take the dirty pages of " + this;
        life.readLock().lock();
        try {
            checkOpen();
            if (!request.dirtyLog()) {
                throw KvmErrors.refused(
                        operation, range, "it was made without a log of them", "ask for one when it is created");
            }
            if (range.pages() > Integer.MAX_VALUE) {
                throw KvmErrors.refused(
                        operation, range, "it has more than 2 to the power of 31 pages", "take them in parts");
            }
            synchronized (slots) {
                List<SlotBook.Slot> within = slots.within(range);
                if (within.isEmpty()) {
                    throw KvmErrors.refused(operation, range, "nothing is mapped there", "map it first");
                }
                return takeDirty(within, range, operation);
            }
        } finally {
            life.readLock().unlock();
        }
    }

    private BitSet takeDirty(List<SlotBook.Slot> within, MemoryRange range, String operation) throws BackendException {
        BitSet dirty = new BitSet();
        List<Runnable> undo = new ArrayList<>();
        try {
            for (SlotBook.Slot slot : within) {
                MemoryRange whole = slot.mapping().range();
                if (slot.mapping().writable()) {
                    MemoryRange part = whole.intersection(range).orElseThrow();
                    int first = pages(whole.start(), part.start());
                    int at = pages(range.start(), part.start());
                    BitSet taken =
                            dirtyLog.take(slot.id(), (int) whole.pages(), first, (int) part.pages(), part, operation);
                    undo.add(() -> dirtyLog.giveBack(slot.id(), first, taken));
                    taken.stream().forEach(page -> dirty.set(at + page));
                }
            }
        } catch (BackendException e) {
            undo.forEach(Runnable::run);
            throw e;
        }
        return dirty;
    }

    private static int pages(long from, long to) {
        return (int) ((to - from) / MemoryRange.PAGE_SIZE);
    }

    /**
     * KVM populates its tables through a processor: one that is out of the guest, and if there is none yet, the first is made for
     * it. It does so in pieces: who wants the processor, or closes it or the partition, waits for one of them. The range of an error
     * is what is left to do.
     */
    @Override
    public void prefetch(MemoryRange range) throws BackendException {
        String operation = "prefetch in " + this;
        checkPrefetch(range, operation);
        try (Memory piece = new Memory(KvmAbi.PRE_FAULT_MEMORY_SIZE)) {
            piece.clear();
            for (long done = 0; done < range.length(); done += PREFETCH_PIECE) {
                piece.setLong(KvmAbi.PRE_FAULT_GPA, range.start() + done);
                piece.setLong(KvmAbi.PRE_FAULT_BYTES, Math.min(range.length() - done, PREFETCH_PIECE));
                prefetch(piece, new MemoryRange(range.start() + done, range.end()), operation);
            }
        }
    }

    private void checkPrefetch(MemoryRange range, String operation) throws BackendException {
        checkOpen();
        if (!capabilities.prefetch()) {
            throw KvmErrors.refused(
                    operation,
                    range,
                    "KVM cannot populate its tables here",
                    "use Linux 6.11 or later with two-dimensional paging, or do without");
        }
        synchronized (slots) {
            if (!slots.covers(range)) {
                throw KvmErrors.refused(operation, range, "not all of it is mapped", "map it first");
            }
        }
    }

    /** @param rest what is left of the range, from what is requested now on */
    private void prefetch(Memory piece, MemoryRange rest, String operation) throws BackendException {
        life.readLock().lock();
        try {
            checkOpen();
            processors.prefetch(piece, rest, operation);
        } finally {
            life.readLock().unlock();
        }
    }

    @Override
    public void pin(MemoryRange range) throws BackendException {
        checkOpen();
        throw KvmErrors.refused(
                "pin in " + this, range, "KVM has no pinning of its own", "lock the host memory instead");
    }

    @Override
    public void unpin(MemoryRange range) {
        // Nothing is ever pinned.
    }

    @Override
    public List<PartitionMapping> mappings() {
        checkOpen();
        synchronized (slots) {
            return slots.mappings();
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
            return processors.create(index, operation);
        } finally {
            life.readLock().unlock();
        }
    }

    @Override
    public CpuModel cpuModel() {
        return cpuid == null
                ? Partition.super.cpuModel()
                : cpuid.forProcessor(0).toModel();
    }

    /** Of KVM's own clock, and of interrupt controllers and timer where there are any. */
    @Override
    public PlatformState platformState() throws BackendException {
        life.readLock().lock();
        try {
            checkOpen();
            return devices.read(calls, vm, toReadState);
        } finally {
            life.readLock().unlock();
        }
    }

    @Override
    public void setPlatformState(PlatformState state) throws BackendException {
        life.readLock().lock();
        try {
            checkOpen();
            Partition.super.setPlatformState(state);
            devices.write(calls, vm, state, toSetState);
        } finally {
            life.readLock().unlock();
        }
    }

    @Override
    public void setInterruptLine(int line, boolean raised) throws BackendException {
        String operation = "set interrupt line " + line + " of " + this;
        life.readLock().lock();
        try {
            checkOpen();
            Pointer level = requireLine(operation, line).share(level(line, raised));
            int result = calls.ioctl(vm, KvmAbi.KVM_IRQ_LINE, level);
            if (result < 0) {
                throw KvmErrors.failed(operation, null, "KVM refuses the interrupt line's new level", result);
            }
        } finally {
            life.readLock().unlock();
        }
    }

    /** @return the levels of all lines */
    private Memory requireLine(String operation, int line) throws BackendException {
        Memory levels = lines;
        if (levels == null) {
            throw KvmErrors.refused(
                    operation, null, "it has no interrupt controllers", "ask for them when it is created");
        }
        if (line < 0 || line >= KvmAbi.KVM_IOAPIC_NUM_PINS) {
            throw KvmErrors.refused(
                    operation, null, "there is no such line", "use 0 to " + (KvmAbi.KVM_IOAPIC_NUM_PINS - 1));
        }
        return levels;
    }

    /**
     * {@inheritDoc}
     *
     * <p>Of a line that is masked everywhere it says true too: a PIC keeps the edge until it is unmasked, and the I/O APIC forgets
     * it, as hardware does.
     */
    @Override
    public boolean pulseInterruptLine(int line) throws BackendException {
        String operation = "pulse interrupt line " + line + " of " + this;
        int status;
        life.readLock().lock();
        try (Memory level = new Memory(KvmAbi.IRQ_LEVEL_SIZE)) {
            checkOpen();
            requireLine(operation, line);
            level.setInt(KvmAbi.IRQ_LEVEL_IRQ, line);
            level.setInt(KvmAbi.IRQ_LEVEL_LEVEL, 1);
            int result = calls.ioctl(vm, KvmAbi.KVM_IRQ_LINE_STATUS, level);
            if (result < 0) {
                throw KvmErrors.failed(operation, null, "KVM refuses the interrupt line's new level", result);
            }
            status = level.getInt(KvmAbi.IRQ_LEVEL_IRQ);
        } finally {
            life.readLock().unlock();
        }
        setInterruptLine(line, false);
        // 0: the edge fell together with one that waits. Below 0: the line is masked, at the PIC and at the I/O APIC.
        return status != 0;
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
            processors.close();
            calls.close(vm); // the last descriptor: the kernel deletes the slots
            synchronized (slots) {
                slots.clear();
            }
            region.close();
            if (lines != null) {
                lines.close();
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
