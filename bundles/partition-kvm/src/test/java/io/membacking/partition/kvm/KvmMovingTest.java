package io.membacking.partition.kvm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.error.BackendException;
import io.membacking.guests.GuestProgram;
import io.membacking.partition.CpuModel;
import io.membacking.partition.Exit;
import io.membacking.partition.Partition;
import io.membacking.partition.PartitionBackend;
import io.membacking.partition.PartitionRequest;
import io.membacking.partition.PlatformState;
import io.membacking.partition.Processor;
import io.membacking.partition.ProcessorState;
import io.membacking.partition.ProcessorState.Activity;
import io.membacking.partition.ProcessorState.GeneralRegisters;
import io.membacking.partition.ProcessorState.PendingEvents;
import io.membacking.partition.ProcessorState.PendingException;
import io.membacking.partition.ProcessorState.Segment;
import io.membacking.partition.ProcessorState.Shadow;
import io.membacking.partition.ProcessorState.SystemRegisters;
import io.membacking.partition.ProcessorState.VectorState;
import io.membacking.partition.contract.BackendFixture;
import io.membacking.partition.contract.BackendRequirement;
import io.membacking.partition.contract.GuestStates;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.FutureTask;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;

/** Guests that move from one KVM to another with what is KVM's alone: local APICs, interrupt controllers, timers, clocks, AVX. */
class KvmMovingTest extends BackendFixture {
    private static final int MOVES = Integer.getInteger("membacking.moves", 50);

    /** Where the guests count. */
    private static final long COUNTER = 0x5000;

    @Override
    protected PartitionBackend createBackend() {
        return new KvmBackend();
    }

    private Partition partition(boolean controllers, boolean timer, int processors, Optional<CpuModel> model)
            throws BackendException {
        Partition partition = autoClose(
                backend().createPartition(new PartitionRequest("kvm", controllers, timer, processors, model, false)));
        partition.map(ram.at(0));
        return partition;
    }

    /** A virtual machine that runs, and can be moved. */
    private final class Guest {
        private final boolean controllers;
        private final boolean timer;
        private Partition partition;
        private List<Processor> processors = new ArrayList<>();
        private List<FutureTask<Exit>> runs = new ArrayList<>();

        Guest(boolean controllers, boolean timer, int count) throws BackendException {
            this.controllers = controllers;
            this.timer = timer;
            partition = partition(controllers, timer, count, Optional.empty());
            for (int i = 0; i < count; i++) {
                processors.add(partition.createProcessor(i));
            }
        }

        Processor processor() {
            return processors.get(0);
        }

        void run() {
            runs = new ArrayList<>();
            for (Processor processor : processors) {
                runs.add(onThread("processor " + processor.index(), processor::run));
            }
        }

        void stop() throws Exception {
            for (int i = 0; i < processors.size(); i++) {
                processors.get(i).cancel();
                assertInstanceOf(Exit.Cancelled.class, runs.get(i).get());
                assertEquals(Optional.empty(), processors.get(i).completeExit());
            }
        }

        /** To a partition that was prepared; the other one is closed. */
        void move() throws BackendException {
            Partition next = partition(controllers, timer, processors.size(), Optional.of(partition.cpuModel()));
            List<Processor> arriving = new ArrayList<>();
            for (int i = 0; i < processors.size(); i++) {
                arriving.add(next.createProcessor(i));
            }
            next.setPlatformState(partition.platformState());
            for (int i = 0; i < processors.size(); i++) {
                arriving.get(i).setState(processors.get(i).state());
            }
            partition.close();
            partition = next;
            processors = arriving;
        }

        /** Moves while it counts on. */
        void moveOften() throws Exception {
            run();
            for (int i = 0; i < MOVES; i++) {
                awaitProgress(COUNTER, runs.get(0));
                stop();
                move();
                run();
            }
            awaitProgress(COUNTER, runs.get(0));
            stop();
        }
    }

