package io.membacking.partition.contract;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.error.BackendException;
import io.membacking.guests.GuestProgram;
import io.membacking.partition.Capabilities;
import io.membacking.partition.Exit;
import io.membacking.partition.Partition;
import io.membacking.partition.PartitionMapping;
import io.membacking.partition.PartitionRequest;
import io.membacking.partition.Processor;
import io.membacking.partition.ProcessorState;
import io.membacking.partition.ProcessorState.GeneralRegisters;
import io.membacking.range.MemoryRange;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.FutureTask;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** What every hypervisor backend must do, shown with small guests. A subclass names the backend. */
public abstract class PartitionBackendContract extends ProcessorStateContract {
    // Memory.

    @Test
    void readOfUnmappedMemoryExitsAndGetsTheAnswer() throws Exception {
        Processor processor = ready(
                GuestProgram.PROTECTED_PEEKPOKE, registers().rbx(UNMAPPED + 8).rcx(0x20000));
        Exit.Mmio exit = runTo(processor, Exit.Mmio.class);
        assertEquals(UNMAPPED + 8, exit.gpa());
        assertEquals(4, exit.size());
        assertTrue(exit.input());
        assertArrayEquals(new byte[4], exit.data());
        exit.setValue(0xcafe1234L);
        runTo(processor, Exit.Halt.class);
        assertEquals(0xcafe1234L, processor.state().general().rdx());
    }

    @Test
    void writeToUnmappedMemoryExitsWithItsData() throws Exception {
        Processor processor = ready(
                GuestProgram.PROTECTED_PEEKPOKE,
                registers().rbx(0x20000).rcx(UNMAPPED).rax(0x11223344L));
        Exit.Mmio write = runTo(processor, Exit.Mmio.class);
        assertEquals(UNMAPPED, write.gpa());
        assertFalse(write.input());
        assertEquals(0x11223344L, write.value());
        Exit.Mmio readBack = runTo(processor, Exit.Mmio.class);
        assertTrue(readBack.input());
        runTo(processor, Exit.Halt.class);
    }

    @Test
    void readOnlyMemoryIsReadableAndAWriteExitsAndLeavesIt() throws Exception {
        Assumptions.assumeTrue(backend().capabilities().readOnlyMemory());
        try (TestRam rom = new TestRam(EXTRA.length())) {
            rom.setLong(0, 0x5566778899aabbccL);
            Partition partition = partitionWithRam();
            partition.map(rom.at(EXTRA, 0, false));
            Processor processor = ready(
                    partition,
                    GuestProgram.PROTECTED_PEEKPOKE,
                    registers().rbx(EXTRA.start()).rcx(EXTRA.start()).rax(0x11111111L));
            Exit.Mmio write = runTo(processor, Exit.Mmio.class);
            assertEquals(EXTRA.start(), write.gpa());
            assertFalse(write.input());
            assertEquals(0x11111111L, write.value());
            runTo(processor, Exit.Halt.class);
            assertEquals(0x99aabbccL, processor.state().general().rdx());
            assertEquals(0x99aabbccL, processor.state().general().rsi());
            assertEquals(0x5566778899aabbccL, rom.getLong(0));
            partition.close();
        }
    }

    @Test
    void twoPartitionsOnOneMemoryAreCoherent() throws Exception {
        Partition first = partitionWithRam();
        Partition second = partitionWithRam();
        long counters = 0x20000;
        int turns = 2000;
        ram.setLong(counters, 0);
        List<FutureTask<Exit>> runs = new ArrayList<>();
        List<Processor> processors = new ArrayList<>();
        for (int side = 0; side < 2; side++) {
            Processor processor = ready(
                    side == 0 ? first : second,
                    GuestProgram.USER_PINGPONG,
                    registers().rdi(counters).rsi(turns).rdx(side).rbx(UNMAPPED));
            processors.add(processor);
        }
        for (Processor processor : processors) {
            runs.add(onThread("pingpong", processor::run));
        }
        for (FutureTask<Exit> run : runs) {
            assertEquals(0, assertInstanceOf(Exit.Mmio.class, run.get()).value());
        }
        assertEquals(2L * turns, ram.getLong(counters));
    }

