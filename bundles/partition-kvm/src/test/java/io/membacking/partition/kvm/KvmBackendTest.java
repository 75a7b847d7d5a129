package io.membacking.partition.kvm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.error.BackendException;
import io.membacking.guests.GuestProgram;
import io.membacking.partition.Exit;
import io.membacking.partition.Partition;
import io.membacking.partition.PartitionBackend;
import io.membacking.partition.PartitionRequest;
import io.membacking.partition.Processor;
import io.membacking.partition.ProcessorState;
import io.membacking.partition.ProcessorState.GeneralRegisters;
import io.membacking.partition.contract.PartitionBackendContract;
import io.membacking.partition.contract.TestRam;
import io.membacking.range.MemoryRange;
import java.io.IOException;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;

/** The contract on the real KVM, and what is KVM's alone. */
class KvmBackendTest extends PartitionBackendContract {
    @Override
    protected PartitionBackend createBackend() {
        return new KvmBackend();
    }

    @Test
    void theHostTakingMappedMemoryAwayIsAFaultThatPasses() throws Exception {
        Processor processor = ready(
                GuestProgram.USER_PEEKPOKE,
                registers().rdi(0x200000).rsi(0x201000).rdx(9).rbx(UNMAPPED));
        ram.setLong(0x200000, 0x1234);
        ram.setAccessible(0x200000, 0x1000, false);
        Exit.MemoryFault fault = runTo(processor, Exit.MemoryFault.class);
        assertTrue(fault.gpa() == -1 || fault.gpa() == 0x200000, fault::toString);
        ram.setAccessible(0x200000, 0x1000, true);
        assertEquals(0x1234, runTo(processor, Exit.Mmio.class).value());
    }

    @Test
    void theGuestSeesWhatTheHostMapsOverAMappedRangeAtOnce() throws Exception {
        assertTrue(backend().capabilities().followsHostRemapping());
        long before = 0x1111111111111111L;
        long after = 0x2222222222222222L;
        ram.setLong(0x200000, before);
        Processor processor = ready(
                GuestProgram.USER_READER,
                registers().rdi(0x200000).rsi(0).rdx(before).rcx(after).rbx(UNMAPPED));
        FutureTask<Exit> run = onThread("reader", processor::run);
        try (TestRam other = new TestRam(0x1000)) {
            other.setLong(0, after);
            ram.replace(0x200000, 0x1000, other);
        }
        processor.cancel();
        assertInstanceOf(Exit.Cancelled.class, run.get());
        // One more stretch, long enough for a read, which can only be of the new page.
        run = onThread("reader", processor::run);
        GeneralRegisters registers;
        do {
            processor.cancel();
            run.get();
            registers = processor.state().general();
            run = onThread("reader", processor::run);
        } while (registers.r10() != after);
        processor.cancel();
        run.get();
        assertEquals(0, registers.r8(), "neither the one nor the other");
        assertTrue(registers.r9() <= 1, "there and back again");
    }

    @Test
    void anAccessOfSixteenBytesTakesTwoExitsAndTheStateWaitsForBoth() throws Exception {
        byte[] code = {
            0x0f,
            0x10,
            0x03, // movups xmm0, [rbx]
            0x0f,
            0x11,
            0x01, // movups [rcx], xmm0
            (byte) 0xf4 // hlt
        };
        ram.write(0x8000, code);
        Processor processor = partitionWithRam().createProcessor(0);
        start(
                processor,
                GuestProgram.Mode.LONG,
                registers().rbx(UNMAPPED).rcx(0x20000).done());
        ProcessorState before = processor.state();
        runTo(processor, Exit.Mmio.class).setValue(0x0102030405060708L);
        processor.cancel();
        runTo(processor, Exit.Cancelled.class);
        Exit.Mmio second = runTo(processor, Exit.Mmio.class);
        assertEquals(UNMAPPED + 8, second.gpa());
        assertThrows(IllegalStateException.class, processor::state);
        second.setValue(0x1112131415161718L);
        runTo(processor, Exit.Halt.class);
        assertEquals(0x0102030405060708L, ram.getLong(0x20000));
        assertEquals(0x1112131415161718L, ram.getLong(0x20008));
        // Set in the middle, the state drops the rest of the instruction.
        ram.setLong(0x20000, 0);
        processor.setState(before);
        runTo(processor, Exit.Mmio.class);
        processor.setState(before);
        assertEquals(before.general(), processor.state().general());
        assertEquals(UNMAPPED, runTo(processor, Exit.Mmio.class).gpa());
    }

    @Test
    void theTaskPriorityThatIsSetIsTheOneTheGuestSees() throws Exception {
        byte[] code = {
            0x44,
            0x0f,
            0x20,
            (byte) 0xc0, // mov rax, cr8
            (byte) 0xf4 // hlt
        };
        ram.write(0x8000, code);
        Processor processor = partitionWithRam().createProcessor(0);
        start(processor, GuestProgram.Mode.LONG, registers().done());
        ProcessorState state = processor.state();
        processor.setState(state.with(state.system().withCr8(9)));
        runTo(processor, Exit.Halt.class);
        assertEquals(9, processor.state().general().rax());
    }

