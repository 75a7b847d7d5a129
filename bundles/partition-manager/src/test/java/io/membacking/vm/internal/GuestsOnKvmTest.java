package io.membacking.vm.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.error.MembackingException;
import io.membacking.guests.GuestProgram;
import io.membacking.host.Backing;
import io.membacking.memory.BackingChoice;
import io.membacking.memory.DeviceMemory;
import io.membacking.memory.GuestMemoryManager;
import io.membacking.memory.MemoryLayout;
import io.membacking.memory.RamVisibility;
import io.membacking.partition.Availability;
import io.membacking.partition.Exit;
import io.membacking.partition.PartitionBackend;
import io.membacking.partition.kvm.KvmBackend;
import io.membacking.range.MemoryRange;
import io.membacking.region.Attachment;
import io.membacking.region.Step;
import io.membacking.vm.ExitHandler;
import io.membacking.vm.Outcome;
import io.membacking.vm.Run;
import io.membacking.vm.RunResult;
import io.membacking.vm.VirtualMachine;
import io.membacking.vm.VmRequest;
import io.membacking.vm.VmState;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What guests see, on the real KVM, while their memory changes beneath them. */
@Timeout(180)
class GuestsOnKvmTest {
    private static final Duration LONG = Duration.ofSeconds(100);
    private static final long MIB = 1 << 20;
    /** A RAM region of its own with x86 legacy support. */
    private static final MemoryRange SEGMENT = new MemoryRange(0xc0000, 0xc4000);

    private static final long OURS = 0x1122334455667788L;
    private static final long ALL_ONES = -1;

    private final PartitionBackend backend = createBackend();
    private final TestWorld world = new TestWorld();

    PartitionBackend createBackend() {
        return new KvmBackend();
    }

    /** How often a guest reads at least while its memory is changed for two seconds. */
    long leastReads() {
        return 1_000_000;
    }

    @BeforeEach
    void requireBackend() {
        Availability availability = backend.availability();
        String remedy = backend.name() + " is needed: " + availability.reason() + "; " + availability.remedy();
        if ("all".equals(System.getProperty("membacking.require"))) {
            assertTrue(availability.usable(), remedy);
        }
        Assumptions.assumeTrue(availability.usable(), remedy);
        arrive(1);
    }

    @AfterEach
    void close() throws Exception {
        world.close();
        ((AutoCloseable) backend).close();
    }

    private void arrive(long serviceId) {
        world.machines.backendArrived(new Backends.Installed(
                backend, backend.name(), "test", 0, serviceId, Map.of(PartitionBackend.NAME, backend.name())));
    }

    private VirtualMachine vm(GuestMemoryManager memory, int processors) {
        return world.machines.create(new VmRequest(memory.guest(), memory, processors, false, 0, Optional.empty()));
    }

    /** Ends a run at the write to {@link TestWorld#END}, keeping what was written. */
    private static final class EndHandler implements ExitHandler {
        final AtomicReference<Long> written = new AtomicReference<>();
        final Set<Integer> ended = ConcurrentHashMap.newKeySet();
        private final int processors;

        EndHandler(int processors) {
            this.processors = processors;
        }

        @Override
        public Outcome handle(int processor, Exit exit) {
            if (exit instanceof Exit.Mmio mmio && !mmio.input() && mmio.gpa() == TestWorld.END) {
                written.set(mmio.value());
                // Who has ended writes again until all have.
                ended.add(processor);
                return ended.size() == processors ? Outcome.stop(0, "ended") : Outcome.resume();
            }
            return Outcome.unhandled();
        }
    }

    private static RunResult await(Run run) throws InterruptedException {
        return run.await(LONG).orElseThrow(() -> new AssertionError("the guest did not end"));
    }

    /** A guest that reads {@code address} for ever until told to stop by {@link #stopReader}; its counts are in the registers. */
    private Run startReader(VirtualMachine vm, long address, long permitted, long alsoPermitted)
            throws MembackingException {
        return startReader(vm, address, permitted, alsoPermitted, new AtomicInteger());
    }