    @Test
    void memoryTakenOutAndPutBackUnderARunningProcessorNeverShowsAWrongValue() throws Exception {
        try (TestRam extra = new TestRam(EXTRA.length())) {
            Partition partition = partitionWithRam();
            PartitionMapping mapping = extra.at(EXTRA, 0, true);
            partition.map(mapping);
            long value = 0x0123456789abcdefL;
            extra.setLong(0, value);
            Processor processor = ready(
                    partition,
                    GuestProgram.USER_READER,
                    registers().rdi(EXTRA.start()).rsi(0).rdx(value).rcx(~value).rbx(UNMAPPED));
            AtomicLong missed = new AtomicLong();
            FutureTask<Exit> run = onThread("reader", () -> {
                while (true) {
                    Exit exit = processor.run();
                    if (!(exit instanceof Exit.Mmio mmio) || mmio.gpa() != EXTRA.start()) {
                        return exit;
                    }
                    missed.incrementAndGet();
                    mmio.setValue(~value);
                }
            });
            // Alternate until the guest has really been caught without the memory, a number of times.
            long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
            while (missed.get() < 50 && System.nanoTime() < deadline) {
                partition.unmap(EXTRA);
                partition.map(mapping);
            }
            processor.cancel();
            assertInstanceOf(Exit.Cancelled.class, run.get());
            assertTrue(missed.get() >= 50, () -> "caught without memory " + missed + " times");
            processor.completeExit();
            assertEquals(0, processor.state().general().r8());
            assertTrue(processor.state().general().r12() > 0);
            partition.close();
        }
    }

    @Test
    void mappingsAreListedInOrderAndUnmappedExactly() throws Exception {
        Partition partition = partition();
        PartitionMapping high = ram.at(MemoryRange.ofLength(0x800000, 0x2000), 0x2000, true);
        PartitionMapping low = ram.at(MemoryRange.ofLength(0x400000, 0x1000), 0, true);
        partition.map(high);
        partition.map(low);
        assertEquals(List.of(low, high), partition.mappings());
        partition.unmap(high.range());
        assertEquals(List.of(low), partition.mappings());
        assertThrows(BackendException.class, () -> partition.unmap(high.range()));
        assertEquals(List.of(low), partition.mappings());
    }

    @Test
    void partsAreUnmappedOnlyWhereThatIsACapability() throws Exception {
        Assumptions.assumeFalse(backend().capabilities().partialUnmap());
        Partition partition = partition();
        partition.map(ram.at(MemoryRange.ofLength(0x400000, 0x4000), 0, true));
        MemoryRange part = MemoryRange.ofLength(0x401000, 0x1000);
        MemoryRange more = MemoryRange.ofLength(0x3ff000, 0x6000);
        for (MemoryRange wrong : List.of(part, more)) {
            BackendException refused = assertThrows(BackendException.class, () -> partition.unmap(wrong));
            assertEquals(wrong, refused.failure().range().orElseThrow());
            assertFalse(refused.failure().remedy().isEmpty());
        }
        assertEquals(1, partition.mappings().size());
    }

    @Test
    void overlapsOfAnyKindAreRefusedAndNothingChanges() throws Exception {
        Partition partition = partition();
        MemoryRange taken = MemoryRange.ofLength(0x400000, 0x4000);
        partition.map(ram.at(taken, 0, true));
        for (MemoryRange wrong : List.of(
                taken,
                MemoryRange.ofLength(0x3ff000, 0x2000),
                MemoryRange.ofLength(0x403000, 0x2000),
                MemoryRange.ofLength(0x401000, 0x1000),
                MemoryRange.ofLength(0x3ff000, 0x6000))) {
            BackendException refused =
                    assertThrows(BackendException.class, () -> partition.map(ram.at(wrong, 0, true)));
            assertEquals(wrong, refused.failure().range().orElseThrow());
        }
        assertEquals(1, partition.mappings().size());
        partition.map(ram.at(MemoryRange.ofLength(0x3ff000, 0x1000), 0, true));
        partition.map(ram.at(MemoryRange.ofLength(0x404000, 0x1000), 0, true));
    }

