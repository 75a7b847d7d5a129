package io.membacking.machine.internal;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.guests.GuestProgram;
import io.membacking.inspect.Inspection;
import io.membacking.machine.BootSource;
import io.membacking.machine.BootSource.Mode;
import io.membacking.machine.Machine;
import io.membacking.machine.MachineConfig;
import io.membacking.memory.RamVisibility;
import io.membacking.range.MemoryRange;
import io.membacking.vm.Run;
import io.membacking.vm.RunResult;
import io.membacking.vm.VmState;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.reflect.Proxy;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Machines on the real KVM, with guests small enough to be read here. */
@Timeout(60)
final class MachineTest {
    /** An endless loop: {@code jmp .}, in every mode. */
    private static final byte[] SPIN = bytes("eb fe");

    /** Counts in 0x20000 and halts: {@code lock inc dword [0x20000]; hlt}, in protected mode. */
    private static final byte[] COUNT = bytes("f0 ff 05 00 00 02 00 f4");

    private final ByteArrayOutputStream serial = new ByteArrayOutputStream();
    private final ByteArrayOutputStream debug = new ByteArrayOutputStream();
    private RealHost host;

    @BeforeEach
    void openHost() {
        host = new RealHost();
    }

    @AfterEach
    void closeHost() {
        host.close();
    }

    @Test
    void theGuestProgramHelloChecksMemoryAndEverySegment() throws Exception {
        Machine machine = create(kernel(GuestProgram.HELLO, "one two"));
        RunResult result = run(machine);
        String text = serial.toString(StandardCharsets.US_ASCII);
        assertEquals(33, result.code(), result + text);
        assertTrue(text.contains("command line: one two\n"), text);
        assertTrue(text.contains("memory 0x100000-0x1000000 available"), text);
        assertTrue(text.contains("All checks passed."), text);
        assertTrue(debug.toString(StandardCharsets.US_ASCII).contains("by the debug port"), text);
        assertEquals(RamVisibility.READ_ONLY, visibility(machine, 0xf0000, 0x100000));
        assertEquals(RamVisibility.READ_WRITE, visibility(machine, 0xe0000, 0xe4000));
        assertEquals(RamVisibility.UNMAPPED, visibility(machine, 0xc0000, 0xc4000));
        assertTrue(machine.memory().regions().checkDrift().clean());
    }

    @Test
    void machinesThatNeedNoInterruptControllersRunWithout() throws Exception {
        Machine machine =
                host.machines().create(config(kernel(GuestProgram.HELLO, "")).withInterruptControllers(false));
        assertEquals(33, run(machine).code(), serial.toString(StandardCharsets.US_ASCII));
        Map<String, Object> seen = new TreeMap<>();
        ((PcMachine) machine).inspect(record("", seen));
        assertEquals(false, seen.get("/interrupt controllers"));
    }

    @Test
    void theTimerTicksByTheHostsClock() throws Exception {
        BootSource boot = new BootSource.Flat("ticks", GuestProgram.REAL_TICKS.bytes(), 0x8000, Mode.REAL);
        Machine machine = host.machines().create(config(boot).withInterruptControllers(true));
        machine.memory().memory().writeShort(0x900a, (short) 1193);
        Run run = machine.start();
        while (machine.memory().memory().readInt(0x9000) < 500) {
            assertEquals(VmState.RUNNING, machine.vm().state());
            Thread.onSpinWait();
        }
        // What is owed comes as fast as it is taken, so the two meet.
        PcMachine pc = (PcMachine) machine;
        long due = pc.timer().ticks();
        while (Integer.toUnsignedLong(machine.memory().memory().readInt(0x9000)) < due) {
            Thread.onSpinWait();
        }
        assertTrue(Integer.toUnsignedLong(machine.memory().memory().readInt(0x9000))
                <= pc.timer().ticks());
        assertEquals(0, machine.memory().memory().readInt(0x9004));
        machine.memory().memory().writeByte(0x9008, (byte) 1);
        run.stop(0, "seen enough");
        assertEquals(
                RunResult.Kind.STOPPED,
                run.await(Duration.ofSeconds(10)).orElseThrow().kind());
        assertTrue(threads("membacking-timer-test") > 0);
        machine.close();
        assertEquals(0, threads("membacking-timer-test"));
    }

    private static long threads(String name) {
        return Thread.getAllStackTraces().keySet().stream()
                .filter(thread -> thread.getName().equals(name))
                .count();
    }

