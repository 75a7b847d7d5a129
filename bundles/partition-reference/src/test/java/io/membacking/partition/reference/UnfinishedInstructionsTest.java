package io.membacking.partition.reference;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.guests.GuestProgram;
import io.membacking.partition.Exit;
import io.membacking.partition.Partition;
import io.membacking.partition.PartitionBackend;
import io.membacking.partition.PartitionMapping;
import io.membacking.partition.PartitionRequest;
import io.membacking.partition.Processor;
import io.membacking.partition.ProcessorState.GeneralRegisters;
import io.membacking.partition.contract.BackendFixture;
import io.membacking.partition.contract.BackendRequirement;
import io.membacking.partition.kvm.KvmBackend;
import java.util.Optional;
import java.util.concurrent.FutureTask;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;

/** Whatever an instruction is in the middle of, completing one exit gets its processor to where its state can be taken. */
class UnfinishedInstructionsTest extends BackendFixture {
    private static final long CODE = 0x8000;
    private static final long BUFFER = 0x200000;
    private static final long LARGE_PAGE = 0x87; // present, writable, of the user
    private static final long MANY = 1L << 40;

    private static final byte[] REP_MOVSB = {(byte) 0xf3, (byte) 0xa4};
    private static final byte[] REP_STOSQ = {(byte) 0xf3, 0x48, (byte) 0xab};

    private Partition partition;

    @Override
    protected PartitionBackend createBackend() {
        return new ReferenceBackend();
    }

    private Processor user(byte[] code, GeneralRegisters registers) throws Exception {
        partition = partitionWithRam();
        Processor processor = partition.createProcessor(0);
        ram.write(CODE, code);
        start(processor, GuestProgram.Mode.LONG_USER, registers);
        return processor;
    }

    @Test
    void aRepeatedInstructionOverDeviceMemoryStandsBetweenTwoIterationsAfterEachExit() throws Exception {
        Processor processor = user(
                REP_MOVSB,
                registers().rsi(UNMAPPED).rdi(UNMAPPED + 0x10000).rcx(MANY).done());
        for (int i = 0; i < 100; i++) {
            Exit.Mmio read = runTo(processor, Exit.Mmio.class);
            assertEquals(UNMAPPED + i, read.gpa());
            read.setValue(i);
            Exit.Mmio write =
                    assertInstanceOf(Exit.Mmio.class, processor.completeExit().orElseThrow());
            assertEquals(UNMAPPED + 0x10000 + i, write.gpa());
            assertEquals(i, write.value());
            assertEquals(Optional.empty(), processor.completeExit());
            assertStandsAfter(processor, i + 1, 1);
        }
    }

    private static void assertStandsAfter(Processor processor, long iterations, int size) throws Exception {
        GeneralRegisters g = processor.state().general();
        assertEquals(CODE, g.rip());
        assertEquals(MANY - iterations, g.rcx());
        assertEquals(UNMAPPED + iterations * size, g.rsi());
        assertEquals(UNMAPPED + 0x10000 + iterations * size, g.rdi());
    }

    @Test
    void aRepeatedInstructionCanBeCancelledBetweenAnyTwoExits() throws Exception {
        Processor processor = user(
                REP_MOVSB,
                registers().rsi(UNMAPPED).rdi(UNMAPPED + 0x10000).rcx(MANY).done());
        for (int i = 0; i < 100; i++) {
            runTo(processor, Exit.Mmio.class).setValue(i);
            processor.cancel();
            runTo(processor, Exit.Cancelled.class);
            Exit.Mmio write = runTo(processor, Exit.Mmio.class);
            assertEquals(i, write.value());
            processor.cancel();
            runTo(processor, Exit.Cancelled.class);
            assertStandsAfter(processor, i + 1, 1);
        }
    }