    @Test
    void mappingsThatCannotBeAreRefused() throws Exception {
        Partition partition = partition();
        long limit = 1L << partition.capabilities().physicalAddressWidth();
        List<PartitionMapping> wrong = List.of(
                ram.at(MemoryRange.ofLength(limit, 0x1000), 0, true),
                ram.at(MemoryRange.ofLength(limit - 0x1000, 0x2000), 0, true),
                ram.at(MemoryRange.ofLength(0x8000000000000000L, 0x1000), 0, true),
                new PartitionMapping(EXTRA, ram.address() + 1, ram.memory(), 0, true, true),
                new PartitionMapping(EXTRA, 0, ram.memory(), 0, true, true),
                new PartitionMapping(EXTRA, 0x8000000000000000L, ram.memory(), 0, true, true),
                new PartitionMapping(EXTRA, 0x7ffffffffffff000L, ram.memory(), 0, true, true));
        for (PartitionMapping mapping : wrong) {
            BackendException refused = assertThrows(BackendException.class, () -> partition.map(mapping));
            assertEquals(mapping.range(), refused.failure().range().orElseThrow());
        }
        assertEquals(List.of(), partition.mappings());
        partition.map(ram.at(MemoryRange.ofLength(limit - 0x1000, 0x1000), 0, true));
    }

    /** Its host address means something else here. */
    @Test
    void memoryOfAnotherProcessIsRefusedByNameWhereThatIsNoCapability() throws Exception {
        Assumptions.assumeFalse(backend().capabilities().remoteProcess());
        Partition partition = partition();
        PartitionMapping foreign = new PartitionMapping(
                EXTRA,
                ram.address(),
                ram.memory(),
                0,
                true,
                true,
                Optional.of(new PartitionMapping.Remote(1, OptionalInt.empty(), 0)));
        BackendException refused = assertThrows(BackendException.class, () -> partition.map(foreign));
        assertEquals(EXTRA, refused.failure().range().orElseThrow());
        assertTrue(refused.getMessage().contains("another process"), refused::getMessage);
        assertFalse(refused.failure().remedy().isEmpty());
        assertEquals(List.of(), partition.mappings());
        partition.map(ram.at(EXTRA, 0, true));
    }

    @Test
    void prefetchAndPinDoWhatTheCapabilitiesSayOrFail() throws Exception {
        Partition partition = partitionWithRam();
        partition.createProcessor(0);
        MemoryRange range = MemoryRange.ofLength(0, 2 * MIB);
        if (backend().capabilities().prefetch()) {
            partition.prefetch(range);
        } else {
            assertThrows(BackendException.class, () -> partition.prefetch(range));
        }
        if (backend().capabilities().pin()) {
            partition.pin(range);
        } else {
            assertThrows(BackendException.class, () -> partition.pin(range));
        }
        partition.unpin(range);
        assertThrows(BackendException.class, () -> partition.prefetch(EXTRA));
    }