    private static byte[] code(String hex) {
        return HexFormat.of().parseHex(hex);
    }

    private static ProcessorState with(
            ProcessorState state,
            Optional<PendingEvents> events,
            Optional<Activity> activity,
            Optional<PlatformState> platform) {
        return new ProcessorState(
                state.general(),
                state.system(),
                state.msrs(),
                state.vectors(),
                state.debug(),
                events,
                activity,
                platform);
    }

    /** Real mode with a handler for vector 0x40, and the local APIC at FS. */
    private void startWithHandler(Processor processor, byte[] program, byte[] handler, GeneralRegisters registers)
            throws BackendException {
        ram.write(0x8000, program);
        ram.write(0x9000, handler);
        ram.memory().writeInt(0x40 * 4, 0x9000);
        ProcessorState state = GuestStates.real(processor.state(), registers);
        SystemRegisters s = state.system();
        Segment apic = new Segment(0xfee00000L, 0xffff, 0, s.ds().attributes());
        processor.setState(state.with(s.withData(s.ds(), s.es(), apic, s.gs())));
    }

    // Vectors and time.

    @Test
    void wideVectorRegistersMoveToo(TestInfo test) throws Exception {
        Guest guest = new Guest(false, false, 1);
        CpuModel model = guest.partition.cpuModel();
        boolean avx = (model.leaf(0xd, 0).map(CpuModel.Leaf::eax).orElse(0) & 4) != 0;
        BackendRequirement.require(avx, test, "this processor has no AVX");
        boolean xsave = (model.leaf(1, 0).orElseThrow().ecx() & 1 << 26) != 0; // not so with every KVM that has AVX
        long status = 0x30000;
        ram.write(0x8000, GuestProgram.USER_MIGRANT.bytes());
        GuestStates.writePageTables(ram);
        ProcessorState state = GuestStates.longUser(
                guest.processor().state(),
                registers()
                        .rdi(status)
                        .rsi(0x40000)
                        .rdx(0x2000)
                        .rcx(1)
                        .rbx(UNMAPPED)
                        .done());
        SystemRegisters s = state.system();
        state = state.with(s.withControl(s.cr0(), s.cr3(), s.cr4() | (xsave ? 1 << 18 : 0), s.efer())); // OSXSAVE
        guest.processor()
                .setState(new ProcessorState(
                        state.general(),
                        state.system(),
                        state.msrs(),
                        state.vectors().map(v -> new VectorState(7, v.xsave())),
                        state.debug(),
                        state.events(),
                        state.activity(),
                        state.platform()));
        for (int i = 0; i < MOVES; i++) {
            guest.run();
            awaitProgress(status, guest.runs.get(0));
            guest.stop();
            guest.move();
        }
        ram.setLong(status + 8, 1);
        Exit.Mmio end = runTo(guest.processor(), Exit.Mmio.class);
        assertEquals(0, end.value(), () -> "check 0x" + Long.toHexString(ram.getLong(status + 24)));
        assertEquals(GuestProgram.migrantDigest(ram.getLong(status)), ram.getLong(status + 56));
    }

    @Test
    void theTimeStampCounterNeverGoesBack() throws Exception {
        // Reads it, compares it with the last reading in r9, counts in r8 those that are less, and in [rdi] all; ends
        // if [rdi+8].
        ram.write(0x8000, code("0f3148c1e2204809d04c39c8730349ffc04989c148ff0748837f080074e24c8903ebfb"));
        Guest guest = new Guest(false, false, 1);
        start(
                guest.processor(),
                GuestProgram.Mode.LONG_USER,
                registers().rdi(COUNTER).rbx(UNMAPPED).done());
        guest.moveOften();
        ram.setLong(COUNTER + 8, 1);
        assertEquals(0, runTo(guest.processor(), Exit.Mmio.class).value());
    }

    // Interrupt controllers and timers.