    @Test
    void pagesOfThePlatformAreRefusedByName() throws Exception {
        Partition partition = partition();
        for (long page : new long[] {0xfeffc000L, 0xfeffd000L, 0xfeffe000L, 0xfefff000L, 0xfee00000L}) {
            MemoryRange range = MemoryRange.ofLength(page, 0x1000);
            BackendException refused =
                    assertThrows(BackendException.class, () -> partition.map(ram.at(range, 0, true)));
            assertEquals(range, refused.failure().range().orElseThrow());
        }
        partition.map(ram.at(MemoryRange.ofLength(0xfec00000L, 0x1000), 0, true));
        partition.map(ram.at(MemoryRange.ofLength(0xff000000L, 0x1000), 0, true)); // 16 MiB of firmware fit
        partition.map(ram.at(MemoryRange.ofLength(0xfffc0000L, 0x40000), 0, false));
        Partition withControllers = autoClose(backend().createPartition(new PartitionRequest("pc", true, 1)));
        BackendException refused = assertThrows(
                BackendException.class,
                () -> withControllers.map(ram.at(MemoryRange.ofLength(0xfec00000L, 0x1000), 0, true)));
        assertTrue(refused.getMessage().contains("I/O APIC"), refused::getMessage);
    }

    @Test
    void virtualThreadsAreRefused() throws Exception {
        Method startVirtualThread;
        try {
            startVirtualThread = Thread.class.getMethod("startVirtualThread", Runnable.class);
        } catch (NoSuchMethodException e) {
            Assumptions.abort("this Java has no virtual threads");
            return;
        }
        Processor processor = ready(GuestProgram.REAL_PRINT, registers().rdx(1));
        FutureTask<Exit> run = new FutureTask<>(processor::run);
        startVirtualThread.invoke(null, run);
        assertInstanceOf(
                IllegalStateException.class,
                assertThrows(ExecutionException.class, run::get).getCause());
        processor.cancel();
        FutureTask<Exit> cancelled = new FutureTask<>(processor::run);
        startVirtualThread.invoke(null, cancelled);
        assertInstanceOf(Exit.Cancelled.class, cancelled.get());
        runTo(processor, Exit.PortIo.class);
    }

    @Test
    void moreProcessorsThanKvmHasAreRefused() {
        assertThrows(BackendException.class, () -> backend()
                .createPartition(new PartitionRequest("huge", false, Integer.MAX_VALUE)));
    }

    @Test
    void anEdgeThatFallsTogetherWithOneThatWaitsIsNotTaken() throws Exception {
        Partition partition = autoClose(backend().createPartition(new PartitionRequest("pc", true, 1)));
        assertTrue(partition.pulseInterruptLine(5));
        assertFalse(partition.pulseInterruptLine(5));
        assertTrue(partition.pulseInterruptLine(7));
        assertThrows(BackendException.class, () -> partition.pulseInterruptLine(24));
        Partition without = autoClose(backend().createPartition(new PartitionRequest("plain", false, 1)));
        assertThrows(BackendException.class, () -> without.pulseInterruptLine(0));
    }

    @Test
    void thePlatformsTimerIsThereOnlyIfAskedFor() throws Exception {
        for (boolean timer : new boolean[] {true, false}) {
            Partition partition = autoClose(
                    backend().createPartition(new PartitionRequest("pc", true, timer, 1, Optional.empty(), false)));
            partition.map(ram.at(0));
            // in al, 0x40; out 0x77, al: a port that exits either way
            ram.write(0x8000, new byte[] {(byte) 0xe4, 0x40, (byte) 0xe6, 0x77});
            Processor processor = partition.createProcessor(0);
            start(processor, GuestProgram.Mode.REAL, registers().done());
            Exit.PortIo exit = runTo(processor, Exit.PortIo.class);
            assertEquals(timer ? 0x77 : 0x40, exit.port());
            partition.unmap(ram.at(0).range());
        }
    }