    @Test
    void pagesThatTheGuestWroteAreTakenOnceAndExactly() throws Exception {
        if (!backend().capabilities().dirtyLog()) {
            Partition partition = partitionWithRam();
            assertThrows(BackendException.class, () -> partition.takeDirty(MemoryRange.ofLength(0, 0x1000)));
            return;
        }
        PartitionRequest request = new PartitionRequest("logged", false, false, 1, Optional.empty(), true);
        Partition partition = autoClose(backend().createPartition(request));
        // Three mappings with a hole of one page and a read-only one: 0 to 0x180000, 0x181000 to 0x200000, 0x200000 to
        // 0x3ff000.
        partition.map(ram.at(MemoryRange.ofLength(0, 0x180000), 0, true));
        partition.map(ram.at(new MemoryRange(0x181000, 0x200000), 0x181000, true));
        partition.map(ram.at(new MemoryRange(0x200000, 0x3ff000), 0x200000, true));
        if (backend().capabilities().readOnlyMemory()) {
            partition.map(ram.at(MemoryRange.ofLength(0x3ff000, 0x1000), 0x3ff000, false));
        }
        Processor processor = partition.createProcessor(0);
        ram.write(0x8000, GuestProgram.USER_PATTERN.bytes());
        MemoryRange all = MemoryRange.ofLength(0, RAM_SIZE);
        long seed = new Random().nextLong();
        Random random = new Random(seed);
        BitSet written = new BitSet();
        for (int i = 0; i < 200; i++) {
            // One write of the guest's, anywhere from 64 KiB on that is mapped and writable.
            int page = 16 + random.nextInt(0x3ff - 16);
            if (page != 0x180) {
                start(
                        processor,
                        GuestProgram.Mode.LONG_USER,
                        registers()
                                .rdi((long) page * MemoryRange.PAGE_SIZE + 8L * random.nextInt(512))
                                .rsi(8)
                                .rcx(1)
                                .rbx(UNMAPPED)
                                .done());
                runTo(processor, Exit.Mmio.class);
                processor.completeExit();
                written.set(page);
            }
            if (random.nextInt(4) == 0) {
                int first = 16 + random.nextInt(0x400 - 16);
                int pages = 1 + random.nextInt(0x400 - first);
                MemoryRange part = MemoryRange.ofLength(
                        (long) first * MemoryRange.PAGE_SIZE, (long) pages * MemoryRange.PAGE_SIZE);
                if (first == 0x180 && pages == 1) {
                    assertThrows(BackendException.class, () -> partition.takeDirty(part));
                } else {
                    assertEquals(written.get(first, first + pages), partition.takeDirty(part), () -> "seed " + seed);
                    written.clear(first, first + pages);
                }
            }
        }
        BitSet rest = partition.takeDirty(all);
        rest.clear(0, 16); // the processor itself may write to its page tables
        assertEquals(written, rest, () -> "seed " + seed);
        rest = partition.takeDirty(all);
        assertTrue(rest.isEmpty(), rest::toString);
        assertThrows(BackendException.class, () -> partition.takeDirty(EXTRA));
        Partition unlogged = partitionWithRam();
        assertThrows(BackendException.class, () -> unlogged.takeDirty(all));
        partition.close();
        assertThrows(IllegalStateException.class, () -> partition.takeDirty(all));
    }

    // Ports.

    @Test
    void portOutputArrivesByteByByteAndTheGuestHalts() throws Exception {
        Processor processor = ready(GuestProgram.REAL_PRINT, registers().rdx(PORT));
        StringBuilder text = new StringBuilder();
        Exit exit = processor.run();
        while (exit instanceof Exit.PortIo io) {
            assertEquals(PORT, io.port());
            assertEquals(1, io.size());
            assertFalse(io.input());
            for (int i = 0; i < io.count(); i++) {
                text.append((char) io.value(i));
            }
            exit = processor.run();
        }
        assertInstanceOf(Exit.Halt.class, exit);
        assertEquals(GuestProgram.REAL_PRINT_TEXT, text.toString());
    }

    @Test
    void stringOutputArrivesWholeHoweverItIsSplit() throws Exception {
        byte[] source = new byte[3000];
        new Random(7).nextBytes(source);
        ram.write(0x4321, source);
        Processor processor = ready(
                GuestProgram.REAL_OUTS,
                registers().rsi(0x4321).rcx(source.length).rdx(PORT));
        byte[] seen = new byte[0];
        Exit exit = processor.run();
        while (exit instanceof Exit.PortIo io) {
            assertFalse(io.input());
            assertEquals(io.size() * io.count(), io.data().length);
            int before = seen.length;
            seen = Arrays.copyOf(seen, before + io.data().length);
            System.arraycopy(io.data(), 0, seen, before, io.data().length);
            exit = processor.run();
        }
        assertInstanceOf(Exit.Halt.class, exit);
        assertArrayEquals(source, seen);
    }

