package io.membacking.partition.contract;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.error.BackendException;
import io.membacking.guests.GuestProgram;
import io.membacking.partition.CpuModel;
import io.membacking.partition.Exit;
import io.membacking.partition.Partition;
import io.membacking.partition.PartitionRequest;
import io.membacking.partition.PlatformState;
import io.membacking.partition.Processor;
import io.membacking.partition.ProcessorState;
import io.membacking.partition.ProcessorState.DebugRegisters;
import io.membacking.partition.ProcessorState.GeneralRegisters;
import io.membacking.partition.ProcessorState.PendingEvents;
import io.membacking.partition.ProcessorState.PendingException;
import io.membacking.partition.ProcessorState.PendingInterrupt;
import io.membacking.partition.ProcessorState.Shadow;
import io.membacking.partition.ProcessorState.VectorState;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.FutureTask;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;

/** What every backend must do with the state of processors, and for guests that move from one partition to another. */
public abstract class ProcessorStateContract extends BackendFixture {
    /** How often guests move back or forth in a test. */
    private static final int MOVES = Integer.getInteger("membacking.moves", 50);

    @Test
    void aNewProcessorIsInItsResetState() throws Exception {
        ProcessorState state = partition().createProcessor(0).state();
        assertEquals(0xfff0, state.general().rip());
        assertEquals(0xffff0000L, state.system().cs().base());
        assertEquals(0xf000, state.system().cs().selector());
        assertEquals(0, state.system().cr0() & 1, "protected mode");
        assertEquals(2, state.general().rflags());
    }

    @Test
    void completeExitFinishesTheInstructionAndRunsNoOther() throws Exception {
        Processor processor = ready(
                GuestProgram.PROTECTED_PEEKPOKE,
                registers().rbx(UNMAPPED).rcx(0x20000).rax(1));
        long start = processor.state().general().rip();
        processor.completeExit(); // nothing to finish
        assertEquals(start, processor.state().general().rip());
        runTo(processor, Exit.Mmio.class).setValue(0xabcdL);
        processor.completeExit();
        processor.completeExit();
        GeneralRegisters after = processor.state().general();
        assertEquals(0xabcd, after.rdx());
        assertEquals(start + 2, after.rip()); // mov edx, [ebx] has two bytes
        assertEquals(0, ram.getLong(0x20000));
        runTo(processor, Exit.Halt.class);
    }

    @Test
    void settingTheStateAfterAnExitIsNotOverwrittenByItsCompletion() throws Exception {
        Processor processor =
                ready(GuestProgram.PROTECTED_PEEKPOKE, registers().rbx(UNMAPPED).rcx(0x20000));
        ProcessorState again = processor.state();
        for (int i = 0; i < 3; i++) {
            runTo(processor, Exit.Mmio.class).setValue(0x99);
            processor.setState(again);
            assertEquals(again.general(), processor.state().general());
        }
        runTo(processor, Exit.Mmio.class).setValue(0x77);
        runTo(processor, Exit.Halt.class);
        assertEquals(0x77, processor.state().general().rdx());
    }

    @Test
    void registersComeBackAsTheyWereSet() throws Exception {
        Processor processor = partitionWithRam().createProcessor(0);
        GuestStates.writePageTables(ram);
        ProcessorState reset = processor.state();
        long seed = new Random().nextLong();
        Random random = new Random(seed);
        for (int i = 0; i < 200; i++) {
            ProcessorState state = randomState(random, reset);
            processor.setState(state);
            assertEquals(withoutTime(state), withoutTime(processor.state()), () -> "seed " + seed);
        }
        processor.setState(reset);
        assertEquals(withoutTime(reset), withoutTime(processor.state()));
    }