    @Test
    void kernelDoesWithoutInterruptControllersWhereNoBackendHasThem() throws Exception {
        host.kvmLosesItsInterruptControllers();
        RunResult result = run(create(kernel(GuestProgram.HELLO, "")));
        assertEquals(33, result.code(), result + serial.toString(StandardCharsets.US_ASCII));
    }

    @Test
    void multibootKernelsLearnWhatTheirLoaderKnows() throws Exception {
        for (GuestProgram program : List.of(GuestProgram.MBINFO, GuestProgram.MBINFO64)) {
            serial.reset();
            try (Machine machine = create(kernel(program, "root=none"))) {
                RunResult result = run(machine);
                String text = serial.toString(StandardCharsets.US_ASCII);
                assertEquals(33, result.code(), result + text);
                assertTrue(text.contains("command line: root=none"), text);
                assertTrue(text.contains("lower memory KiB 0x280"), text);
                assertTrue(text.contains("upper memory KiB 0x3c00"), text);
                assertTrue(text.contains("loader: Membacking"), text);
            }
        }
    }

    @Test
    void aPlain64BitElfRunsInLongMode() throws Exception {
        // mov eax, 1; dec rax (in 32-bit code: dec eax twice); out 0xf4, al.
        byte[] code = bytes("b8 01 00 00 00 48 ff c8 e6 f4 f4");
        byte[] elf = Elf.of64(0x100000, new Elf.Segment(0x100000, 0x100000, code, 0x1000));
        assertEquals(1, run(create(new BootSource.Kernel("elf64", elf, ""))).code());
    }

    @Test
    void aFlatBinaryStartsInTheModeAsked() throws Exception {
        // mov dx, 0x3f8; mov al, 'A'; out dx, al; mov al, '\n'; out dx, al; hlt.
        byte[] wide = bytes("66 ba f8 03 b0 41 ee b0 0a ee f4");
        byte[] narrow = bytes("ba f8 03 b0 41 ee b0 0a ee f4");
        for (long gpa : new long[] {0x8000, 0x54320}) {
            assertPrintsAndHalts(new BootSource.Flat("real", narrow, gpa, Mode.REAL));
            assertPrintsAndHalts(new BootSource.Flat("protected", wide, gpa, Mode.PROTECTED));
            assertPrintsAndHalts(new BootSource.Flat("long", wide, gpa, Mode.LONG));
        }
        assertPrintsAndHalts(new BootSource.Flat("protected", wide, 0x200000, Mode.PROTECTED));
    }

    @Test
    void aFlatBinaryRunsAtPrivilegeLevel3() throws Exception {
        // mov qword [0x20000], 42; mov ax, cs; mov [0x20008], ax; ud2: without an IDT that is a triple fault.
        byte[] code = bytes("48 c7 04 25 00 00 02 00 2a 00 00 00 66 8c c8 66 89 04 25 08 00 02 00 0f 0b");
        Machine machine = create(new BootSource.Flat("user", code, 0x8000, Mode.LONG_USER));
        RunResult result = run(machine);
        assertEquals(RunResult.Kind.SHUTDOWN, result.kind(), result.toString());
        assertEquals(42, machine.memory().memory().readLong(0x20000));
        assertEquals(0x33, machine.memory().memory().readShort(0x20008));
    }

    @Test
    void everyProcessorOfAFlatBinaryStarts() throws Exception {
        Machine machine = host.machines()
                .create(config(new BootSource.Flat("count", COUNT, 0x8000, Mode.PROTECTED))
                        .withProcessors(3));
        assertEquals(RunResult.Kind.HALTED, run(machine).kind());
        assertEquals(3, machine.memory().memory().readInt(0x20000));
    }

    @Test
    void startingAgainLoadsTheImageAnewAndKeepsTheRestOfRam() throws Exception {
        Machine machine = create(new BootSource.Flat("count", COUNT, 0x8000, Mode.PROTECTED));
        run(machine);
        machine.memory().memory().fill(0x8000, 4096, (byte) 0);
        run(machine);
        assertEquals(2, machine.memory().memory().readInt(0x20000));
    }

    @Test
    void startingAgainHidesThePamSegmentsAndResetsTheirRegisters() throws Exception {
        // Print PAM0 and [0xf0000]; PAM0 = read-write; [0xf0000] = 'X'; halt.
        byte[] code = bytes("ba f8 0c 66 b8 58 00 00 80 66 ef ba fd 0c ec ba 02 04 ee b8 00 f0 8e d8 a0 00 00 ee"
                + "ba fd 0c b0 30 ee c6 06 00 00 58 f4");
        Machine machine = create(new BootSource.Flat("pam", code, 0x8000, Mode.REAL));
        for (int i = 0; i < 2; i++) {
            debug.reset();
            assertEquals(RunResult.Kind.HALTED, run(machine).kind());
            assertArrayEquals(bytes("00 ff"), debug.toByteArray());
            assertEquals(RamVisibility.READ_WRITE, visibility(machine, 0xf0000, 0x100000));
            assertEquals('X', machine.memory().memory().readByte(0xf0000));
        }
    }

