package io.membacking.itests.felix;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import io.membacking.access.GuestMemory;
import io.membacking.error.MembackingException;
import io.membacking.guests.GuestProgram;
import io.membacking.itests.support.Conditions;
import io.membacking.itests.support.Container;
import io.membacking.memory.GuestMemoryManager;
import io.membacking.memory.GuestMemoryManagers;
import io.membacking.memory.MemoryLayout;
import io.membacking.partition.Exit;
import io.membacking.partition.ProcessorState;
import io.membacking.partition.ProcessorState.GeneralRegisters;
import io.membacking.partition.ProcessorState.Segment;
import io.membacking.partition.ProcessorState.SystemRegisters;
import io.membacking.vm.Outcome;
import io.membacking.vm.Run;
import io.membacking.vm.VirtualMachine;
import io.membacking.vm.VirtualMachines;
import io.membacking.vm.VmRequest;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A guest of two processors, without a machine, that check their own registers, vectors and memory
 * ({@link GuestProgram#USER_CHECKER}).
 */
final class CheckingGuest {
    static final int PROCESSORS = 2;

    private static final AtomicInteger NUMBER = new AtomicInteger();
    private static final GuestProgram PROGRAM = GuestProgram.USER_CHECKER;
    private static final long MIB = 1 << 20;
    private static final long PAGE_TABLES = 0x1000;
    /** Nothing is mapped here: a processor ends by writing to its page of it. */
    private static final long END = 0x4000_0000;

    private static final long WRONG = 16;
    private static final long FIRST_WRONG = 24;

    final VirtualMachine vm;
    private final GuestMemoryManager manager;
    private final GuestMemory memory;
    private final Run run;
    private final Set<Integer> ended = ConcurrentHashMap.newKeySet();

    CheckingGuest(Container container) throws Exception {
        String name = "checker-" + NUMBER.incrementAndGet();
        manager = container
                .await(GuestMemoryManagers.class)
                .builder(name)
                .layout(MemoryLayout.flat(16 * MIB))
                .build();
        memory = manager.memory();
        vm = container
                .await(VirtualMachines.class)
                .create(new VmRequest(name, manager, PROCESSORS, false, 0, Optional.empty()));
        load();
        for (int processor = 0; processor < PROCESSORS; processor++) {
            prepare(processor);
        }
        run = vm.start(this::handle);
        awaitLaps();
    }

    private static long status(int processor) {
        return 0x200000 + processor * 0x1000L;
    }

    /** The program, and page tables that map the first GiB to itself and the place of the end. */
    private void load() {
        byte[] bytes = PROGRAM.bytes();
        memory.write(PROGRAM.loadAddress(), bytes, 0, bytes.length);
        memory.writeLong(PAGE_TABLES, PAGE_TABLES + 0x1000 | 7);
        for (int gib = 0; gib < 2; gib++) {
            long directory = PAGE_TABLES + 0x2000 + gib * 0x1000L;
            memory.writeLong(PAGE_TABLES + 0x1000 + gib * 8L, directory | 7);
            for (int entry = 0; entry < 512; entry++) {
                memory.writeLong(directory + entry * 8L, (((long) gib << 30) + ((long) entry << 21)) | 0x87);
            }
        }
    }

    /** Privilege level 3 in 64-bit mode, with SSE. */
    private void prepare(int processor) throws MembackingException {
        ProcessorState reset = vm.processorState(processor);
        Segment code = new Segment(0, -1, 0x33, 0xa0fb);
        Segment data = new Segment(0, -1, 0x2b, 0xc0f3);
        SystemRegisters was = reset.system();
        SystemRegisters system = new SystemRegisters(
                code,
                data,
                data,
                data,
                data,
                data,
                was.tr(),
                was.ldt(),
                was.gdt(),
                was.idt(),
                0x8000_0033L,
                0,
                PAGE_TABLES,
                0x620,
                0,
                0x500,
                was.apicBase());
        GeneralRegisters general = new GeneralRegisters(
                0,
                END + processor * 0x1000L,
                0,
                MIB,
                0x300000 + processor * MIB,
                status(processor),
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                PROGRAM.entry(),
                2);
        vm.setProcessorState(processor, new ProcessorState(general, system, new TreeMap<>()));
    }

    private Outcome handle(int processor, Exit exit) {
        if (exit instanceof Exit.Mmio mmio && !mmio.input() && mmio.gpa() == END + processor * 0x1000L) {
            ended.add(processor);
            if (ended.size() == PROCESSORS) {
                return Outcome.stop(0, "ended");
            }
        }
        return Outcome.unhandled();
    }

    private long laps(int processor) {
        return memory.readLong(status(processor));
    }

    /** Waits until every processor has done more laps, and asserts that no check in them failed. */
    void awaitLaps() {
        for (int p = 0; p < PROCESSORS; p++) {
            int processor = p;
            long before = laps(processor);
            Conditions.await(
                    () -> laps(processor) > before + 1,
                    Container.DEADLINE,
                    () -> "processor " + processor + " stands: " + vm.status() + ", " + run.result());
            assertRight(processor);
        }
    }

    private void assertRight(int processor) {
        long wrong = memory.readLong(status(processor) + WRONG);
        long first = memory.readLong(status(processor) + FIRST_WRONG);
        assertEquals("wrong laps of processor " + processor + ", the first by check " + first, 0, wrong);
    }

    /** Asks the program to end, asserts that it saw nothing wrong, and closes it. */
    void finish() throws InterruptedException {
        for (int processor = 0; processor < PROCESSORS; processor++) {
            memory.writeLong(status(processor) + 8, 1);
        }
        assertEquals(
                "ended",
                run.await(Container.DEADLINE)
                        .orElseThrow(() -> new AssertionError("it runs on: " + vm.status()))
                        .reason());
        for (int processor = 0; processor < PROCESSORS; processor++) {
            assertRight(processor);
        }
        assertTrue(
                manager.regions().checkDrift().toString(),
                manager.regions().checkDrift().clean());
        vm.close();
        manager.close();
    }
}