    private static ProcessorState randomState(Random random, ProcessorState reset) {
        long rip = random.nextInt() & 0xfffffffL;
        GeneralRegisters general = new GeneralRegisters(
                random.nextLong(),
                random.nextLong(),
                random.nextLong(),
                random.nextLong(),
                random.nextLong(),
                random.nextLong(),
                random.nextLong(),
                random.nextLong(),
                random.nextLong(),
                random.nextLong(),
                random.nextLong(),
                random.nextLong(),
                random.nextLong(),
                random.nextLong(),
                random.nextLong(),
                random.nextLong(),
                rip,
                2 | (random.nextInt() & 0x8d5)); // CF PF AF ZF SF OF
        ProcessorState base =
                random.nextBoolean() ? GuestStates.longUser(reset, general) : GuestStates.longMode(reset, general);
        ProcessorState.SystemRegisters s = base.system();
        ProcessorState.Segment fs = new ProcessorState.Segment(
                random.nextLong() >> 20, s.fs().limit(), random.nextInt(0x10000), s.fs().attributes());
        ProcessorState.Segment gs = new ProcessorState.Segment(
                random.nextLong() >> 20, s.gs().limit(), random.nextInt(0x10000), s.gs().attributes());
        ProcessorState.SystemRegisters system = new ProcessorState.SystemRegisters(
                s.cs(),
                s.ds(),
                s.es(),
                fs,
                gs,
                s.ss(),
                s.tr(),
                s.ldt(),
                new ProcessorState.Table(random.nextLong() >> 20, random.nextInt(0x10000)),
                new ProcessorState.Table(random.nextLong() >> 20, random.nextInt(0x10000)),
                s.cr0(),
                random.nextLong(),
                s.cr3(),
                s.cr4(),
                random.nextInt(16),
                s.efer(),
                s.apicBase());
        TreeMap<Integer, Long> msrs = new TreeMap<>(reset.msrs());
        for (int canonical : new int[] {0x175, 0x176, 0xc0000082, 0xc0000083, 0xc0000102}) {
            msrs.computeIfPresent(canonical, (number, old) -> random.nextLong() >> 20);
        }
        msrs.computeIfPresent(0xc0000081, (number, old) -> random.nextLong());
        msrs.computeIfPresent(0xc0000084, (number, old) -> random.nextInt() & 0xffffffffL);
        return new ProcessorState(
                general,
                system,
                msrs,
                reset.vectors().map(vectors -> randomVectors(random, vectors)),
                reset.debug().map(debug -> randomDebug(random, debug)),
                reset.events(),
                reset.activity(),
                reset.platform());
    }

    /** x87 and SSE registers; what has no place in the area stays as it is. */
    private static VectorState randomVectors(Random random, VectorState vectors) {
        ByteBuffer area = ByteBuffer.wrap(vectors.xsave()).order(ByteOrder.LITTLE_ENDIAN);
        area.putShort(0, (short) (0x37f & ~(random.nextInt(4) << 10))); // FCW: rounding
        area.putShort(2, (short) (random.nextInt(8) << 11)); // FSW: top of stack
        area.put(4, (byte) random.nextInt(256)); // FTW
        area.putInt(24, 0x1f80 | random.nextInt(4) << 13); // MXCSR: rounding
        byte[] register = new byte[10];
        for (int i = 0; i < 8; i++) {
            random.nextBytes(register);
            area.put(32 + 16 * i, register);
        }
        for (int i = 0; i < 32; i++) {
            area.putLong(160 + 8 * i, random.nextLong());
        }
        area.putLong(512, 3); // XSTATE_BV: x87 and SSE
        return new VectorState(vectors.xcr0(), area.array());
    }

    private static DebugRegisters randomDebug(Random random, DebugRegisters debug) {
        return new DebugRegisters(
                random.nextLong() >>> 17,
                random.nextLong() >>> 17,
                random.nextLong() >>> 17,
                random.nextLong() >>> 17,
                debug.dr6() | random.nextInt(16), // which breakpoints were met
                debug.dr7() | (long) random.nextInt(0x10000) << 16); // their kinds; none is enabled
    }