    @Test
    void whatAKernelHasInMemoryAloneIsZeroAtEveryStart() throws Exception {
        // mov al, [0x100fff]; mov byte [0x100fff], 7; out 0xf4, al.
        byte[] code = bytes("a0 ff 0f 10 00 c6 05 ff 0f 10 00 07 e6 f4 f4");
        byte[] elf = Elf.of32(0x100000, new Elf.Segment(0x100000, 0x100000, code, 0x1000));
        Machine machine = create(new BootSource.Kernel("bss", elf, ""));
        assertEquals(1, run(machine).code());
        assertEquals(7, machine.memory().memory().readByte(0x100fff));
        assertEquals(1, run(machine).code());
    }

    @Test
    void ramIsWrittenBeneathTheRomWhereASegmentIsWriteOnly() throws Exception {
        // PAM0 = write-only; [0xf0000] = 'Z', which exits; PAM0 = read-only; print [0xf0000]; halt.
        byte[] code = bytes("ba f8 0c 66 b8 58 00 00 80 66 ef ba fd 0c b0 20 ee b8 00 f0 8e d8 c6 06 00 00 5a"
                + "b0 10 ee a0 00 00 ba 02 04 ee f4");
        Machine machine = create(new BootSource.Flat("shadow", code, 0x8000, Mode.REAL));
        assertEquals(RunResult.Kind.HALTED, run(machine).kind());
        assertEquals("Z", debug.toString(StandardCharsets.US_ASCII));
        assertEquals('Z', machine.memory().memory().readByte(0xf0000));
    }

    @Test
    void theRomShowsAtBothPlacesAndCannotBeWritten() throws Exception {
        byte[] image = new byte[256 << 10];
        for (int i = 0; i < image.length; i += 4096) {
            image[i] = (byte) (i >> 12);
        }
        // At the reset vector: jump to f000:0; there: [cs:0x20] = 1, which exits; print [cs:0x20]; exit by port 0xf4
        // with 0x10.
        byte[] reset = bytes("ea 00 00 00 f0");
        byte[] code = bytes("2e c6 06 20 00 01 2e a0 20 00 ba 02 04 ee b0 10 e6 f4 f4");
        System.arraycopy(reset, 0, image, image.length - 16, reset.length);
        System.arraycopy(code, 0, image, image.length - (64 << 10), code.length);
        image[image.length - (64 << 10) + 0x20] = 'R';
        Machine machine = create(new BootSource.Firmware("rom", image));
        assertEquals(33, run(machine).code());
        assertEquals("R", debug.toString(StandardCharsets.US_ASCII));
        assertEquals(5, machine.memory().memory().readByte(0x100000000L - (256 << 10) + 5 * 4096));
        assertEquals(33, machine.memory().memory().readByte(0xe1000));
    }

    @Test
    void aRunningMachineCannotBeStartedAndClosingEndsItsRun() throws Exception {
        Machine machine = create(new BootSource.Flat("spin", SPIN, 0x8000, Mode.PROTECTED));
        Run run = machine.start();
        assertThrows(IllegalStateException.class, machine::start);
        machine.close();
        machine.close();
        assertEquals(
                RunResult.Kind.CLOSED,
                run.await(Duration.ofSeconds(10)).orElseThrow().kind());
        String message =
                assertThrows(IllegalStateException.class, machine::start).getMessage();
        assertTrue(message.contains("closed"), message);
        assertEquals(List.of(), host.machines().machines());
        assertNothingLeft();
    }

    @Test
    void aGuestWhoseBackendDepartsGoesOnWhenItReturns() throws Exception {
        Machine machine = create(new BootSource.Flat("spin", SPIN, 0x8000, Mode.PROTECTED));
        Run run = machine.start();
        machine.memory().memory().writeLong(0x30000, 4711);
        host.kvmDeparts();
        assertEquals(VmState.PARKED, machine.vm().state());
        String message =
                assertThrows(IllegalStateException.class, machine::start).getMessage();
        assertTrue(message.contains("PARKED"), message);
        host.kvmReturns();
        assertEquals(VmState.RUNNING, machine.vm().state());
        assertEquals(4711, machine.memory().memory().readLong(0x30000));
        run.stop(5, "enough");
        assertEquals(5, run.await(Duration.ofSeconds(10)).orElseThrow().code());
    }

