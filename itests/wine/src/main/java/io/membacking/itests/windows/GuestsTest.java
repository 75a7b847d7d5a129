package io.membacking.itests.windows;

import static io.membacking.itests.windows.GuestMemories.OTHER_SEGMENT;
import static io.membacking.itests.windows.GuestMemories.SEGMENT;
import static io.membacking.itests.windows.GuestRig.END;
import static io.membacking.itests.windows.GuestRig.await;
import static io.membacking.itests.windows.GuestRig.registers;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.guests.GuestProgram;
import io.membacking.host.Backing;
import io.membacking.memory.DeviceMemory;
import io.membacking.memory.GuestMemoryManager;
import io.membacking.memory.MemoryLayout;
import io.membacking.memory.RamVisibility;
import io.membacking.partition.Exit;
import io.membacking.partition.ProcessorState.GeneralRegisters;
import io.membacking.range.MemoryRange;
import io.membacking.vm.Outcome;
import io.membacking.vm.Run;
import io.membacking.vm.RunResult;
import io.membacking.vm.VirtualMachine;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What guests see while their memory changes beneath them. */
@Timeout(120)
class GuestsTest {
    private static final long OURS = 0x1122334455667788L;
    private static final long ALL_ONES = -1;
    private static final int CHANGES = 50;

    private final GuestRig rig = new GuestRig();

    @AfterEach
    void close() throws Exception {
        rig.close();
    }

    private record Reads(long wrong, long changes, long done) {}

    /** Reads an address for ever; its counts are in the registers. @param exits counts the reads that found nothing mapped */
    private static Run startReader(VirtualMachine vm, AtomicInteger exits) {
        return vm.start((processor, exit) -> {
            exits.incrementAndGet();
            return Outcome.unhandled();
        });
    }

    private VirtualMachine reader(GuestMemoryManager memory, long address, long permitted, long alsoPermitted)
            throws Exception {
        return rig.vm(
                memory,
                GuestProgram.USER_READER,
                registers(GuestProgram.USER_READER, 0, END, alsoPermitted, permitted, 0, address));
    }

    private static Reads stopReader(VirtualMachine vm, Run run) throws Exception {
        run.stop(0, "enough");
        assertEquals(RunResult.Kind.STOPPED, await(run).kind());
        GeneralRegisters registers = vm.processorState(0).general();
        return new Reads(registers.r8(), registers.r9(), registers.r12());
    }

    @Test
    void programPrintsAndHalts() throws Exception {
        GuestMemoryManager memory = rig.memory("print");
        VirtualMachine vm =
                rig.vm(memory, GuestProgram.REAL_PRINT, registers(GuestProgram.REAL_PRINT, 0, 0, 0, 0x3f8, 0, 0));
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        RunResult result = await(vm.start((processor, exit) -> {
            if (exit instanceof Exit.PortIo port && port.port() == 0x3f8 && !port.input()) {
                printed.writeBytes(port.data());
                return Outcome.resume();
            }
            return Outcome.unhandled();
        }));
        assertEquals(RunResult.Kind.HALTED, result.kind(), result::toString);
        assertEquals(GuestProgram.REAL_PRINT_TEXT, printed.toString(StandardCharsets.US_ASCII));
    }