    @Test
    void stringInputIsFilledItemByItem() throws Exception {
        byte[] answer = "what the device had to say".getBytes(StandardCharsets.US_ASCII);
        Processor processor = ready(
                GuestProgram.REAL_INS,
                registers().rdi(0x4321).rcx(answer.length).rdx(PORT));
        int given = 0;
        Exit exit = processor.run();
        while (exit instanceof Exit.PortIo io) {
            assertTrue(io.input());
            assertArrayEquals(new byte[io.size() * io.count()], io.data());
            for (int i = 0; i < io.count(); i++) {
                io.setValue(i, answer[given++]);
            }
            exit = processor.run();
        }
        assertInstanceOf(Exit.Halt.class, exit);
        assertEquals(answer.length, given);
        byte[] seen = new byte[answer.length];
        ram.memory().read(0x4321, seen, 0, seen.length);
        assertArrayEquals(answer, seen);
    }

    @Test
    void portsOfEverySizeCarryTheirValues() throws Exception {
        byte[] code = {
            (byte) 0xed, // in eax, dx (32-bit code)
            (byte) 0x89,
            (byte) 0xc3, // mov ebx, eax
            0x66,
            (byte) 0xed, // in ax, dx
            0x66,
            (byte) 0xef, // out dx, ax
            (byte) 0xec, // in al, dx
            (byte) 0x89,
            (byte) 0xd8, // mov eax, ebx
            (byte) 0xef, // out dx, eax
            (byte) 0xf4 // hlt
        };
        ram.write(0x8000, code);
        Processor processor = partitionWithRam().createProcessor(0);
        start(processor, GuestProgram.Mode.PROTECTED, registers().rdx(PORT).done());
        Exit.PortIo in32 = runTo(processor, Exit.PortIo.class);
        assertEquals(4, in32.size());
        in32.setValue(0, 0x89abcdefL);
        Exit.PortIo in16 = runTo(processor, Exit.PortIo.class);
        assertEquals(2, in16.size());
        in16.setValue(0, 0x1357);
        Exit.PortIo out16 = runTo(processor, Exit.PortIo.class);
        assertEquals(0x1357, out16.value(0));
        assertEquals(2, out16.data().length);
        assertEquals(1, runTo(processor, Exit.PortIo.class).size());
        Exit.PortIo out32 = runTo(processor, Exit.PortIo.class);
        assertEquals(0x89abcdefL, out32.value(0));
        runTo(processor, Exit.Halt.class);
    }

    // Ends.

    @Test
    void tripleFaultShutsDown() throws Exception {
        ram.write(0x8000, new byte[] {0x0f, 0x0b}); // ud2, with an empty interrupt table
        Processor processor = partitionWithRam().createProcessor(0);
        start(processor, GuestProgram.Mode.PROTECTED, registers().done());
        ProcessorState state = processor.state();
        ProcessorState.SystemRegisters s = state.system();
        processor.setState(state.with(s.withTables(s.gdt(), new ProcessorState.Table(0, 0))));
        assertFalse(runTo(processor, Exit.Shutdown.class).detail().isEmpty());
    }