    @Test
    void partsThatAreEmptyStayAsTheyAre() throws Exception {
        Processor processor = partitionWithRam().createProcessor(0);
        GuestStates.writePageTables(ram);
        Random random = new Random(3);
        ProcessorState before = randomState(random, processor.state());
        processor.setState(before);
        ProcessorState other = randomState(random, before);
        processor.setState(new ProcessorState(other.general(), other.system(), new TreeMap<>()));
        ProcessorState after = withoutTime(processor.state());
        assertEquals(other.general(), after.general());
        assertEquals(other.system(), after.system());
        assertEquals(withoutTime(before).msrs(), after.msrs());
        assertEquals(before.vectors(), after.vectors());
        assertEquals(before.debug(), after.debug());
        assertEquals(before.events(), after.events());
        assertEquals(before.activity(), after.activity());
    }

    @Test
    void aPlatformStateOfAnotherFormatIsLeftAlone() throws Exception {
        Processor processor = partitionWithRam().createProcessor(0);
        GuestStates.writePageTables(ram);
        ProcessorState state = randomState(new Random(4), processor.state());
        TreeMap<String, byte[]> parts = new TreeMap<>();
        parts.put("lapic.1", new byte[3]);
        processor.setState(new ProcessorState(
                state.general(),
                state.system(),
                state.msrs(),
                state.vectors(),
                state.debug(),
                state.events(),
                state.activity(),
                Optional.of(new PlatformState("another hypervisor's", parts))));
        assertEquals(withoutTime(state), withoutTime(processor.state()));
    }

    @Test
    void whatIsPendingComesBackAsItWasSet() throws Exception {
        Processor processor = partitionWithRam().createProcessor(0);
        start(processor, GuestProgram.Mode.LONG, registers().done());
        ProcessorState state = processor.state();
        Assumptions.assumeTrue(state.events().isPresent(), "this backend holds no events");
        assertEquals(PendingEvents.NONE, state.events().get());
        List<PendingEvents> all = List.of(
                new PendingEvents(
                        Optional.empty(), Optional.of(new PendingInterrupt(0x41, false)), Shadow.NONE, false, 0, false),
                new PendingEvents(
                        Optional.of(new PendingException(14, Optional.of(2), true, Optional.empty())),
                        Optional.empty(),
                        Shadow.NONE,
                        false,
                        0,
                        false),
                new PendingEvents(
                        Optional.of(new PendingException(6, Optional.empty(), true, Optional.empty())),
                        Optional.empty(),
                        Shadow.NONE,
                        false,
                        0,
                        false),
                new PendingEvents(Optional.empty(), Optional.empty(), Shadow.STI, false, 0, false),
                new PendingEvents(Optional.empty(), Optional.empty(), Shadow.NONE, false, 0, true),
                PendingEvents.NONE);
        for (PendingEvents events : all) {
            processor.setState(withEvents(state, events));
            assertEquals(events, processor.state().events().orElseThrow());
        }
    }

    private static ProcessorState withEvents(ProcessorState state, PendingEvents events) {
        return new ProcessorState(
                state.general(),
                state.system(),
                state.msrs(),
                state.vectors(),
                state.debug(),
                Optional.of(events),
                state.activity(),
                state.platform());
    }

    @Test
    void theModelOfOnePartitionMakesAnotherThatLooksTheSame() throws Exception {
        Partition partition = partition();
        CpuModel model = partition.cpuModel();
        PartitionRequest request = new PartitionRequest("alike", false, false, 2, Optional.of(model), false);
        Partition alike = autoClose(backend().createPartition(request));
        assertEquals(model, alike.cpuModel());
        alike.createProcessor(1);
        assertTrue(model.leaf(0, 0).isPresent(), "the leaf that says how many there are");
    }

    // Moving.