    @Test
    void aRepeatedInstructionMovesToKvmAndBackBetweenAnyTwoIterations(TestInfo test) throws Exception {
        KvmBackend kvm = autoClose(new KvmBackend());
        BackendRequirement.require(kvm, test);
        int count = 3000;
        int moves = 0;
        byte[] code = {(byte) 0xf3, (byte) 0xa4, (byte) 0x88, 0x03}; // rep movsb; mov [rbx], al
        Processor here = user(
                code,
                registers()
                        .rsi(UNMAPPED)
                        .rdi(BUFFER)
                        .rcx(count)
                        .rbx(UNMAPPED + 0x10000)
                        .done());
        Partition other = autoClose(kvm.createPartition(
                new PartitionRequest("other", false, false, 1, Optional.of(partition.cpuModel()), false)));
        other.map(ram.at(0));
        Processor there = other.createProcessor(0);
        int read = 0;
        while (read < count) {
            // KVM goes on for up to 1,024 iterations before it can be left.
            Optional<Exit> exit = Optional.of(here.run());
            while (exit.isPresent()) {
                Exit.Mmio mmio = assertInstanceOf(Exit.Mmio.class, exit.get());
                assertEquals(UNMAPPED + read, mmio.gpa());
                mmio.setValue(read++);
                exit = here.completeExit();
            }
            assertEquals((byte) (read - 1), ram.getByte(BUFFER + read - 1));
            assertEquals(count - read, here.state().general().rcx());
            there.setState(here.state());
            Processor swap = here;
            here = there;
            there = swap;
            moves++;
        }
        assertTrue(moves > 3, "moved too seldom");
        assertEquals(UNMAPPED + 0x10000, runTo(here, Exit.Mmio.class).gpa());
    }

    @Test
    void aRepeatedInstructionOverMemoryIsCancelledAtOnce() throws Exception {
        Processor processor = endlessStores();
        FutureTask<Exit> run = onThread("rep", processor::run);
        awaitFirstStore(run);
        processor.cancel();
        assertInstanceOf(Exit.Cancelled.class, run.get());
        assertEquals(Optional.empty(), processor.completeExit());
        GeneralRegisters g = processor.state().general();
        assertEquals(CODE, g.rip());
        assertTrue(g.rcx() > 0 && g.rcx() < MANY, () -> g.toString());
        assertEquals(BUFFER + 8 * (MANY - g.rcx()), g.rdi());
    }

    @Test
    void aRepeatedInstructionOverMemoryEndsWithItsPartition() throws Exception {
        Processor processor = endlessStores();
        FutureTask<Exit> run = onThread("rep", processor::run);
        awaitFirstStore(run);
        partition.close();
        assertInstanceOf(Exit.Cancelled.class, run.get());
    }

    private void awaitFirstStore(FutureTask<Exit> run) {
        while (ram.getLong(BUFFER) == 0 && !run.isDone()) {
            Thread.onSpinWait();
        }
    }

    /** What its stores reach is the same 2 MiB again and again. */
    private Processor endlessStores() throws Exception {
        Processor processor =
                user(REP_STOSQ, registers().rax(7).rdi(BUFFER).rcx(MANY).done());
        long pointers = 0x2000;
        long first = 0x3000;
        long others = 0x5000;
        for (int i = 0; i < 512; i++) {
            if (i > 0) {
                ram.setLong(first + 8L * i, BUFFER | LARGE_PAGE);
                ram.setLong(pointers + 8L * i, others | 7);
            }
            ram.setLong(others + 8L * i, BUFFER | LARGE_PAGE);
        }
        return processor;
    }

    /** Nobody can deliver the page fault: there is no table of interrupts. */
    @Test
    void anInstructionThatShutsDownAfterItsExitIsOverAndItsStateIsTold() throws Exception {
        byte[] push = {(byte) 0xff, 0x33}; // push qword [rbx]
        Processor processor =
                user(push, registers().rbx(UNMAPPED).rsp(1L << 45).rcx(5).done());
        runTo(processor, Exit.Mmio.class).setValue(9);
        assertInstanceOf(Exit.Shutdown.class, processor.completeExit().orElseThrow());
        assertEquals(Optional.empty(), processor.completeExit());
        GeneralRegisters g = processor.state().general();
        assertEquals(CODE, g.rip());
        assertEquals(1L << 45, g.rsp());
        assertEquals(5, g.rcx());
    }

    @Test
    void anInstructionWhoseMemoryTheHostHasNotIsNotBegunAndItsStateIsTold() throws Exception {
        byte[] push = {(byte) 0xff, 0x33}; // push qword [rbx]
        Processor processor =
                user(push, registers().rbx(UNMAPPED).rsp(EXTRA.end()).done());
        partition.map(new PartitionMapping(
                EXTRA, ram.address(), ram.memory(), RAM_SIZE, true, true, Optional.empty(), Optional.empty()));
        runTo(processor, Exit.Mmio.class).setValue(9);
        assertInstanceOf(Exit.MemoryFault.class, processor.completeExit().orElseThrow());
        assertEquals(Optional.empty(), processor.completeExit());
        assertEquals(CODE, processor.state().general().rip());
    }
}