    @Test
    void userCodeInLongModeRunsAtNativeSpeedWhereItRunsNatively() throws Exception {
        GuestStates.Registers start =
                registers().rdi(MIB).rsi(2 * MIB).rdx(42).rcx(3).rbx(UNMAPPED);
        Processor processor = ready(GuestProgram.USER_PATTERN, start);
        // Once untimed: pages may come one by one as they are touched.
        runTo(processor, Exit.Mmio.class);
        processor.completeExit();
        start(processor, GuestProgram.USER_PATTERN.mode(), start.done());
        long begin = System.nanoTime();
        Exit.Mmio end = runTo(processor, Exit.Mmio.class);
        long elapsed = System.nanoTime() - begin;
        assertEquals(0, end.value(), "wrong words");
        assertEquals(GuestProgram.patternAt(MIB + 8, 42), ram.getLong(MIB + 8));
        // 2 x 262,144 words: natively a few milliseconds, emulated two seconds and more.
        assertTrue(elapsed < TimeUnit.SECONDS.toNanos(1) || !runsUserCodeNatively(), () -> "took " + elapsed + " ns");
    }

    @Test
    void anInstructionThatTheHypervisorCannotCarryOutIsShownWithItsBytes() throws Exception {
        byte[] code = {0x0f, (byte) 0xae, 0x28, (byte) 0xf4}; // xrstor [rax]; hlt
        ram.write(0x8000, code);
        Processor processor = partitionWithRam().createProcessor(0);
        start(processor, GuestProgram.Mode.LONG, registers().rax(0x20000).done());
        ProcessorState state = processor.state();
        Exit exit = processor.run();
        // Real hardware carries it out, or faults for want of OSXSAVE: only the former software processor fails here.
        Assumptions.assumeTrue(exit instanceof Exit.EmulationFailure, "carried out here: " + exit);
        Exit.EmulationFailure failure = (Exit.EmulationFailure) exit;
        assertEquals(state.general().rip(), failure.rip());
        assertArrayEquals(new byte[] {0x0f, (byte) 0xae, 0x28}, Arrays.copyOf(failure.instruction(), 3));
        assertTrue(failure.toString().contains("0f ae 28"), failure::toString);
    }

    // Cancelling.

    @Test
    void cancelTakesASpinningGuestOutTenThousandTimesNoneLostNoneTwice() throws Exception {
        long counters = 0x20000;
        Processor processor =
                ready(GuestProgram.USER_COUNTER, registers().rdi(counters).rbx(UNMAPPED));
        int times = 10_000;
        Semaphore returned = new Semaphore(0);
        FutureTask<Exit> run = onThread("spinner", () -> {
            while (true) {
                Exit exit = processor.run();
                if (!(exit instanceof Exit.Cancelled)) {
                    return exit;
                }
                returned.release();
            }
        });
        Random random = new Random(11);
        for (int i = 1; i <= times; i++) {
            if (random.nextInt(16) == 0) {
                awaitProgress(counters, run); // else the cancel mostly comes before the guest is entered
            }
            processor.cancel();
            String nth = "cancel " + i;
            assertTrue(returned.tryAcquire(30, TimeUnit.SECONDS), nth);
            assertEquals(0, returned.availablePermits(), nth);
        }
        awaitProgress(counters, run);
        ram.setLong(counters + 8, 1); // the guest ends by itself: no cancel was left over
        assertInstanceOf(Exit.Mmio.class, run.get());
        assertEquals(0, returned.availablePermits());
    }

    @Test
    void cancelBeforeRunReturnsAtOnceAndAnyNumberCountsAsOne() throws Exception {
        Processor processor = ready(GuestProgram.REAL_PRINT, registers().rdx(PORT));
        ProcessorState before = processor.state();
        for (int i = 0; i < 5; i++) {
            processor.cancel();
        }
        assertTrue(runTo(processor, Exit.Cancelled.class).whole(), "or who moves it finishes nothing first");
        assertEquals(before.general(), processor.state().general());
        Exit.PortIo first = runTo(processor, Exit.PortIo.class);
        assertEquals(GuestProgram.REAL_PRINT_TEXT.charAt(0), first.value(0));
    }