    @Test
    void aGuestThatCountsTheTimersInterruptsGoesOnCounting() throws Exception {
        // Real mode: PIC to vector 0x20 with all but line 0 masked, PIT at 1 kHz, sti, hlt for ever.
        ram.write(0x8000, code("b011e620b020e621b004e621b001e621b0fee621b034e643b0a9e640b004e640fbf4ebfd"));
        // inc dword [0x5000]; end of interrupt; iret
        ram.write(0x9000, code("66ff060050b020e620cf"));
        ram.memory().writeInt(0x20 * 4, 0x9000);
        Guest guest = new Guest(true, true, 1);
        start(guest.processor(), GuestProgram.Mode.REAL, registers().done());
        guest.moveOften();
    }

    @Test
    void aGuestThatCountsItsLocalApicsTimerGoesOnCounting() throws Exception {
        Guest guest = new Guest(true, false, 1);
        // Enables the APIC, its timer periodic, vector 0x40, a million ticks; sti; hlt for ever.
        byte[] program =
                code("6466c706f000ff0100006466c706e0030b0000006466c7062003400002006466c706800340420f00fbf4ebfd");
        // inc dword [0x5000]; end of interrupt; iret
        byte[] handler = code("66ff0600506466c706b00000000000cf");
        startWithHandler(guest.processor(), program, handler, registers().done());
        guest.moveOften();
    }

    @Test
    void processorsThatInterruptEachOtherGoOnAndNoInterruptIsLost() throws Exception {
        Guest guest = new Guest(true, false, 2);
        // Each waits in hlt, and on an interrupt counts at [si] and interrupts the other; the first begins when the
        // second is ready.
        byte[] program = code("6466c706f000ff0100006685c0740b66c706205001000000"
                + "eb1af39066833e20500074f66466893e10036466c706000340400000fbf4ebfd");
        byte[] handler = code("66ff046466c706b000000000006466893e10036466c706000340400000cf");
        for (Processor processor : guest.processors) {
            int index = processor.index();
            startWithHandler(
                    processor,
                    program,
                    handler,
                    registers()
                            .rax(index)
                            .rsi(COUNTER + 8L * index)
                            .rdi((1L - index) << 24)
                            .rsp(0x7000 - 0x200L * index)
                            .done());
        }
        guest.moveOften();
        long difference = ram.getLong(COUNTER + 8) - ram.getLong(COUNTER);
        assertTrue(difference == 0 || difference == 1, () -> "counts differ by " + difference);
    }

    @Test
    void aProcessorThatWaitsForItsStartupWaitsOnWhereItArrives() throws Exception {
        Guest guest = new Guest(true, false, 2);
        // Enables its APIC, sends INIT to the other, out 0x77, sends a start-up at 0x9000, out 0x77.
        byte[] program = code("6466c706f000ff0100006466c706000300450c00e6776466c706000309460c00e677");
        byte[] startup = code("66c706005078563412faf4"); // real mode: mov dword [0x5000], 0x12345678; cli; hlt
        Processor second = guest.processors.get(1);
        assertEquals(Activity.WAITING_FOR_INIT, second.state().activity().orElseThrow());
        guest.move();
        startWithHandler(guest.processor(), program, startup, registers().done());
        runTo(guest.processor(), Exit.PortIo.class);
        guest.processor().completeExit();
        second = guest.processors.get(1);
        assertEquals(Activity.WAITING_FOR_STARTUP, second.state().activity().orElseThrow());
        guest.move();
        runTo(guest.processor(), Exit.PortIo.class);
        guest.processor().completeExit();
        second = guest.processors.get(1);
        FutureTask<Exit> run = onThread("second", second::run);
        while (ram.memory().readInt(COUNTER) != 0x12345678 && !run.isDone()) {
            Thread.onSpinWait();
        }
        second.cancel();
        assertInstanceOf(Exit.Cancelled.class, run.get());
    }