    @Test
    void unmappedReadsAndWritesExitWithTheirAddress() throws Exception {
        GuestMemoryManager memory = rig.memory("unmapped");
        GuestProgram program = GuestProgram.PROTECTED_PEEKPOKE;
        VirtualMachine vm = rig.vm(memory, program, registers(program, 0x12345678, 0x2000000, 0x3000000, 0, 0, 0));
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
        assertEquals(RunResult.Kind.HALTED, result.kind(), result::toString);
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
        GuestMemoryManager memory = rig.memory("rom");
        memory.memory().writeInt(SEGMENT.start(), 0x600d);
        memory.setVisibility(SEGMENT, RamVisibility.READ_ONLY);
        GuestProgram program = GuestProgram.PROTECTED_PEEKPOKE;
        VirtualMachine vm =
                rig.vm(memory, program, registers(program, 0xbad, SEGMENT.start(), SEGMENT.start(), 0, 0, 0));
        AtomicInteger writes = new AtomicInteger();
        RunResult result = await(vm.start((processor, exit) -> {
            if (exit instanceof Exit.Mmio mmio && !mmio.input() && mmio.gpa() == SEGMENT.start()) {
                writes.incrementAndGet();
            }
            return Outcome.unhandled();
        }));
        assertEquals(RunResult.Kind.HALTED, result.kind(), result::toString);
        assertEquals(1, writes.get());
        assertEquals(0x600d, vm.processorState(0).general().rdx());
        assertEquals(0x600d, memory.memory().readInt(SEGMENT.start()));
    }

    @Test
    void hidingAndShowingUnderRunningProcessorShowsMemoryOrNothing() throws Exception {
        GuestMemoryManager memory = rig.memory("hide");
        memory.memory().writeLong(SEGMENT.start(), OURS);
        VirtualMachine vm = reader(memory, SEGMENT.start(), OURS, ALL_ONES);
        AtomicInteger exits = new AtomicInteger();
        Run run = startReader(vm, exits);
        for (int i = 0; i < CHANGES; i++) {
            int before = exits.get();
            memory.setVisibility(SEGMENT, RamVisibility.UNMAPPED);
            // Now and then until the guest has noticed; otherwise as fast as it goes.
            while (i % 10 == 0 && exits.get() == before && run.result().isEmpty()) {
                Thread.onSpinWait();
            }
            memory.setVisibility(SEGMENT, RamVisibility.READ_WRITE);
        }
        Reads reads = stopReader(vm, run);
        assertEquals(0, reads.wrong(), reads::toString);
        assertTrue(exits.get() >= 5, exits::toString);
        assertTrue(memory.regions().checkDrift().clean());
    }

    @Test
    void changingWritabilityUnderRunningProcessorIsNeverSeenByReads() throws Exception {
        GuestMemoryManager memory = rig.memory("flags");
        memory.memory().writeLong(SEGMENT.start(), OURS);
        VirtualMachine vm = reader(memory, SEGMENT.start(), OURS, OURS);
        Reads reads;
        do {
            Run run = startReader(vm, new AtomicInteger());
            for (int i = 0; i < CHANGES; i++) {
                memory.setVisibility(SEGMENT, RamVisibility.READ_ONLY);
                memory.setVisibility(SEGMENT, RamVisibility.READ_WRITE);
            }
            reads = stopReader(vm, run);
            assertEquals(new Reads(0, 0, reads.done()), reads);
        } while (reads.done() <= 1000);
        assertTrue(memory.regions().checkDrift().clean());
    }

    @Test
    void replacingMappingsUnderRunningProcessorShowsTheOldOrTheNew() throws Exception {
        GuestMemoryManager memory = rig.memory("replace");
        long page = rig.guests.page();
        MemoryRange pages = MemoryRange.ofLength(0, 4 * page);
        Backing first = GuestMemories.filled(memory, "first", pages.length(), 0x1111);
        Backing second = GuestMemories.filled(memory, "second", pages.length(), 0x2222);
        DeviceMemory device = memory.createDeviceMemory("device", pages.length());
        device.mappings().map(pages, first, 0, true);
        memory.setVisibility(SEGMENT, RamVisibility.UNMAPPED);
        device.control().place(SEGMENT.start(), true);
        VirtualMachine vm = reader(memory, SEGMENT.start() + page + 8, 0x1111, 0x2222);
        Reads reads;
        do {
            Run run = startReader(vm, new AtomicInteger());
            for (int i = 0; i < CHANGES; i++) {
                device.mappings().map(pages, second, 0, true);
                device.mappings().map(new MemoryRange(page, 3 * page), first, page, true);
                device.mappings().map(pages, first, 0, true);
            }
            reads = stopReader(vm, run);
            assertEquals(0, reads.wrong(), reads::toString);
        } while (reads.changes() == 0); // it may have read at other moments only
        assertTrue(memory.regions().checkDrift().clean());
    }