    /** @param exits counts the reads that found nothing mapped */
    private Run startReader(VirtualMachine vm, long address, long permitted, long alsoPermitted, AtomicInteger exits)
            throws MembackingException {
        TestWorld.load(vm.memory(), GuestProgram.USER_READER);
        TestWorld.prepare(
                vm,
                0,
                GuestProgram.USER_READER,
                TestWorld.registers(GuestProgram.USER_READER, 0, TestWorld.END, alsoPermitted, permitted, 0, address));
        return vm.start((processor, exit) -> {
            exits.incrementAndGet();
            return Outcome.unhandled();
        });
    }

    private record Reads(long wrong, long changes, long done, long lastWrong) {}

    private static Reads stopReader(VirtualMachine vm, Run run) throws Exception {
        run.stop(0, "enough");
        assertEquals(RunResult.Kind.STOPPED, await(run).kind());
        var registers = vm.processorState(0).general();
        return new Reads(registers.r8(), registers.r9(), registers.r12(), registers.r11());
    }

    @Test
    void unmappedReadsAndWritesExitWithTheirAddress() throws Exception {
        GuestMemoryManager memory = world.memory("unmapped", 16 * MIB);
        VirtualMachine vm = vm(memory, 1);
        TestWorld.load(memory, GuestProgram.PROTECTED_PEEKPOKE);
        TestWorld.prepare(
                vm,
                0,
                GuestProgram.PROTECTED_PEEKPOKE,
                TestWorld.registers(GuestProgram.PROTECTED_PEEKPOKE, 0x12345678, 0x2000000, 0x3000000, 0, 0, 0));
        ConcurrentLinkedQueue<String> exits = new ConcurrentLinkedQueue<>();
        RunResult result = await(vm.start((processor, exit) -> {
            if (exit instanceof Exit.Mmio mmio) {
                exits.add(mmio + (mmio.input() ? "" : " of " + Long.toHexString(mmio.value())));
                if (mmio.input()) {
                    mmio.setValue(0xcafe);
                }
                return Outcome.resume();
            }
            return Outcome.unhandled();
        }));
        assertEquals(RunResult.Kind.HALTED, result.kind());
        assertEquals(
                List.of(
                        "read of 4 bytes at 0x2000000",
                        "write of 4 bytes at 0x3000000 of 12345678",
                        "read of 4 bytes at 0x3000000"),
                List.copyOf(exits));
        assertEquals(0xcafe, vm.processorState(0).general().rdx());
    }

    @Test
    void readOnlyMemoryIsReadAndItsWritesExitAndLeaveIt() throws Exception {
        GuestMemoryManager memory = world.memory("rom", 16 * MIB);
        memory.memory().writeInt(SEGMENT.start(), 0x600d);
        memory.setVisibility(SEGMENT, RamVisibility.READ_ONLY);
        VirtualMachine vm = vm(memory, 1);
        TestWorld.load(memory, GuestProgram.PROTECTED_PEEKPOKE);
        TestWorld.prepare(
                vm,
                0,
                GuestProgram.PROTECTED_PEEKPOKE,
                TestWorld.registers(GuestProgram.PROTECTED_PEEKPOKE, 0xbad, SEGMENT.start(), SEGMENT.start(), 0, 0, 0));
        AtomicInteger writes = new AtomicInteger();
        RunResult result = await(vm.start((processor, exit) -> {
            if (exit instanceof Exit.Mmio mmio && !mmio.input() && mmio.gpa() == SEGMENT.start()) {
                writes.incrementAndGet();
            }
            return Outcome.unhandled();
        }));
        assertEquals(RunResult.Kind.HALTED, result.kind());
        assertEquals(1, writes.get());
        assertEquals(0x600d, vm.processorState(0).general().rdx());
        assertEquals(0x600d, vm.processorState(0).general().rsi());
        assertEquals(0x600d, memory.memory().readInt(SEGMENT.start()));
    }

    @Test
    void hidingAndShowingUnderRunningProcessorShowsMemoryOrNothing() throws Exception {
        GuestMemoryManager memory = world.memory("hide", 16 * MIB);
        memory.memory().writeLong(SEGMENT.start(), OURS);
        VirtualMachine vm = vm(memory, 1);
        AtomicInteger exits = new AtomicInteger();
        Run run = startReader(vm, SEGMENT.start(), OURS, ALL_ONES, exits);
        for (int i = 0; i < 200; i++) {
            int before = exits.get();
            memory.setVisibility(SEGMENT, RamVisibility.UNMAPPED);
            // Now and then until the guest has noticed; otherwise as fast as it goes.
            while (i % 20 == 0 && exits.get() == before && run.result().isEmpty()) {
                Thread.onSpinWait();
            }
            memory.setVisibility(SEGMENT, RamVisibility.READ_WRITE);
        }
        assertTrue(memory.regions().journal().stream()
                .flatMap(e -> e.plan().steps().stream())
                .noneMatch(Step.HoldProcessors.class::isInstance));
        Reads reads = stopReader(vm, run);
        assertEquals(0, reads.wrong(), reads::toString);
        assertTrue(exits.get() >= 10, exits::toString);
    }