    @Test
    void aHaltedProcessorIsWokenWhereItArrives() throws Exception {
        Guest guest = new Guest(true, false, 1);
        // PIC to vector 0x20 with all but line 5 masked; sti; hlt for ever
        ram.write(0x8000, code("b011e620b020e621b004e621b001e621b0dfe621fbf4ebfd"));
        ram.write(0x9000, code("b05ae677")); // mov al, 0x5a; out 0x77, al
        ram.memory().writeInt(0x25 * 4, 0x9000);
        start(guest.processor(), GuestProgram.Mode.REAL, registers().done());
        Activity activity;
        do {
            guest.run();
            guest.stop();
            activity = guest.processor().state().activity().orElseThrow();
        } while (activity != Activity.HALTED);
        // Registers alone do not wake it.
        ProcessorState halted = guest.processor().state();
        guest.processor().setState(new ProcessorState(halted.general(), halted.system(), new TreeMap<>()));
        assertEquals(Activity.HALTED, guest.processor().state().activity().orElseThrow());
        guest.move();
        assertEquals(Activity.HALTED, guest.processor().state().activity().orElseThrow());
        guest.run();
        guest.partition.setInterruptLine(5, true);
        assertEquals(
                0x5a,
                assertInstanceOf(Exit.PortIo.class, guest.runs.get(0).get()).value(0));
    }

    @Test
    void withoutInterruptControllersNoProcessorIsHalted() throws Exception {
        Processor processor = partitionWithRam().createProcessor(0);
        ProcessorState state = processor.state();
        assertEquals(Optional.of(Activity.RUNNING), state.activity());
        ProcessorState halted = with(state, state.events(), Optional.of(Activity.HALTED), state.platform());
        BackendException refused = assertThrows(BackendException.class, () -> processor.setState(halted));
        assertTrue(refused.getMessage().contains("HALTED"), refused::getMessage);
    }

    @Test
    void theTimerIsThereOnlyIfAskedFor() throws Exception {
        ram.write(0x8000, code("e440e677")); // in al, 0x40; out 0x77, al
        for (boolean timer : new boolean[] {false, true}) {
            Processor processor = partition(true, timer, 1, Optional.empty()).createProcessor(0);
            start(processor, GuestProgram.Mode.REAL, registers().done());
            assertEquals(
                    timer ? 0x77 : 0x40, runTo(processor, Exit.PortIo.class).port());
        }
    }

    // States.

    @Test
    void whatIsKvmsAloneComesBackToo() throws Exception {
        Partition here = partition(true, true, 1, Optional.empty());
        Partition there = partition(true, true, 1, Optional.of(here.cpuModel()));
        Processor from = here.createProcessor(0);
        Processor to = there.createProcessor(0);
        ProcessorState state = from.state();
        byte[] vectors = state.vectors().orElseThrow().xsave();
        assertArrayEquals(
                new byte[48], Arrays.copyOfRange(vectors, 464, 512), "what the kernel notes there is not the guest's");
        PlatformState platform = state.platform().orElseThrow();
        assertEquals(StateParts.FORMAT, platform.format());
        assertEquals(here.capabilities().stateFormat(), platform.format());
        byte[] msrs = platform.part(StateParts.MSRS);
        setMsr(msrs, 0x2ff, 0xc06); // MTRRs on, write-back
        setMsr(msrs, 0x200, 0xc0000006L);
        setMsr(msrs, 0x268, 0x0606060606060606L);
        setMsr(msrs, 0x3b, 0x1234); // IA32_TSC_ADJUST
        byte[] lapic = platform.part(StateParts.LAPIC);
        lapic[0x80] = 0x20; // task priority
        lapic[0x240] = 4; // interrupt requested: vector 0x82
        ProcessorState changed = with(
                state.with(state.system().withCr8(2)),
                state.events(),
                state.activity(),
                Optional.of(withPart(withPart(platform, StateParts.MSRS, msrs), StateParts.LAPIC, lapic)));
        to.setState(changed);
        ProcessorState back = to.state();
        assertArrayEquals(msrs, back.platform().orElseThrow().part(StateParts.MSRS));
        byte[] arrived = back.platform().orElseThrow().part(StateParts.LAPIC);
        assertEquals(lapic[0x80], arrived[0x80]);
        assertEquals(lapic[0x240], arrived[0x240]);
        assertEquals(2, back.system().cr8(), "the task priority");
        // Its partition.
        here.setInterruptLine(4, true);
        PlatformState devices = here.platformState();
        assertEquals(List.of(StateParts.CLOCK, StateParts.INTERRUPT_CONTROLLERS, StateParts.TIMER), devices.names());
        assertFalse(devices.equals(there.platformState()));
        there.setPlatformState(devices);
        assertArrayEquals(
                devices.part(StateParts.INTERRUPT_CONTROLLERS),
                there.platformState().part(StateParts.INTERRUPT_CONTROLLERS));
        assertTrue(clock(there.platformState()) >= clock(devices), "the clock never goes back");
    }