    @Test
    void aLineThatIsRaisedWakesAHaltedGuestWhichOtherwiseWaitsInTheKernel() throws Exception {
        Partition partition = autoClose(backend().createPartition(new PartitionRequest("pc", true, 1)));
        partition.map(ram.at(0));
        byte[] code = {
            (byte) 0xb0,
            0x11,
            (byte) 0xe6,
            0x20, // mov al, 0x11; out 0x20, al: ICW1
            (byte) 0xb0,
            0x20,
            (byte) 0xe6,
            0x21, // ICW2: vectors from 0x20
            (byte) 0xb0,
            0x04,
            (byte) 0xe6,
            0x21, // ICW3
            (byte) 0xb0,
            0x01,
            (byte) 0xe6,
            0x21, // ICW4
            (byte) 0xb0,
            (byte) 0xdf,
            (byte) 0xe6,
            0x21, // all masked but line 5
            (byte) 0xfb, // sti
            (byte) 0xf4, // hlt
            (byte) 0xeb,
            (byte) 0xfd // jmp to the hlt
        };
        byte[] handler = {(byte) 0xb0, 0x5a, (byte) 0xe6, 0x77}; // mov al, 0x5a; out 0x77, al
        ram.write(0x8000, code);
        ram.write(0x9000, handler);
        ram.memory().writeInt(0x25 * 4, 0x9000); // vector of line 5: 0000:9000
        Processor processor = partition.createProcessor(0);
        start(processor, GuestProgram.Mode.REAL, registers().done());
        FutureTask<Exit> run = onThread("halted", processor::run);
        partition.setInterruptLine(5, true);
        while (!run.isDone()) {
            partition.setInterruptLine(5, false);
            partition.setInterruptLine(5, true);
            Thread.onSpinWait();
        }
        Exit.PortIo exit = assertInstanceOf(Exit.PortIo.class, run.get());
        assertEquals(0x77, exit.port());
        assertEquals(0x5a, exit.value(0));
        processor.completeExit();
        // A processor that waits in the kernel is taken out of it too, and set to run again.
        ram.write(0x9000, new byte[] {(byte) 0xfa, (byte) 0xf4}); // cli; hlt
        start(processor, GuestProgram.Mode.REAL, GeneralRegisters.at(0x9000));
        do {
            FutureTask<Exit> halted = onThread("halted", processor::run);
            processor.cancel();
            assertInstanceOf(Exit.Cancelled.class, halted.get());
        } while (processor.state().general().rip() != 0x9002); // until it was caught behind the hlt
        ram.write(0x9000, handler);
        start(processor, GuestProgram.Mode.REAL, GeneralRegisters.at(0x9000));
        assertEquals(0x77, runTo(processor, Exit.PortIo.class).port());
    }

    @Test
    void aHundredPartitionsLeaveNoDescriptorNoMappingAndNoThread() throws Exception {
        cycle(); // what is made once is made
        long descriptors = descriptors();
        long kvmMappings = kvmMappings();
        for (int i = 0; i < 100; i++) {
            cycle();
        }
        assertEquals(descriptors, descriptors());
        assertEquals(kvmMappings, kvmMappings());
        assertEquals(0, kvmMappings());
        for (Thread thread : Thread.getAllStackTraces().keySet()) {
            assertFalse(thread.getName().contains("membacking"), thread::getName);
        }
    }

    private void cycle() throws BackendException {
        try (KvmBackend own = new KvmBackend();
                Partition partition = own.createPartition(new PartitionRequest("cycle", true, 2))) {
            partition.map(ram.at(0));
            partition.createProcessor(0);
            Processor processor = partition.createProcessor(1);
            processor.cancel();
            assertInstanceOf(Exit.Cancelled.class, processor.run());
        }
    }

    private static long descriptors() throws IOException {
        try (Stream<Path> open = Files.list(Path.of("/proc/self/fd"))) {
            return open.filter(fd -> {
                        try {
                            return Files.readSymbolicLink(fd).toString().contains("kvm");
                        } catch (IOException e) {
                            return false; // the listing's own
                        }
                    })
                    .count();
        }
    }

    private static long kvmMappings() throws IOException {
        try (Stream<String> lines = Files.lines(Path.of("/proc/self/maps"))) {
            return lines.filter(line -> line.contains("kvm")).count();
        }
    }

    @Test
    void closingTheBackendEndsItsPartitionsWhileTheyRun() throws Exception {
        KvmBackend own = new KvmBackend();
        List<FutureTask<Exit>> runs = new ArrayList<>();
        List<Partition> partitions = new ArrayList<>();
        ram.setLong(0x20000, 0);
        for (int i = 0; i < 2; i++) {
            Partition partition = own.createPartition(new PartitionRequest("p" + i, false, 1));
            partition.map(ram.at(0));
            Processor processor = ready(
                    partition,
                    GuestProgram.USER_COUNTER,
                    registers().rdi(0x20000 + i * 64).rbx(UNMAPPED));
            runs.add(onThread("p" + i, processor::run));
            partitions.add(partition);
        }
        while (ram.getLong(0x20000) == 0 || ram.getLong(0x20040) == 0) {
            Thread.onSpinWait();
        }
        own.close();
        for (FutureTask<Exit> run : runs) {
            assertInstanceOf(Exit.Cancelled.class, run.get());
        }
        partitions.forEach(partition -> assertTrue(partition.isClosed()));
        assertThrows(IllegalStateException.class, () -> own.createPartition(new PartitionRequest("late", false, 1)));
        assertFalse(own.availability().usable());
        own.close();
    }
}