    /** A backend cannot change a mapping's flags: without holding the processor it would read nothing for a moment. */
    @Test
    void changingWritabilityUnderRunningProcessorIsNeverSeenByReads() throws Exception {
        GuestMemoryManager memory = world.memory("flags", 16 * MIB);
        memory.memory().writeLong(SEGMENT.start(), OURS);
        VirtualMachine vm = vm(memory, 1);
        Run run = startReader(vm, SEGMENT.start(), OURS, OURS);
        long end = System.nanoTime() + Duration.ofSeconds(2).toNanos();
        int changes = 0;
        while (System.nanoTime() < end || changes < 200) {
            memory.setVisibility(SEGMENT, RamVisibility.READ_ONLY);
            memory.setVisibility(SEGMENT, RamVisibility.READ_WRITE);
            changes++;
        }
        Reads reads = stopReader(vm, run);
        assertEquals(new Reads(0, 0, reads.done(), 0), reads);
        assertTrue(reads.done() > leastReads(), reads::toString);
        assertTrue(memory.regions().checkDrift().clean());
    }

    @Test
    void replacingMappingsUnderRunningProcessorShowsTheOldOrTheNew() throws Exception {
        GuestMemoryManager memory = world.memory("replace", 16 * MIB);
        MemoryRange pages = MemoryRange.ofLength(0, 4 * MemoryRange.PAGE_SIZE);
        Backing first = filled(memory, "first", pages.length(), 0x1111);
        Backing second = filled(memory, "second", pages.length(), 0x2222);
        DeviceMemory device = memory.createDeviceMemory("device", pages.length());
        device.mappings().map(pages, first, 0, true);
        memory.setVisibility(SEGMENT, RamVisibility.UNMAPPED);
        device.control().place(SEGMENT.start(), true);
        VirtualMachine vm = vm(memory, 1);
        Run run = startReader(vm, SEGMENT.start() + 0x1008, 0x1111, 0x2222);
        long end = System.nanoTime() + Duration.ofSeconds(2).toNanos();
        int rounds = 0;
        while (System.nanoTime() < end || rounds < 200) {
            // Whole: one host mapping changes, which the backend follows. In part: several do, and the processor is
            // held.
            device.mappings().map(pages, second, 0, true);
            device.mappings().map(new MemoryRange(0x1000, 0x3000), first, 0x1000, true);
            device.mappings().map(pages, first, 0, true);
            rounds++;
        }
        Reads reads = stopReader(vm, run);
        assertEquals(0, reads.wrong(), reads::toString);
        assertTrue(reads.done() > leastReads(), reads::toString);
        assertTrue(reads.changes() > 0, reads::toString);
        assertTrue(memory.regions().checkDrift().clean());
    }

    private static Backing filled(GuestMemoryManager memory, String name, long size, long value) throws Exception {
        Backing backing = memory.allocate(name, size);
        byte[] word = new byte[8];
        for (int i = 0; i < 8; i++) {
            word[i] = (byte) (value >>> (8 * i));
        }
        for (long at = 0; at < size; at += 8) {
            backing.write(at, word, 0, 8);
        }
        return backing;
    }

    @Test
    void movingDeviceMemoryUnderRunningProcessorIsAllOrNothing() throws Exception {
        GuestMemoryManager memory = world.memory("move", 16 * MIB);
        MemoryRange other = new MemoryRange(0xd0000, 0xd4000);
        memory.changeVisibility("make room")
                .set(SEGMENT, RamVisibility.UNMAPPED)
                .set(other, RamVisibility.UNMAPPED)
                .commit();
        DeviceMemory device = memory.createDeviceMemory("device", SEGMENT.length());
        device.mappings()
                .map(MemoryRange.ofLength(0, SEGMENT.length()), filled(memory, "bytes", 0x4000, OURS), 0, true);
        device.control().place(SEGMENT.start(), true);
        VirtualMachine vm = vm(memory, 1);
        Run run = startReader(vm, SEGMENT.start(), OURS, ALL_ONES);
        for (int i = 0; i < 200; i++) {
            device.control().place(other.start(), true);
            device.control().place(SEGMENT.start(), true);
        }
        Reads reads = stopReader(vm, run);
        assertEquals(0, reads.wrong(), reads::toString);
        assertTrue(memory.regions().checkDrift().clean());
    }