    @Test
    void anOutputThatThrowsDoesNotEndTheGuest() throws Exception {
        OutputStream broken = new OutputStream() {
            @Override
            public void write(int value) throws IOException {
                throw new IOException("disk full");
            }
        };
        Machine machine =
                host.machines().create(config(kernel(GuestProgram.HELLO, "")).withOutput(broken, broken));
        assertEquals(33, run(machine).code());
    }

    @Test
    void whatCannotBeMadeLeavesNothingBehind() throws Exception {
        for (BootSource bad : List.of(
                new BootSource.Firmware("big", new byte[(16 << 20) + 4096]),
                new BootSource.Kernel("text", "no kernel".getBytes(StandardCharsets.US_ASCII), ""),
                new BootSource.Flat("high", SPIN, 1L << 32, Mode.LONG))) {
            assertThrows(IllegalArgumentException.class, () -> create(bad));
        }
        BootSource good = new BootSource.Flat("spin", SPIN, 0x8000, Mode.REAL);
        assertThrows(IllegalArgumentException.class, () -> host.machines()
                .create(config(good).withMemory(4097)));
        assertThrows(IllegalArgumentException.class, () -> host.machines()
                .create(config(good).withProcessors(0)));
        assertThrows(IllegalArgumentException.class, () -> host.machines()
                .create(config(good).withBackendFilter("(")));
        assertThrows(IllegalArgumentException.class, () -> host.machines().create(MachineConfig.of("a/b", good)));
        assertEquals(List.of(), host.machines().machines());
        assertNothingLeft();
        Machine machine = create(good);
        assertThrows(IllegalArgumentException.class, () -> create(good));
        assertEquals(List.of(machine), host.machines().machines());
        assertEquals(machine, host.machines().machine("test").orElseThrow());
    }

    @Test
    void inspectShowsTheGuestsStateAndItsExits() throws Exception {
        Machine machine = create(kernel(GuestProgram.HELLO, ""));
        run(machine);
        Map<String, Object> seen = new TreeMap<>();
        ((PcMachine) machine).inspect(record("", seen));
        assertEquals("READY", seen.get("/state"));
        assertEquals("ram, read-only", seen.get("/pam/0xf0000-0x100000"));
        assertEquals(1L, seen.get("/exits/ports/0xf4"));
        assertEquals((long) serial.size(), seen.get("/serial/written"));
        assertTrue((long) seen.get("/exits/Mmio") > 0, seen.toString());
    }

    /** Every call as a path and its value. */
    private static Inspection record(String path, Map<String, Object> seen) {
        return (Inspection) Proxy.newProxyInstance(
                Inspection.class.getClassLoader(), new Class<?>[] {Inspection.class}, (proxy, method, arguments) -> {
                    String name = path + "/" + arguments[0];
                    if (method.getName().equals("child")) {
                        @SuppressWarnings("unchecked")
                        Consumer<Inspection> children = (Consumer<Inspection>) arguments[1];
                        children.accept(record(name, seen));
                    } else {
                        seen.put(name, arguments[1]);
                    }
                    return proxy;
                });
    }

    private void assertNothingLeft() {
        assertEquals(List.of(), host.memories().managers());
        assertEquals(List.of(), host.virtualMachines().machines());
        assertFalse(host.machines().machine("test").isPresent());
    }

    private void assertPrintsAndHalts(BootSource.Flat flat) throws Exception {
        serial.reset();
        try (Machine machine = create(flat)) {
            RunResult result = run(machine);
            assertEquals(RunResult.Kind.HALTED, result.kind(), flat.name() + " " + result);
            assertEquals("A\n", serial.toString(StandardCharsets.US_ASCII), flat.name());
        }
    }

    private static BootSource kernel(GuestProgram program, String commandLine) {
        return new BootSource.Kernel(program.id(), program.bytes(), commandLine);
    }

    private Machine create(BootSource boot) throws Exception {
        return host.machines().create(config(boot));
    }

    private MachineConfig config(BootSource boot) {
        return MachineConfig.of("test", boot).withMemory(16 << 20).withOutput(serial, debug);
    }

    private static RunResult run(Machine machine) throws Exception {
        Run run = machine.start();
        return run.await(Duration.ofSeconds(30)).orElseThrow(() -> new AssertionError("the guest did not end"));
    }

    private static RamVisibility visibility(Machine machine, long start, long end) throws Exception {
        return machine.memory().visibility(new MemoryRange(start, end));
    }

    private static byte[] bytes(String hex) {
        return HexFormat.of().parseHex(hex.replace(" ", ""));
    }
}
