package io.membacking.partition.whp;

import com.sun.jna.Memory;
import io.membacking.error.BackendException;
import io.membacking.partition.whp.emulation.Cpu;
import io.membacking.partition.whp.emulation.Emulation;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** The registers that the emulation of an instruction needs, of one processor. Not thread-safe. */
final class CpuRegisters implements AutoCloseable {
    private static final List<Integer> READ = read();

    /** General registers, the instruction pointer and the flags. */
    private static final List<Integer> WRITTEN =
            IntStream.rangeClosed(WhpAbi.RAX, WhpAbi.RFLAGS).boxed().toList();

    private final RegisterBlock all = new RegisterBlock(READ);
    private final RegisterBlock written = new RegisterBlock(WRITTEN);
    private final RegisterBlock interruptState = new RegisterBlock(List.of(WhpAbi.INTERRUPT_STATE));
    private final RegisterBlock event = new RegisterBlock(List.of(WhpAbi.CR2, WhpAbi.PENDING_EVENT));
    private final RegisterBlock eventAlone = new RegisterBlock(List.of(WhpAbi.PENDING_EVENT));
    private final Memory name = new Memory(Integer.BYTES);
    private final Memory value = new Memory(WhpAbi.REGISTER_VALUE_SIZE);

    private static List<Integer> read() {
        List<Integer> names = new ArrayList<>();
        IntStream.rangeClosed(WhpAbi.RAX, WhpAbi.GS).forEach(names::add);
        names.addAll(List.of(WhpAbi.CR0, WhpAbi.CR3, WhpAbi.CR4, WhpAbi.EFER));
        return names;
    }

    Cpu read(WhpCalls calls, long partition, int processor, String operation) throws BackendException {
        WhpErrors.check(
                all.get(calls, partition, processor), operation, "the platform does not tell the registers of an exit");
        Cpu cpu = new Cpu(number -> vector(calls, partition, processor, number));
        for (int i = 0; i < cpu.general.length; i++) {
            cpu.general[i] = all.value(WhpAbi.RAX + i);
        }
        cpu.rip = all.value(WhpAbi.RIP);
        cpu.rflags = all.value(WhpAbi.RFLAGS);
        for (int i = 0; i < cpu.bases.length; i++) {
            cpu.bases[i] = all.segmentBase(WhpAbi.ES + i);
            cpu.selectors[i] = all.segmentSelector(WhpAbi.ES + i);
        }
        cpu.csAttributes = all.segmentAttributes(WhpAbi.CS);
        cpu.ssAttributes = all.segmentAttributes(WhpAbi.SS);
        cpu.cr0 = all.value(WhpAbi.CR0);
        cpu.cr3 = all.value(WhpAbi.CR3);
        cpu.cr4 = all.value(WhpAbi.CR4);
        cpu.efer = all.value(WhpAbi.EFER);
        return cpu;
    }

    private long @Nullable [] vector(WhpCalls calls, long partition, int processor, int number) {
        name.setInt(0, WhpAbi.XMM0 + number);
        value.clear();
        return calls.getRegisters(partition, processor, name, 1, value) < 0 ? null : value.getLongArray(0, 2);
    }

    /** @param shadow whether interrupts were held back for the instruction, which is over now */
    void write(WhpCalls calls, long partition, int processor, Cpu cpu, boolean shadow, String operation)
            throws BackendException {
        for (int i = 0; i < cpu.general.length; i++) {
            written.set(WhpAbi.RAX + i, cpu.general[i]);
        }
        written.set(WhpAbi.RIP, cpu.rip);
        written.set(WhpAbi.RFLAGS, cpu.rflags);
        String problem = "the platform does not take the result of an instruction";
        WhpErrors.check(written.set(calls, partition, processor), operation, problem);
        for (var vector : cpu.writtenVectors().entrySet()) {
            name.setInt(0, WhpAbi.XMM0 + vector.getKey());
            value.write(0, vector.getValue(), 0, 2);
            WhpErrors.check(calls.setRegisters(partition, processor, name, 1, value), operation, problem);
        }
        if (shadow) {
            WhpErrors.check(interruptState.get(calls, partition, processor), operation, problem);
            interruptState.set(WhpAbi.INTERRUPT_STATE, interruptState.value(WhpAbi.INTERRUPT_STATE) & ~WhpAbi.SHADOW);
            WhpErrors.check(interruptState.set(calls, partition, processor), operation, problem);
        }
    }

    /** Has the guest meet the fault when it goes on. */
    void raise(WhpCalls calls, long partition, int processor, Emulation.Faults fault, String operation)
            throws BackendException {
        boolean page = fault.vector() == 14;
        RegisterBlock block = page ? event : eventAlone;
        block.set(
                WhpAbi.PENDING_EVENT,
                Registers.pendingException(
                        fault.vector(), fault.hasErrorCode() ? Optional.of(fault.errorCode()) : Optional.empty()),
                fault.address());
        if (page) {
            block.set(WhpAbi.CR2, fault.address());
        }
        WhpErrors.check(
                block.set(calls, partition, processor),
                operation,
                "the platform does not take the fault of an instruction");
    }

    @Override
    public void close() {
        all.close();
        written.close();
        interruptState.close();
        event.close();
        eventAlone.close();
        name.close();
        value.close();
    }
}
