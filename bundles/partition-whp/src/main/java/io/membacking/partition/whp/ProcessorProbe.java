package io.membacking.partition.whp;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import io.membacking.partition.CpuModel;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Finds out what the platform's processors look like by running CPUID on one, in a partition of its own: versions before Windows 11
 * have no other way to tell. And where exits leave its RIP. Used once.
 */
final class ProcessorProbe implements AutoCloseable {
    /** {@code cpuid; hlt; out 0x80, al; mov [0x3000], al}, in real mode. */
    private static final byte[] PROGRAM = {
        0x0f, (byte) 0xa2, (byte) 0xf4, (byte) 0xe6, (byte) 0x80, (byte) 0xa2, 0x00, 0x30
    };

    private static final int CPUID = 0;
    private static final int OUT = 3;
    private static final int MOV = 5;

    private static final int PAGE = 0x1000;
    private static final int CODE_16 = 0x9b;
    private static final int DATA_16 = 0x93;
    private static final int EXTENDED = 0x80000000;

    /** More leaves or indices than any processor has: who claims so is not believed. */
    private static final int MOST = 64;

    private final WhpCalls calls;
    private final Memory page = new Memory(2 * PAGE);
    private final Memory context = new Memory(WhpAbi.EXIT_CONTEXT_SIZE);
    private final RegisterBlock registers = new RegisterBlock(
            List.of(WhpAbi.RAX, WhpAbi.RBX, WhpAbi.RCX, WhpAbi.RDX, WhpAbi.RIP, WhpAbi.RFLAGS, WhpAbi.CS, WhpAbi.DS));
    private final List<CpuModel.Leaf> leaves = new ArrayList<>();
    private long partition;

    private ProcessorProbe(WhpCalls calls) {
        this.calls = calls;
    }

    /** Empty where the platform does not let it: there is no memory for it, or no hypervisor. */
    static Optional<ProcessorFacts> run(WhpCalls calls) {
        try (ProcessorProbe probe = new ProcessorProbe(calls)) {
            return probe.prepare() && probe.all()
                    ? Optional.of(new ProcessorFacts(
                            new CpuModel(probe.leaves),
                            probe.isBehind(OUT, WhpAbi.EXIT_IO_PORT_ACCESS),
                            probe.isBehind(MOV, WhpAbi.EXIT_MEMORY_ACCESS)))
                    : Optional.empty();
        }
    }

    /** Whether the instruction's exit leaves RIP elsewhere than on it. */
    private boolean isBehind(int instruction, int reason) {
        return run(instruction, 0, 0)
                && context.getInt(WhpAbi.EXIT_REASON) == reason
                && registers.get(calls, partition, 0) >= 0
                && registers.value(WhpAbi.RIP) != instruction;
    }

    private boolean prepare() {
        long address = Pointer.nativeValue(page) + PAGE - 1 & -PAGE;
        new Pointer(address).write(0, PROGRAM, 0, PROGRAM.length);
        try (Memory word = new Memory(Long.BYTES)) {
            if (calls.createPartition(word) < 0) {
                return false;
            }
            partition = word.getLong(0);
            word.setInt(0, 1);
            return calls.setPartitionProperty(partition, WhpAbi.PROPERTY_PROCESSOR_COUNT, word, Integer.BYTES) >= 0
                    && calls.setupPartition(partition) >= 0
                    && calls.mapGpaRange(partition, address, 0, PAGE, WhpAbi.MAP_READ | WhpAbi.MAP_EXECUTE) >= 0
                    && calls.createVirtualProcessor(partition, 0) >= 0;
        }
    }

    private boolean all() {
        return range(0) && range(EXTENDED);
    }

    private boolean range(int first) {
        CpuModel.Leaf start = ask(first, 0, false);
        if (start == null) {
            return false;
        }
        int last = first + Math.min(Math.max(start.eax() - first, 0), MOST);
        for (int function = first; function <= last; function++) {
            if (!function(function)) {
                return false;
            }
        }
        return true;
    }

    private boolean function(int function) {
        if (!isIndexed(function)) {
            return add(ask(function, 0, false));
        }
        int last = MOST - 1;
        for (int index = 0; index <= last; index++) {
            CpuModel.Leaf leaf = ask(function, index, true);
            if (leaf == null) {
                return false;
            }
            if (function == 0xd && index > 1 && leaf.eax() == 0) {
                continue; // a vector component that it lacks
            }
            leaves.add(leaf);
            if (index == 0 && tellsLast(function)) {
                last = Math.min(Math.max(leaf.eax(), 0), MOST);
            }
            if (endsTheList(leaf)) {
                return true;
            }
        }
        return true;
    }

    private boolean add(CpuModel.@Nullable Leaf leaf) {
        if (leaf != null) {
            leaves.add(leaf);
        }
        return leaf != null;
    }

    static boolean isIndexed(int function) {
        return switch (function) {
            case 4, 7, 0xb, 0xd, 0xf, 0x10, 0x12, 0x14, 0x17, 0x18, 0x1d, 0x1e, 0x1f, 0x8000001d -> true;
            default -> false;
        };
    }

    /** Whether index 0 says in EAX which index is the last. */
    private static boolean tellsLast(int function) {
        return switch (function) {
            case 7, 0x14, 0x17, 0x18, 0x1d -> true;
            default -> false;
        };
    }

    private static boolean endsTheList(CpuModel.Leaf leaf) {
        return switch (leaf.function()) {
            case 4, 0x8000001d -> (leaf.eax() & 0x1f) == 0;
            case 0xb, 0x1f -> (leaf.ecx() >> 8 & 0xff) == 0;
            case 0xf, 0x10, 0x12, 0x1e -> leaf.index() > 0;
            default -> false;
        };
    }

    private boolean run(int instruction, int eax, int ecx) {
        registers.set(WhpAbi.RAX, eax & 0xffffffffL);
        registers.set(WhpAbi.RBX, 0);
        registers.set(WhpAbi.RCX, ecx);
        registers.set(WhpAbi.RDX, 0);
        registers.set(WhpAbi.RIP, instruction);
        registers.set(WhpAbi.RFLAGS, 2);
        registers.setSegment(WhpAbi.CS, 0, 0xffff, 0, CODE_16);
        registers.setSegment(WhpAbi.DS, 0, 0xffff, 0, DATA_16);
        return registers.set(calls, partition, 0) >= 0
                && calls.runVirtualProcessor(partition, 0, context, WhpAbi.EXIT_CONTEXT_SIZE) >= 0;
    }

    private CpuModel.@Nullable Leaf ask(int function, int index, boolean indexed) {
        if (!run(CPUID, function, index)
                || context.getInt(WhpAbi.EXIT_REASON) != WhpAbi.EXIT_HALT
                || registers.get(calls, partition, 0) < 0) {
            return null;
        }
        return new CpuModel.Leaf(
                function,
                index,
                indexed,
                (int) registers.value(WhpAbi.RAX),
                (int) registers.value(WhpAbi.RBX),
                (int) registers.value(WhpAbi.RCX),
                (int) registers.value(WhpAbi.RDX));
    }

    @Override
    public void close() {
        if (partition != 0) {
            calls.deletePartition(partition);
        }
        registers.close();
        context.close();
        page.close();
    }
}
