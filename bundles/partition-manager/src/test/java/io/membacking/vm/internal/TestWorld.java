package io.membacking.vm.internal;

import io.membacking.error.MembackingException;
import io.membacking.guests.GuestProgram;
import io.membacking.host.linux.LinuxHostMemory;
import io.membacking.mapping.internal.GuestMappingManagers;
import io.membacking.memory.GuestMemoryManager;
import io.membacking.memory.MemoryLayout;
import io.membacking.memory.internal.GuestMemories;
import io.membacking.partition.ProcessorState;
import io.membacking.partition.ProcessorState.GeneralRegisters;
import io.membacking.partition.ProcessorState.Segment;
import io.membacking.partition.ProcessorState.SystemRegisters;
import io.membacking.partition.ProcessorState.Table;
import io.membacking.region.internal.GuestRegionManagers;
import io.membacking.vm.VirtualMachine;
import java.util.TreeMap;

/** Every bundle below this one, real, without OSGi. */
final class TestWorld implements AutoCloseable {
    /** Where page tables are put: one that maps the first 4 GiB to themselves in 2 MiB pages. */
    private static final long PAGE_TABLES = 0x1000;
    /** Nothing is mapped here: a program of privilege level 3 ends by writing to it. */
    static final long END = 0xd000_0000L;

    final LinuxHostMemory host = new LinuxHostMemory();
    final GuestMappingManagers mappings = new GuestMappingManagers(host);
    final GuestRegionManagers regions = new GuestRegionManagers(mappings);
    final GuestMemories memories = new GuestMemories(host, regions);
    final VirtualMachineRegistry machines = new VirtualMachineRegistry();

    GuestMemoryManager memory(String guest, long size) throws MembackingException {
        return memories.builder(guest)
                .layout(MemoryLayout.flat(size))
                .x86LegacySupport(true)
                .build();
    }

    /** Puts the program where it belongs, and page tables beneath it for those that want them. */
    static void load(GuestMemoryManager memory, GuestProgram program) {
        byte[] bytes = program.bytes();
        memory.memory().write(program.loadAddress(), bytes, 0, bytes.length);
        long table = PAGE_TABLES;
        memory.memory().writeLong(table, table + 0x1000 | 7);
        for (int gib = 0; gib < 4; gib++) {
            long directory = table + 0x2000 + gib * 0x1000L;
            memory.memory().writeLong(table + 0x1000 + gib * 8L, directory | 7);
            for (int entry = 0; entry < 512; entry++) {
                memory.memory().writeLong(directory + entry * 8L, (((long) gib << 30) + ((long) entry << 21)) | 0x87);
            }
        }
    }

    /** Sets a processor to start the program with these registers. */
    static void prepare(VirtualMachine vm, int processor, GuestProgram program, GeneralRegisters registers)
            throws MembackingException {
        ProcessorState reset = vm.processorState(processor);
        vm.setProcessorState(
                processor, new ProcessorState(registers, system(program, reset.system()), new TreeMap<>()));
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

    /** Dependents first, as the component runtime would. */
    @Override
    public void close() {
        machines.close();
        memories.close();
        regions.close();
        mappings.close();
        host.close();
    }
}
