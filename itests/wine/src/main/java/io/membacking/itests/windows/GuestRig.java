package io.membacking.itests.windows;

import io.membacking.error.MembackingException;
import io.membacking.guests.GuestProgram;
import io.membacking.memory.GuestMemoryManager;
import io.membacking.partition.Exit;
import io.membacking.partition.ProcessorState;
import io.membacking.partition.ProcessorState.GeneralRegisters;
import io.membacking.partition.ProcessorState.Segment;
import io.membacking.partition.ProcessorState.SystemRegisters;
import io.membacking.partition.ProcessorState.Table;
import io.membacking.vm.ExitHandler;
import io.membacking.vm.Outcome;
import io.membacking.vm.Run;
import io.membacking.vm.RunResult;
import io.membacking.vm.VirtualMachine;
import io.membacking.vm.VirtualMachines;
import io.membacking.vm.VmRequest;
import io.membacking.vm.VmState;
import java.time.Duration;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Assumptions;

/** Makes guests of our own programs through the services of the container, and ends them when closed. For one thread. */
final class GuestRig {
    /** Nothing is mapped here: a program of privilege level 3 ends by writing to it. */
    static final long END = 0xd000_0000L;

    private static final Duration LONG = Duration.ofSeconds(60);
    /** Page tables: one that maps the first 4 GiB to themselves in 2 MiB pages. */
    private static final long PAGE_TABLES = 0x1000;

    final GuestMemories guests = new GuestMemories();
    private final VirtualMachines machines = InContainer.requireHypervisor();

    GuestMemoryManager memory(String guest) throws MembackingException {
        return guests.memory(guest);
    }

    VirtualMachine vm(String name, GuestMemoryManager memory, int processors, int vtl) {
        return guests.keep(machines.create(new VmRequest(name, memory, processors, false, vtl, Optional.empty())));
    }

    /** Skips the test where a process can have one partition with memory, which must be what the second one says. */
    static void requireReady(VirtualMachine second) {
        if (second.state() != VmState.READY && second.status().contains("another partition of this process")) {
            Assumptions.abort("one partition with memory for each process here: " + second.status());
        }
    }

    /** One processor that will start the program. */
    VirtualMachine vm(GuestMemoryManager memory, GuestProgram program, GeneralRegisters registers)
            throws MembackingException {
        VirtualMachine vm = vm(memory.guest(), memory, 1, 0);
        load(memory, program);
        prepare(vm, 0, program, registers);
        return vm;
    }

    /** Puts the program where it belongs, and page tables beneath it for those that want them. */
    static void load(GuestMemoryManager memory, GuestProgram program) {
        byte[] bytes = program.bytes();
        memory.memory().write(program.loadAddress(), bytes, 0, bytes.length);
        memory.memory().writeLong(PAGE_TABLES, PAGE_TABLES + 0x1000 | 7);
        for (int gib = 0; gib < 4; gib++) {
            long directory = PAGE_TABLES + 0x2000 + gib * 0x1000L;
            memory.memory().writeLong(PAGE_TABLES + 0x1000 + gib * 8L, directory | 7);
            for (int entry = 0; entry < 512; entry++) {
                memory.memory().writeLong(directory + entry * 8L, (((long) gib << 30) + ((long) entry << 21)) | 0x87);
            }
        }
    }

    static void prepare(VirtualMachine vm, int processor, GuestProgram program, GeneralRegisters registers)
            throws MembackingException {
        vm.setProcessorState(processor, state(program, registers, vm.processorState(processor)));
    }

    /** At the start of the program. @param reset a state of the same processor */
    static ProcessorState state(GuestProgram program, GeneralRegisters registers, ProcessorState reset) {
        return new ProcessorState(registers, system(program, reset.system()), new TreeMap<>());
    }

    /** RBX, RCX, RDX, RSI, RDI and RAX at the program's start. */
    static GeneralRegisters registers(
            GuestProgram program, long rax, long rbx, long rcx, long rdx, long rsi, long rdi) {
        return new GeneralRegisters(rax, rbx, rcx, rdx, rsi, rdi, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, program.entry(), 2);
    }

    private static SystemRegisters system(GuestProgram program, SystemRegisters reset) {
        return switch (program.mode()) {
            case REAL -> flat(reset, 0x9b, 0x93, 0, 0xffff, reset.cr0() & ~1L, 0, 0, 0);
            case PROTECTED -> flat(reset, 0xc09b, 0xc093, 8, -1, reset.cr0() | 1, 0, 0, 0);
            case LONG -> flat(reset, 0xa09b, 0xc093, 8, -1, 0x8000_0033L, PAGE_TABLES, 0x620, 0x500);
            case LONG_USER -> flat(reset, 0xa0fb, 0xc0f3, 0x33, -1, 0x8000_0033L, PAGE_TABLES, 0x620, 0x500);
            case MULTIBOOT -> throw new IllegalArgumentException(program + " needs a loader");
        };
    }

    private static SystemRegisters flat(
            SystemRegisters reset,
            int code,
            int data,
            int selector,
            int limit,
            long cr0,
            long cr3,
            long cr4,
            long efer) {
        Segment cs = new Segment(0, limit, selector, code);
        Segment ds = new Segment(0, limit, selector == 0 ? 0 : selector == 0x33 ? 0x2b : 0x10, data);
        Segment tr = new Segment(0, 0x67, 0, 0x8b);
        Segment ldt = new Segment(0, 0xffff, 0, 0x82);
        Table none = new Table(0, 0xffff);
        return new SystemRegisters(
                cs, ds, ds, ds, ds, ds, tr, ldt, none, none, cr0, 0, cr3, cr4, 0, efer, reset.apicBase());
    }

    static RunResult await(Run run) throws InterruptedException {
        return run.await(LONG).orElseThrow(() -> new AssertionError("the guest did not end"));
    }

    void close() throws Exception {
        guests.close();
    }

    /** Stops a run at the write to {@link #END} and keeps what was written. */
    static final class EndHandler implements ExitHandler {
        final AtomicReference<Long> written = new AtomicReference<>();

        @Override
        public Outcome handle(int processor, Exit exit) {
            if (exit instanceof Exit.Mmio mmio && !mmio.input() && mmio.gpa() == END) {
                written.set(mmio.value());
                return Outcome.stop(0, "ended");
            }
            return Outcome.unhandled();
        }
    }
}