    /** Two processors' handlers commit at the same time, each change holding both; and a third thread commits too. */
    @Test
    void commitsFromExitHandlersNeverDeadlock() throws Exception {
        GuestMemoryManager memory = world.memory("handlers", 16 * MIB);
        VirtualMachine vm = vm(memory, 2);
        TestWorld.load(memory, GuestProgram.USER_READER);
        for (int processor = 0; processor < 2; processor++) {
            // Nothing is mapped where they read, so every read is an exit.
            TestWorld.prepare(
                    vm,
                    processor,
                    GuestProgram.USER_READER,
                    TestWorld.registers(
                            GuestProgram.USER_READER, 0, TestWorld.END, 7, 7, 1000, TestWorld.END + 0x1000));
        }
        AtomicInteger commits = new AtomicInteger();
        EndHandler ends = new EndHandler(2);
        MemoryRange other = new MemoryRange(0xc4000, 0xc8000);
        Run run = vm.start((processor, exit) -> {
            if (exit instanceof Exit.Mmio mmio && mmio.input()) {
                memory.setVisibility(
                        processor == 0 ? SEGMENT : other,
                        commits.getAndIncrement() % 4 < 2 ? RamVisibility.READ_ONLY : RamVisibility.READ_WRITE);
                mmio.setValue(7);
                return Outcome.resume();
            }
            return ends.handle(processor, exit);
        });
        MemoryRange third = new MemoryRange(0xc8000, 0xcc000);
        while (run.result().isEmpty()) {
            memory.setVisibility(third, RamVisibility.READ_ONLY);
            memory.setVisibility(third, RamVisibility.READ_WRITE);
        }
        assertEquals(RunResult.Kind.STOPPED, await(run).kind());
        assertEquals(2000, commits.get());
        assertEquals(0, ends.written.get());
    }

    @Test
    void twoPartitionsOnOneMemoryAreCoherent() throws Exception {
        GuestMemoryManager memory = world.memory("shared", 16 * MIB);
        TestWorld.load(memory, GuestProgram.USER_ADD);
        int increments = 20_000;
        EndHandler[] ends = {new EndHandler(1), new EndHandler(1)};
        Run[] runs = new Run[2];
        for (int i = 0; i < 2; i++) {
            VirtualMachine vm =
                    world.machines.create(new VmRequest("shared-" + i, memory, 1, false, 0, Optional.empty()));
            TestWorld.prepare(
                    vm,
                    0,
                    GuestProgram.USER_ADD,
                    TestWorld.registers(GuestProgram.USER_ADD, 0, TestWorld.END, 0, 2, increments, 0x200000));
            runs[i] = vm.start(ends[i]);
        }
        for (Run run : runs) {
            assertEquals("ended", await(run).reason());
        }
        assertEquals(2L * increments, memory.memory().readLong(0x200000));
        assertTrue(memory.regions().checkDrift().clean());
    }

    @Test
    void secondTrustLevelSeesTheMemoryAtItsAliasOffset() throws Exception {
        long alias = 1L << 30;
        GuestMemoryManager memory = world.memories
                .builder("vtl2")
                .layout(MemoryLayout.flat(16 * MIB))
                .aliasMapOffset(alias)
                .build();
        TestWorld.load(memory, GuestProgram.USER_PEEKPOKE);
        memory.memory().writeLong(0x300000, OURS);
        VirtualMachine vm = world.machines.create(new VmRequest("upper", memory, 1, false, 2, Optional.empty()));
        TestWorld.prepare(
                vm,
                0,
                GuestProgram.USER_PEEKPOKE,
                TestWorld.registers(
                        GuestProgram.USER_PEEKPOKE, 0, TestWorld.END, 0, 0x77, alias + 0x300008, alias + 0x300000));
        EndHandler ends = new EndHandler(1);
        assertEquals("ended", await(vm.start(ends)).reason());
        assertEquals(OURS, ends.written.get());
        assertEquals(0x77, memory.memory().readLong(0x300008));
        assertTrue(memory.regions().checkDrift().clean());
        Attachment.Info info = memory.regions().attachments().get(0).info();
        assertEquals(alias, info.aliasOffset().orElseThrow());
    }