    private static long clock(PlatformState devices) {
        return ByteBuffer.wrap(devices.part(StateParts.CLOCK))
                .order(ByteOrder.LITTLE_ENDIAN)
                .getLong(0);
    }

    private static void setMsr(byte[] entries, int number, long value) {
        ByteBuffer bytes = ByteBuffer.wrap(entries).order(ByteOrder.LITTLE_ENDIAN);
        for (int at = 0; at < entries.length; at += KvmAbi.MSR_ENTRY_SIZE) {
            if (bytes.getInt(at + KvmAbi.MSR_INDEX) == number) {
                bytes.putLong(at + KvmAbi.MSR_DATA, value);
                return;
            }
        }
        throw new AssertionError("no register 0x" + Integer.toHexString(number));
    }

    private static PlatformState withPart(PlatformState state, String name, byte[] bytes) {
        SortedMap<String, byte[]> parts = new TreeMap<>();
        state.names().forEach(each -> parts.put(each, state.part(each)));
        parts.put(name, bytes);
        return new PlatformState(state.format(), parts);
    }

    private static PlatformState renamed(PlatformState state, UnaryOperator<String> rename) {
        SortedMap<String, byte[]> parts = new TreeMap<>();
        state.names().forEach(each -> parts.put(rename.apply(each), state.part(each)));
        return new PlatformState(state.format(), parts);
    }

    @Test
    void partsOfAnotherVersionAreRefusedByNameAndUnknownOnesLeftAlone() throws Exception {
        Partition partition = partition(true, true, 1, Optional.empty());
        Processor processor = partition.createProcessor(0);
        ProcessorState state = processor.state();
        PlatformState devices = partition.platformState();
        for (String name : state.platform().orElseThrow().names()) {
            PlatformState later =
                    renamed(state.platform().get(), each -> each.equals(name) ? each.replace(".1", ".2") : each);
            BackendException refused = assertThrows(
                    BackendException.class,
                    () -> processor.setState(with(state, state.events(), state.activity(), Optional.of(later))));
            assertTrue(refused.getMessage().contains(name.replace(".1", ".2")), refused::getMessage);
        }
        for (String name : devices.names()) {
            PlatformState later = renamed(devices, each -> each.equals(name) ? each.replace(".1", ".2") : each);
            BackendException refused = assertThrows(BackendException.class, () -> partition.setPlatformState(later));
            assertTrue(refused.getMessage().contains(name.replace(".1", ".2")), refused::getMessage);
            PlatformState shorter = withPart(devices, name, new byte[7]);
            assertThrows(BackendException.class, () -> partition.setPlatformState(shorter));
        }
        partition.setPlatformState(withPart(devices, "nicety.1", new byte[9]));
        processor.setState(with(
                state,
                state.events(),
                state.activity(),
                Optional.of(withPart(state.platform().get(), "nicety.7", new byte[9]))));
    }

