package io.membacking.itests.benchmarks;

import io.membacking.guests.GuestProgram;
import io.membacking.host.Backing;
import io.membacking.host.linux.LinuxHostMemory;
import io.membacking.mapping.internal.GuestMappingManagers;
import io.membacking.memory.GuestMemoryManager;
import io.membacking.memory.MemoryLayout;
import io.membacking.memory.RamRange;
import io.membacking.memory.internal.GuestMemories;
import io.membacking.partition.Partition;
import io.membacking.partition.PartitionBackend;
import io.membacking.partition.Processor;
import io.membacking.partition.ProcessorState;
import io.membacking.partition.ProcessorState.GeneralRegisters;
import io.membacking.partition.ProcessorState.Segment;
import io.membacking.partition.ProcessorState.SystemRegisters;
import io.membacking.partition.kvm.KvmBackend;
import io.membacking.range.MemoryRange;
import io.membacking.region.Change;
import io.membacking.region.MapParameters;
import io.membacking.region.RegionId;
import io.membacking.region.RegionKind;
import io.membacking.region.internal.GuestRegionManagers;
import io.membacking.vm.MoveResult;
import io.membacking.vm.Outcome;
import io.membacking.vm.VirtualMachine;
import io.membacking.vm.VmRequest;
import io.membacking.vm.internal.PlainBackends;
import io.membacking.vm.internal.VirtualMachineRegistry;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.function.ToDoubleFunction;

/**
 * How long a guest stands still when it is moved from one KVM backend to another, as the guest itself sees it: the step of its
 * time-stamp counter across the move. The guest and its memory are those of native/bench/kvm_swap.c: 2 MiB of RAM, and other regions
 * of a page each, every second page from 4 GiB on. As there, before each move that counts it runs for a tenth of a second undisturbed.
 *
 * <p>Arguments: regions, moves. Prints one line like that program's: the medians, in microseconds. Parts are those of {@link
 * MoveResult.Times}; a move's first and last, {@code prepare} and what follows {@code restore}, pass while the guest runs.
 */
final class StandStill {
    private static final long PAGE = MemoryRange.PAGE_SIZE;
    private static final long GIB = 1L << 30;
    private static final long WORDS = 0x20000;
    private static final long GAP = WORDS + 8;
    private static final long STEPS = WORDS + 24;
    private static final long PAGE_TABLES = 0x1000;
    /** Moves before those that count: the compiler must have seen them. */
    private static final int WARM = 300;

    private static final long UNDISTURBED_MS = 100;
    /** The first moves after those that follow each other at once do not count. */
    private static final int SETTLING = 5;

    private StandStill() {}

    public static void main(String[] arguments) throws Exception {
        int regions = Integer.parseInt(arguments[0]);
        int moves = Integer.parseInt(arguments[1]);
        try (LinuxHostMemory host = new LinuxHostMemory();
                GuestMappingManagers mappings = new GuestMappingManagers(host);
                GuestRegionManagers regionManagers = new GuestRegionManagers(mappings);
                GuestMemories memories = new GuestMemories(host, regionManagers);
                KvmBackend one = new KvmBackend();
                KvmBackend other = new KvmBackend();
                VirtualMachineRegistry machines = new VirtualMachineRegistry()) {
            GuestMemoryManager memory = memories.builder("guest")
                    .layout(MemoryLayout.of(
                            List.of(RamRange.of(new MemoryRange(0, 2 << 20))),
                            List.of(new MemoryRange(4 * GIB, 4 * GIB + 2 * PAGE * Math.max(regions, 2))),
                            Optional.empty()))
                    .build();
            addRegions(memory, regions - 1);
            Runnable mark = () -> {
                memory.memory().writeLong(GAP, 0);
                memory.memory().writeLong(STEPS, 10);
            };
            PlainBackends.arrive(machines, marking(PartitionBackend.class, one, mark), 1);
            PlainBackends.arrive(machines, marking(PartitionBackend.class, other, mark), 2);
            VirtualMachine machine = machines.create(VmRequest.of("guest", memory));
            prepare(machine);
            machine.start((processor, exit) -> Outcome.unhandled());
            measure(machine, regions, moves);
        }
    }