    @Test
    void pinningAndPrefetchTellWhatTheyAchieved() throws Exception {
        GuestMemoryManager memory = world.memories
                .builder("pinned")
                .layout(MemoryLayout.flat(4 * MIB))
                .backing(BackingChoice.SHARED.withPrefetch())
                .pinning(true)
                .build();
        VirtualMachine vm = vm(memory, 1);
        assertEquals(VmState.READY, vm.state(), vm::status);
        Attachment.Info info = memory.regions().attachments().get(0).info();
        assertTrue(info.pin().asked());
        assertEquals(Attachment.Achieved.HOST_MEMORY, info.pin().achieved());
    }

    @Test
    void guestOfADepartingBackendIsParkedAndGoesOnWhenItReturns() throws Exception {
        GuestMemoryManager memory = world.memory("departing", 16 * MIB);
        memory.memory().writeLong(0x200000, OURS);
        VirtualMachine vm = vm(memory, 1);
        Run run = startReader(vm, 0x200000, OURS, OURS);
        for (int round = 0; round < 5; round++) {
            assertEquals(VmState.RUNNING, vm.state());
            world.machines.backendDeparting(round + 1);
            assertEquals(VmState.PARKED, vm.state());
            assertTrue(memory.regions().attachments().isEmpty());
            assertEquals(OURS, memory.memory().readLong(0x200000));
            arrive(round + 2);
            assertEquals(VmState.RUNNING, vm.state(), vm::status);
        }
        assertTrue(run.result().isEmpty());
        run.stop(0, "seen");
        assertEquals("seen", await(run).reason());
        assertEquals(0, vm.processorState(0).general().r8(), "wrong reads");
    }

    @Test
    void nothingIsLeftAfterAHundredMachines() throws Exception {
        GuestMemoryManager memory = world.memory("again", 16 * MIB);
        TestWorld.load(memory, GuestProgram.USER_PEEKPOKE);
        runOnce(memory);
        Counts before = Counts.now();
        for (int i = 0; i < 100; i++) {
            runOnce(memory);
        }
        // Another thread may have a file open for a moment, to load a class say.
        long end = System.nanoTime() + Duration.ofSeconds(10).toNanos();
        while (!before.equals(Counts.now()) && System.nanoTime() < end) {
            Thread.onSpinWait();
        }
        assertEquals(before, Counts.now());
    }

    private void runOnce(GuestMemoryManager memory) throws Exception {
        try (VirtualMachine vm = vm(memory, 2)) {
            TestWorld.prepare(
                    vm,
                    0,
                    GuestProgram.USER_PEEKPOKE,
                    TestWorld.registers(GuestProgram.USER_PEEKPOKE, 0, TestWorld.END, 0, 1, 0x200008, 0x200000));
            assertEquals("ended", await(vm.start(new EndHandler(1), 1)).reason());
        }
    }

    private record Counts(long descriptors, long maps, long processorThreads) {
        static Counts now() throws Exception {
            long maps;
            try (var lines = java.nio.file.Files.lines(java.nio.file.Path.of("/proc/self/maps"))) {
                maps = lines.filter(l -> l.contains("kvm") || l.contains("memfd"))
                        .count();
            }
            return new Counts(
                    new java.io.File("/proc/self/fd").list().length,
                    maps,
                    Thread.getAllStackTraces().keySet().stream()
                            .filter(t -> t.getName().contains(" processor "))
                            .count());
        }
    }

    @Test
    void closedMachineSaysSo() throws Exception {
        GuestMemoryManager memory = world.memory("closed", 16 * MIB);
        VirtualMachine vm = vm(memory, 1);
        Run run = startReader(vm, 0x200000, 0, 0);
        vm.close();
        vm.close();
        assertEquals(RunResult.Kind.CLOSED, await(run).kind());
        assertEquals(VmState.CLOSED, vm.state());
        assertFalse(vm.awaitReady(Duration.ZERO));
    }
}