    @Test
    void devicesThatThePartitionHasNotAreRefused() throws Exception {
        Partition with = partition(true, true, 1, Optional.empty());
        Partition without = partition(false, false, 1, Optional.empty());
        Partition withoutTimer = partition(true, false, 1, Optional.empty());
        for (Partition to : List.of(without, withoutTimer)) {
            BackendException refused =
                    assertThrows(BackendException.class, () -> to.setPlatformState(with.platformState()));
            assertTrue(refused.getMessage().contains("made without"), refused::getMessage);
            assertThrows(BackendException.class, () -> with.setPlatformState(to.platformState()));
        }
        PlatformState foreign = new PlatformState("another", new TreeMap<>());
        assertThrows(BackendException.class, () -> with.setPlatformState(foreign));
        Processor plain = without.createProcessor(0);
        ProcessorState withApic = with.createProcessor(0).state();
        BackendException refused = assertThrows(BackendException.class, () -> plain.setState(withApic));
        assertTrue(refused.getMessage().contains("local APIC"), refused::getMessage);
        plain.setState(withApic.portable());
        with.close();
        assertThrows(IllegalStateException.class, with::platformState);
        assertThrows(IllegalStateException.class, () -> with.setPlatformState(foreign));
    }

    @Test
    void aStateRefusedAtItsLastPartLeavesAllOfTheOldOne() throws Exception {
        Partition partition = partition(true, false, 1, Optional.empty());
        Processor processor = partition.createProcessor(0);
        start(processor, GuestProgram.Mode.LONG, registers().rax(7).done());
        ProcessorState before = processor.state();
        byte[] vectors = before.vectors().orElseThrow().xsave();
        new Random(2).nextBytes(vectors);
        ByteBuffer area = ByteBuffer.wrap(vectors).order(ByteOrder.LITTLE_ENDIAN);
        area.putInt(24, 0x1f80);
        area.putLong(512, 3);
        for (int i = 520; i < 576; i++) {
            vectors[i] = 0;
        }
        // Vector 2 is no exception, but that of the NMI; KVM looks at events last.
        PendingEvents impossible = new PendingEvents(
                Optional.of(new PendingException(2, Optional.empty(), true, Optional.empty())),
                Optional.empty(),
                Shadow.NONE,
                false,
                0,
                false);
        ProcessorState bad = new ProcessorState(
                GeneralRegisters.at(0x1234),
                before.system(),
                new TreeMap<>(),
                Optional.of(new VectorState(3, vectors)),
                before.debug().map(d -> new ProcessorState.DebugRegisters(1, 2, 3, 4, d.dr6(), d.dr7())),
                Optional.of(impossible),
                Optional.of(Activity.HALTED),
                Optional.empty());
        assertThrows(BackendException.class, () -> processor.setState(bad));
        ProcessorState after = processor.state();
        assertEquals(withoutTime(before), withoutTime(after));
        assertEquals(before.platform(), after.platform());
    }

    @Test
    void aStateRefusedInTheMiddleOfAnInstructionLeavesItsExitToBeAnswered() throws Exception {
        ram.write(0x8000, code("e410e677")); // in al, 0x10; out 0x77, al
        Processor processor = partitionWithRam().createProcessor(0);
        start(processor, GuestProgram.Mode.REAL, registers().done());
        ProcessorState state = processor.state();
        ProcessorState halted = with(state, state.events(), Optional.of(Activity.HALTED), state.platform());
        Exit.PortIo input = runTo(processor, Exit.PortIo.class);
        assertEquals(0x10, input.port());
        assertThrows(BackendException.class, () -> processor.setState(halted));
        input.setValue(0, 0x5a);
        Exit.PortIo output = runTo(processor, Exit.PortIo.class);
        assertEquals(0x77, output.port());
        assertEquals(0x5a, output.value(0));
    }