    @Test
    void cancelBetweenAnExitAndItsCompletionLosesNothing() throws Exception {
        Processor processor =
                ready(GuestProgram.PROTECTED_PEEKPOKE, registers().rbx(UNMAPPED).rcx(0x20000));
        Exit.Mmio exit = runTo(processor, Exit.Mmio.class);
        exit.setValue(0x600df00dL);
        processor.cancel();
        Exit.Cancelled cancelled = runTo(processor, Exit.Cancelled.class);
        if (cancelled.whole()) {
            processor.state();
        } else {
            assertThrows(IllegalStateException.class, processor::state);
        }
        runTo(processor, Exit.Halt.class);
        assertEquals(0x600df00dL, processor.state().general().rdx());
    }

    @Test
    void cancelsRacingWithExitsAreAllSeenAndNoExitIsLost() throws Exception {
        Partition partition = partitionWithRam();
        Processor processor = ready(
                partition,
                GuestProgram.USER_READER,
                registers().rdi(EXTRA.start()).rsi(0).rdx(7).rcx(8).rbx(UNMAPPED));
        int times = 3000;
        Semaphore cancelled = new Semaphore(0);
        FutureTask<Long> run = onThread("reader", () -> {
            long exits = 0;
            int seen = 0;
            while (seen < times) {
                Exit exit = processor.run();
                if (exit instanceof Exit.Cancelled) {
                    cancelled.release();
                    seen++;
                } else {
                    ((Exit.Mmio) exit).setValue(7);
                    exits++;
                }
            }
            return exits;
        });
        for (int i = 1; i <= times; i++) {
            processor.cancel();
            assertTrue(cancelled.tryAcquire(30, TimeUnit.SECONDS), "cancel " + i);
        }
        long exits = run.get();
        processor.completeExit();
        GeneralRegisters registers = processor.state().general();
        assertEquals(0, registers.r8(), "wrong values");
        // The last exit may be completed but not counted by the guest yet.
        assertTrue(
                exits - registers.r12() <= 1 && exits >= registers.r12(),
                exits + " exits, " + registers.r12() + " reads");
        assertEquals(0, cancelled.availablePermits());
    }

    // Processors and their ends.