    @Test
    void movingDeviceMemoryUnderRunningProcessorIsAllOrNothing() throws Exception {
        GuestMemoryManager memory = rig.memory("move");
        memory.changeVisibility("make room")
                .set(SEGMENT, RamVisibility.UNMAPPED)
                .set(OTHER_SEGMENT, RamVisibility.UNMAPPED)
                .commit();
        DeviceMemory device = memory.createDeviceMemory("device", SEGMENT.length());
        device.mappings()
                .map(
                        MemoryRange.ofLength(0, SEGMENT.length()),
                        GuestMemories.filled(memory, "bytes", SEGMENT.length(), OURS),
                        0,
                        true);
        device.control().place(SEGMENT.start(), true);
        VirtualMachine vm = reader(memory, SEGMENT.start(), OURS, ALL_ONES);
        Run run = startReader(vm, new AtomicInteger());
        for (int i = 0; i < CHANGES; i++) {
            device.control().place(OTHER_SEGMENT.start(), true);
            device.control().place(SEGMENT.start(), true);
        }
        Reads reads = stopReader(vm, run);
        assertEquals(0, reads.wrong(), reads::toString);
        assertTrue(memory.regions().checkDrift().clean());
    }

    @Test
    void twoPartitionsOnOneMemoryAreCoherent() throws Exception {
        GuestMemoryManager memory = rig.memory("shared");
        GuestProgram program = GuestProgram.USER_ADD;
        GuestRig.load(memory, program);
        int increments = 2000;
        Run[] runs = new Run[2];
        for (int i = 0; i < 2; i++) {
            VirtualMachine vm = rig.vm("shared-" + i, memory, 1, 0);
            GuestRig.requireReady(vm);
            GuestRig.prepare(vm, 0, program, registers(program, 0, END, 0, 2, increments, 0x200000));
            runs[i] = vm.start(new GuestRig.EndHandler());
        }
        for (Run run : runs) {
            assertEquals("ended", await(run).reason());
        }
        assertEquals(2L * increments, memory.memory().readLong(0x200000));
        assertTrue(memory.regions().checkDrift().clean());
    }

    /** VTL0 in one partition, VTL2 with its alias map in another, of the same memory. */
    @Test
    void secondTrustLevelSeesTheMemoryAtItsAliasOffsetBesideTheFirst() throws Exception {
        long alias = 1L << 30;
        GuestMemoryManager memory = rig.guests.keep(rig.guests
                .managers
                .builder("vtl2")
                .layout(MemoryLayout.flat(16 * GuestMemories.MIB))
                .aliasMapOffset(alias)
                .build());
        GuestProgram program = GuestProgram.USER_PEEKPOKE;
        GuestRig.load(memory, program);
        memory.memory().writeLong(0x300000, OURS);
        VirtualMachine lower = rig.vm("lower", memory, 1, 0);
        VirtualMachine upper = rig.vm("upper", memory, 1, 2);
        GuestRig.requireReady(upper);
        GuestRig.prepare(upper, 0, program, registers(program, 0, END, 0, 0x77, alias + 0x300008, alias + 0x300000));
        GuestRig.EndHandler ends = new GuestRig.EndHandler();
        assertEquals("ended", await(upper.start(ends)).reason());
        assertEquals(OURS, ends.written.get());
        assertEquals(0x77, memory.memory().readLong(0x300008));
        GuestRig.prepare(lower, 0, program, registers(program, 0, END, 0, 0x78, 0x300010, 0x300008));
        ends = new GuestRig.EndHandler();
        assertEquals("ended", await(lower.start(ends)).reason());
        assertEquals(0x77, ends.written.get());
        assertEquals(0x78, memory.memory().readLong(0x300010));
        assertTrue(memory.regions().checkDrift().clean());
    }
}