    @Test
    void whatIsStillToHappenComesBackToo() throws Exception {
        Processor processor = partitionWithRam().createProcessor(0);
        start(processor, GuestProgram.Mode.LONG, registers().done());
        ProcessorState state = processor.state();
        List<PendingEvents> all = List.of(
                new PendingEvents(
                        Optional.of(new PendingException(14, Optional.of(4), false, Optional.of(0x123000L))),
                        Optional.empty(),
                        Shadow.NONE,
                        false,
                        0,
                        false),
                new PendingEvents(Optional.empty(), Optional.empty(), Shadow.NONE, false, 1, true),
                new PendingEvents(Optional.empty(), Optional.empty(), Shadow.NONE, true, 0, true),
                new PendingEvents(Optional.empty(), Optional.empty(), Shadow.MOV_SS, false, 0, false));
        for (PendingEvents events : all) {
            processor.setState(with(state, Optional.of(events), state.activity(), state.platform()));
            assertEquals(events, processor.state().events().orElseThrow());
        }
    }

    // Models.

    @Test
    void theModelAskedForIsWhatTheGuestSees() throws Exception {
        // mov eax, 0x80000002; cpuid; mov esi, ecx; mov eax, 1; cpuid; hlt
        ram.write(0x8000, code("66b8020000800fa26689ce66b8010000000fa2f4"));
        CpuModel host = partition(false, false, 1, Optional.empty()).cpuModel();
        CpuModel model = changed(host, 0x80000002, ecx -> 0x6d656d62); // a part of the brand
        Partition partition = partition(false, false, 3, Optional.of(model));
        assertEquals(model, partition.cpuModel());
        Processor processor = partition.createProcessor(2);
        start(processor, GuestProgram.Mode.REAL, registers().done());
        runTo(processor, Exit.Halt.class);
        GeneralRegisters seen = processor.state().general();
        assertEquals(0x6d656d62, seen.rsi());
        assertEquals(2, seen.rbx() >>> 24, "its own APIC id");
    }

    @Test
    void aModelWithWhatTheHostLacksIsRefusedByName() throws Exception {
        CpuModel host = partition(false, false, 1, Optional.empty()).cpuModel();
        CpuModel vmx = changed(host, 1, ecx -> ecx | 1 << 7); // EIST: KVM never has it
        BackendException refused =
                assertThrows(BackendException.class, () -> partition(false, false, 1, Optional.of(vmx)));
        assertTrue(refused.getMessage().contains("EIST (CPUID 0x1.0 ECX bit 7)"), refused::getMessage);
        // An x2APIC needs the APIC that the kernel has.
        CpuModel apic = partition(true, false, 1, Optional.empty()).cpuModel();
        refused = assertThrows(BackendException.class, () -> partition(false, false, 1, Optional.of(apic)));
        assertTrue(refused.getMessage().contains("X2APIC"), refused::getMessage);
        CpuModel wide = new CpuModel(List.of(
                new CpuModel.Leaf(0x80000000, 0, false, 0x80000008, 0, 0, 0),
                new CpuModel.Leaf(0x80000008, 0, false, 0x3040, 0, 0, 0)));
        refused = assertThrows(BackendException.class, () -> partition(false, false, 1, Optional.of(wide)));
        assertTrue(refused.getMessage().contains("64 bits"), refused::getMessage);
    }

    private static CpuModel changed(CpuModel model, int function, UnaryOperator<Integer> ecx) {
        return new CpuModel(model.leaves().stream()
                .map(leaf -> leaf.function() != function
                        ? leaf
                        : new CpuModel.Leaf(
                                leaf.function(),
                                leaf.index(),
                                leaf.indexed(),
                                leaf.eax(),
                                leaf.ebx(),
                                ecx.apply(leaf.ecx()),
                                leaf.edx()))
                .toList());
    }
}