    @Test
    void severalProcessorsShareTheMemory() throws Exception {
        int count = 3;
        Partition partition = partition(count);
        partition.map(ram.at(0));
        ram.write(GuestProgram.USER_ADD.loadAddress(), GuestProgram.USER_ADD.bytes());
        List<Processor> processors = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            Processor processor = partition.createProcessor(i);
            assertEquals(i, processor.index());
            start(
                    processor,
                    GuestProgram.Mode.LONG_USER,
                    registers().rdi(0x20000).rsi(1000).rdx(count).rbx(UNMAPPED).done());
            processors.add(processor);
        }
        List<FutureTask<Exit>> runs = new ArrayList<>();
        for (Processor processor : processors) {
            runs.add(onThread("processor " + processor.index(), processor::run));
        }
        for (FutureTask<Exit> run : runs) {
            assertInstanceOf(Exit.Mmio.class, run.get());
        }
        assertEquals(1000L * count, ram.getLong(0x20000));
    }

    @Test
    void aProcessorIsMadeOnceAndOnlyWithinTheNumberAskedFor() throws Exception {
        Partition partition = partition(2);
        Processor processor = partition.createProcessor(1);
        assertThrows(BackendException.class, () -> partition.createProcessor(1));
        assertThrows(IllegalArgumentException.class, () -> partition.createProcessor(2));
        assertThrows(IllegalArgumentException.class, () -> partition.createProcessor(-1));
        processor.close();
        processor.close();
        processor.cancel();
        assertThrows(IllegalStateException.class, processor::run);
        assertThrows(IllegalStateException.class, processor::state);
        assertThrows(IllegalStateException.class, processor::completeExit);
    }

    @Test
    void linesAreRefusedWithoutInterruptControllersAndBeyondTheirNumber() throws Exception {
        Partition without = partition();
        assertThrows(BackendException.class, () -> without.setInterruptLine(0, true));
        PartitionRequest request = new PartitionRequest("with controllers", true, 1);
        if (!backend().capabilities().interruptControllers()) {
            assertThrows(BackendException.class, () -> backend().createPartition(request));
            return;
        }
        Partition with = autoClose(backend().createPartition(request));
        with.setInterruptLine(0, true);
        with.setInterruptLine(23, false);
        assertThrows(BackendException.class, () -> with.setInterruptLine(24, true));
        assertThrows(BackendException.class, () -> with.setInterruptLine(-1, true));
    }

    @Test
    void aRunningProcessorHasOneUserAtATime() throws Exception {
        Processor processor =
                ready(GuestProgram.USER_COUNTER, registers().rdi(0x20000).rbx(UNMAPPED));
        FutureTask<Exit> run = onThread("spinner", processor::run);
        while (ram.getLong(0x20000) == 0 && !run.isDone()) {
            Thread.onSpinWait();
        }
        assertThrows(IllegalStateException.class, processor::run);
        assertThrows(IllegalStateException.class, processor::state);
        assertThrows(IllegalStateException.class, processor::completeExit);
        assertFalse(run.isDone());
        processor.cancel();
        assertInstanceOf(Exit.Cancelled.class, run.get());
        assertNotEquals(0, processor.state().general().r8());
    }

    @Test
    void closingFromAnotherThreadEndsTheRunAndEverythingSaysClosed() throws Exception {
        Partition partition = partitionWithRam();
        Processor processor = ready(
                partition, GuestProgram.USER_COUNTER, registers().rdi(0x20000).rbx(UNMAPPED));
        CountDownLatch left = new CountDownLatch(1);
        FutureTask<Exit> run = onThread("spinner", () -> {
            try {
                return processor.run();
            } finally {
                left.countDown();
            }
        });
        while (ram.getLong(0x20000) == 0 && !run.isDone()) {
            Thread.onSpinWait();
        }
        assertFalse(partition.isClosed());
        partition.close();
        assertTrue(partition.isClosed());
        assertInstanceOf(Exit.Cancelled.class, run.get());
        assertTrue(left.await(10, TimeUnit.SECONDS));
        partition.close();
        partition.unmap(MemoryRange.ofLength(0, RAM_SIZE));
        for (Executable call : List.<Executable>of(
                () -> partition.map(ram.at(0)),
                () -> partition.prefetch(EXTRA),
                partition::mappings,
                () -> partition.createProcessor(0),
                () -> partition.setInterruptLine(0, true),
                processor::run,
                processor::state,
                () -> processor.setState(dummyState()),
                processor::completeExit)) {
            String message = assertThrows(IllegalStateException.class, call).getMessage();
            assertTrue(message.contains("closed"), message);
        }
        processor.cancel();
        processor.close();
    }

    private static ProcessorState dummyState() {
        ProcessorState.Segment segment = new ProcessorState.Segment(0, 0, 0, 0);
        ProcessorState.Table table = new ProcessorState.Table(0, 0);
        return new ProcessorState(
                GeneralRegisters.at(0),
                new ProcessorState.SystemRegisters(
                        segment, segment, segment, segment, segment, segment, segment, segment, table, table, 0, 0, 0,
                        0, 0, 0, 0),
                new TreeMap<>());
    }

    @Test
    void namesAreAsAskedFor() throws Exception {
        Partition partition = partition();
        assertEquals("test", partition.name());
        assertEquals(backend().name(), partition.backend());
        Map<String, Object> all = new HashMap<>(backend().capabilities().asProperties());
        Map<String, Object> own = new HashMap<>(partition.capabilities().asProperties());
        all.remove(Capabilities.PHYSICAL_ADDRESS_WIDTH);
        own.remove(Capabilities.PHYSICAL_ADDRESS_WIDTH);
        assertEquals(all, own);
        assertTrue(partition.capabilities().physicalAddressWidth()
                <= backend().capabilities().physicalAddressWidth());
    }
}