    @Test
    void aStateIsNotToldInTheMiddleOfAnInstruction() throws Exception {
        Processor processor =
                ready(GuestProgram.PROTECTED_PEEKPOKE, registers().rbx(UNMAPPED).rcx(0x20000));
        Exit.Mmio exit = runTo(processor, Exit.Mmio.class);
        assertThrows(IllegalStateException.class, processor::state);
        exit.setValue(0x600df00dL);
        assertEquals(Optional.empty(), processor.completeExit());
        assertEquals(0x600df00dL, processor.state().general().rdx());
    }

    @Test
    void aGuestThatChecksItselfMovesBackAndForthWithoutOneWrongValue() throws Exception {
        long status = 0x200000;
        long range = 0x201000;
        Processor[] processors = pair(GuestProgram.USER_MIGRANT);
        if (!executesVectors()) {
            ram.setLong(status + 32, 1);
            ram.setLong(status + 40, 1);
        }
        start(
                processors[0],
                GuestProgram.Mode.LONG_USER,
                registers().rdi(status).rsi(range).rdx(0x4000).rbx(UNMAPPED).done());
        for (int move = 0; move < MOVES; move++) {
            Processor here = processors[move % 2];
            FutureTask<Exit> run = onThread("migrant", here::run);
            awaitProgress(status, run);
            here.cancel();
            assertInstanceOf(Exit.Cancelled.class, run.get());
            move(here, processors[(move + 1) % 2]);
        }
        ram.setLong(status + 8, 1);
        assertEquals(
                0, runTo(processors[MOVES % 2], Exit.Mmio.class).value(), () -> "check " + ram.getLong(status + 24));
        assertEquals(GuestProgram.migrantDigest(ram.getLong(status)), ram.getLong(status + 56));
    }

    @Test
    void aGuestMovesInTheMiddleOfEveryMemoryExit() throws Exception {
        Processor[] processors = pair(GuestProgram.USER_READER);
        long one = 0x1111111111111111L;
        long two = 0x2222222222222222L;
        start(
                processors[0],
                GuestProgram.Mode.LONG_USER,
                registers()
                        .rdi(UNMAPPED + 0x1000)
                        .rsi(MOVES)
                        .rdx(one)
                        .rcx(two)
                        .rbx(UNMAPPED)
                        .done());
        for (int move = 0; move < MOVES; move++) {
            Exit.Mmio read = runTo(processors[move % 2], Exit.Mmio.class);
            assertEquals(UNMAPPED + 0x1000, read.gpa());
            read.setValue(move % 3 == 0 ? two : one);
            move(processors[move % 2], processors[(move + 1) % 2]);
        }
        Processor last = processors[MOVES % 2];
        assertEquals(0, runTo(last, Exit.Mmio.class).value(), "wrong values");
        last.completeExit();
        assertEquals(MOVES, last.state().general().r12());
    }

    @Test
    void aGuestMovesInTheMiddleOfEveryPortExit() throws Exception {
        byte[] answer = new byte[200];
        new Random(5).nextBytes(answer);
        Processor[] processors = pair(GuestProgram.REAL_INS);
        start(
                processors[0],
                GuestProgram.Mode.REAL,
                registers().rdi(0x4321).rcx(answer.length).rdx(PORT).done());
        int at = 0;
        int given = 0;
        Optional<Exit> exit = Optional.of(processors[at].run());
        while (exit.orElseThrow() instanceof Exit.PortIo) {
            while (exit.isPresent()) { // a string instruction may have many
                Exit.PortIo io = assertInstanceOf(Exit.PortIo.class, exit.get());
                for (int i = 0; i < io.count(); i++) {
                    io.setValue(i, answer[given++]);
                }
                exit = processors[at].completeExit();
            }
            processors[1 - at].setState(processors[at].state());
            at = 1 - at;
            exit = Optional.of(processors[at].run());
        }
        assertInstanceOf(Exit.Halt.class, exit.get());
        assertEquals(answer.length, given);
        byte[] seen = new byte[answer.length];
        ram.memory().read(0x4321, seen, 0, seen.length);
        assertArrayEquals(answer, seen);
    }