    /** A backend that marks when a processor's state is taken: for the guest, among whose next steps is the one across the move. */
    private static <T> T marking(Class<T> type, Object real, Runnable mark) {
        return type.cast(
                Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, (proxy, method, given) -> {
                    if (method.getName().equals("state")) {
                        mark.run();
                    }
                    try {
                        Object result = method.invoke(real, given);
                        return result instanceof Partition
                                ? marking(Partition.class, result, mark)
                                : result instanceof Processor ? marking(Processor.class, result, mark) : result;
                    } catch (InvocationTargetException e) {
                        throw e.getCause();
                    }
                }));
    }

    private static void addRegions(GuestMemoryManager memory, int count) throws Exception {
        if (count < 1) {
            return;
        }
        Backing backing = memory.allocate("others", count * PAGE);
        memory.regions().addBacking(backing);
        Change change = memory.regions().change("other regions");
        for (int i = 0; i < count; i++) {
            long start = 4 * GIB + 2 * PAGE * i;
            RegionId id = change.add("other" + i, new MemoryRange(start, start + PAGE), 255, RegionKind.RAM);
            change.addMapping(id, new MemoryRange(0, PAGE), backing.id(), PAGE * i, true);
            change.map(id, MapParameters.RAM);
        }
        change.commit();
    }

    private static void prepare(VirtualMachine machine) throws Exception {
        byte[] program = GuestProgram.USER_GAP.bytes();
        var memory = machine.memory().memory();
        memory.write(GuestProgram.USER_GAP.loadAddress(), program, 0, program.length);
        memory.writeLong(PAGE_TABLES, (PAGE_TABLES + PAGE) | 7);
        memory.writeLong(PAGE_TABLES + PAGE, (PAGE_TABLES + 2 * PAGE) | 7);
        memory.writeLong(PAGE_TABLES + 2 * PAGE, 0x87);
        SystemRegisters reset = machine.processorState(0).system();
        Segment code = new Segment(0, -1, 0x33, 0xa0fb);
        Segment data = new Segment(0, -1, 0x2b, 0xc0f3);
        SystemRegisters system = new SystemRegisters(
                code,
                data,
                data,
                data,
                data,
                data,
                new Segment(0, 0x67, 0x18, 0x8b),
                new Segment(0, 0xffff, 0, 0x82),
                reset.gdt(),
                reset.idt(),
                0x80010033L,
                0,
                PAGE_TABLES,
                0x620,
                0,
                0x500,
                reset.apicBase());
        GeneralRegisters registers = new GeneralRegisters(
                0, 0, 0, 0, 0, WORDS, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, GuestProgram.USER_GAP.entry(), 2);
        machine.setProcessorState(0, new ProcessorState(registers, system, new TreeMap<>()));
    }

    private static void measure(VirtualMachine machine, int regions, int moves) throws Exception {
        MoveResult[] results = new MoveResult[moves];
        double[] gaps = new double[moves];
        double perMicrosecond = ticksPerMicrosecond(machine);
        // Thousands of regions take long to prepare, and what counts is compiled by then.
        int warm = regions > 4096 ? WARM / 5 : WARM;
        for (int i = -warm - SETTLING; i < moves; i++) {
            if (i >= -SETTLING) {
                Thread.sleep(UNDISTURBED_MS);
            }
            awaitLap(machine);
            MoveResult result = move(machine);
            awaitLap(machine);
            if (i >= 0) {
                results[i] = result;
                gaps[i] = machine.memory().memory().readLong(GAP) / perMicrosecond;
            }
        }
        Arrays.sort(gaps);
        System.out.printf(
                "swap regions=%d moves=%d gap_us=%.1f hold_us=%.1f save_us=%.1f restore_us=%.1f held_us=%.1f prepare_us=%.1f verify_us=%.1f"
                        + " close_us=%.1f%n",
                regions,
                moves,
                gaps[moves / 2],
                median(results, r -> r.times().hold()),
                median(results, r -> r.times().save()),
                median(results, r -> r.times().restore()),
                median(results, r -> r.standStill().toNanos()),
                median(results, r -> r.times().prepare()),
                median(results, r -> r.times().verify()),
                median(results, r -> r.times().close()));
    }

    private static MoveResult move(VirtualMachine machine) throws InterruptedException, ExecutionException {
        MoveResult result = machine.move("").toCompletableFuture().get();
        if (!result.moved()) {
            throw new IllegalStateException(result.toString());
        }
        return result;
    }

    private static void awaitLap(VirtualMachine machine) {
        var memory = machine.memory().memory();
        long before = memory.readLong(WORDS);
        while (memory.readLong(WORDS) == before) {
            Thread.onSpinWait();
        }
    }

    private static double ticksPerMicrosecond(VirtualMachine machine) {
        var memory = machine.memory().memory();
        awaitLap(machine);
        long start = System.nanoTime();
        long first = memory.readLong(WORDS + 16);
        long now;
        do {
            now = System.nanoTime();
        } while (now - start < 200_000_000);
        return (memory.readLong(WORDS + 16) - first) * 1e3 / (now - start);
    }

    private static double median(MoveResult[] results, ToDoubleFunction<MoveResult> nanoseconds) {
        double[] sorted =
                Arrays.stream(results).mapToDouble(nanoseconds).sorted().toArray();
        return sorted[sorted.length / 2] / 1e3;
    }
}