    @Test
    void anAccessOfSixteenBytesIsCompletedExitByExitBeforeTheStateIsTold() throws Exception {
        Assumptions.assumeTrue(executesVectors(), "this backend executes no vector instructions");
        byte[] code = {
            0x0f,
            0x10,
            0x06, // movups xmm0, [rsi]
            0x0f,
            0x11,
            0x01, // movups [rcx], xmm0
            0x4c,
            (byte) 0x89,
            0x03 // mov [rbx], r8
        };
        for (boolean finishedByRun : new boolean[] {false, true}) {
            Processor[] processors = pair(GuestProgram.USER_PEEKPOKE);
            ram.write(0x8000, code);
            long target = 0x20000;
            ram.setLong(target, 0);
            start(
                    processors[0],
                    GuestProgram.Mode.LONG_USER,
                    registers().rsi(UNMAPPED + 0x1000).rcx(target).rbx(UNMAPPED).done());
            Exit.Mmio first = runTo(processors[0], Exit.Mmio.class);
            assertEquals(UNMAPPED + 0x1000, first.gpa());
            assertEquals(8, first.size());
            first.setValue(0x0102030405060708L);
            Exit.Mmio second = assertInstanceOf(
                    Exit.Mmio.class, processors[0].completeExit().orElseThrow());
            assertEquals(UNMAPPED + 0x1008, second.gpa());
            assertThrows(IllegalStateException.class, processors[0]::state);
            second.setValue(0x1112131415161718L);
            Processor last = processors[0];
            if (!finishedByRun) {
                assertEquals(Optional.empty(), processors[0].completeExit());
                move(processors[0], processors[1]);
                last = processors[1];
            }
            assertEquals(UNMAPPED, runTo(last, Exit.Mmio.class).gpa());
            assertEquals(0x0102030405060708L, ram.getLong(target));
            assertEquals(0x1112131415161718L, ram.getLong(target + 8));
        }
    }

    /** Processor 0 of two partitions that look alike, on one memory that has the program. */
    private Processor[] pair(GuestProgram program) throws BackendException {
        Partition here = partitionWithRam();
        Partition there = other(here);
        ram.write(program.loadAddress(), program.bytes());
        return new Processor[] {here.createProcessor(0), there.createProcessor(0)};
    }

    private static void move(Processor from, Processor to) throws BackendException {
        assertEquals(Optional.empty(), from.completeExit());
        to.setState(from.state());
    }

    @Test
    void aStateThatNoProcessorCanHaveIsRefusedAndTheOldOneStays() throws Exception {
        Processor processor = partitionWithRam().createProcessor(0);
        start(processor, GuestProgram.Mode.LONG, registers().rax(5).done());
        ProcessorState good = processor.state();
        ProcessorState.SystemRegisters s = good.system();
        // Long mode active without the paging that it needs.
        ProcessorState bad = good.with(registers().rax(6).done()).with(s.withControl(s.cr0(), s.cr3(), 0, s.efer()));
        assertThrows(BackendException.class, () -> processor.setState(bad));
        assertEquals(withoutTime(good), withoutTime(processor.state()));
        TreeMap<Integer, Long> msrs = new TreeMap<>(good.msrs());
        msrs.put(0x12345678, 1L);
        ProcessorState unknownMsr = new ProcessorState(registers().rax(7).done(), s, msrs);
        BackendException refused = assertThrows(BackendException.class, () -> processor.setState(unknownMsr));
        assertTrue(refused.getMessage().contains("0x12345678"), refused::getMessage);
        assertEquals(withoutTime(good), withoutTime(processor.state()));
        ProcessorState.Segment wide = new ProcessorState.Segment(0, 0, 0x10000, 0x93);
        ProcessorState misuse = good.with(s.withData(wide, s.es(), s.fs(), s.gs()));
        assertThrows(IllegalArgumentException.class, () -> processor.setState(misuse));
        assertEquals(withoutTime(good), withoutTime(processor.state()));
    }
}
