package io.membacking.partition.contract;

import static org.junit.jupiter.api.Assertions.assertInstanceOf;

import io.membacking.error.BackendException;
import io.membacking.guests.GuestProgram;
import io.membacking.partition.CpuModel;
import io.membacking.partition.Exit;
import io.membacking.partition.Partition;
import io.membacking.partition.PartitionBackend;
import io.membacking.partition.PartitionRequest;
import io.membacking.partition.Processor;
import io.membacking.partition.ProcessorState;
import io.membacking.partition.ProcessorState.GeneralRegisters;
import io.membacking.range.MemoryRange;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.Timeout;

/** A backend under test, with small guests. */
@Timeout(
        value = 120,
        unit = TimeUnit.SECONDS,
        threadMode = Timeout.ThreadMode.SEPARATE_THREAD) // a lost cancel must not hang
public abstract class BackendFixture {
    protected static final long MIB = 1L << 20;

    /** Guest memory of most tests lies here, from 0 on. */
    protected static final long RAM_SIZE = 4 * MIB;

    /** Nothing is ever mapped here. */
    protected static final long UNMAPPED = 0x30000000L;

    /** Some memory besides the RAM. */
    protected static final MemoryRange EXTRA = MemoryRange.ofLength(0x10000000L, 0x4000);

    protected static final int PORT = 0x1234;

    /** Its number as a model-specific register. */
    protected static final int TIME_STAMP_COUNTER = 0x10;

    private final List<AutoCloseable> toClose = new ArrayList<>();
    private PartitionBackend backend;
    protected TestRam ram;

    /** A new backend; closed after the test if it can be. */
    protected abstract PartitionBackend createBackend();

    /** What guests are moved to and back from in tests; another backend where that is of interest. */
    protected PartitionBackend otherBackend() {
        return backend;
    }

    /** Whether the backend executes vector instructions, and not only holds their registers. */
    protected boolean executesVectors() {
        return true;
    }

    /** Whether user code in long mode runs on the host's processor itself. */
    protected boolean runsUserCodeNatively() {
        return true;
    }

    @BeforeEach
    void requireBackend(TestInfo test) {
        backend = createBackend();
        if (backend instanceof AutoCloseable closeable) {
            toClose.add(closeable);
        }
        BackendRequirement.require(backend, test);
        ram = autoClose(new TestRam(RAM_SIZE));
    }

    @AfterEach
    void closeAll() throws Exception {
        for (int i = toClose.size() - 1; i >= 0; i--) {
            toClose.get(i).close();
        }
    }

    protected final <T extends AutoCloseable> T autoClose(T closeable) {
        toClose.add(closeable);
        return closeable;
    }

    protected final PartitionBackend backend() {
        return backend;
    }

    protected final Partition partition() throws BackendException {
        return partition(1);
    }

    protected final Partition partition(int processors) throws BackendException {
        return autoClose(backend.createPartition(new PartitionRequest("test", false, processors)));
    }

    /** A partition with {@link #ram} at 0. */
    protected final Partition partitionWithRam() throws BackendException {
        Partition partition = partition();
        partition.map(ram.at(0));
        return partition;
    }

    /** A partition of the other backend that looks like this one to the guest, with {@link #ram} at 0. */
    protected final Partition other(Partition partition) throws BackendException {
        CpuModel model = partition.cpuModel();
        Partition other = autoClose(otherBackend()
                .createPartition(new PartitionRequest(
                        "other",
                        false,
                        false,
                        1,
                        model.leaves().isEmpty() ? Optional.empty() : Optional.of(model),
                        false)));
        other.map(ram.at(0));
        return other;
    }

    /** Without what goes on while nothing runs, and what belongs to one kind of backend. */
    protected static ProcessorState withoutTime(ProcessorState state) {
        TreeMap<Integer, Long> msrs = new TreeMap<>(state.msrs());
        msrs.remove(TIME_STAMP_COUNTER);
        return new ProcessorState(
                state.general(),
                state.system(),
                msrs,
                state.vectors(),
                state.debug(),
                state.events(),
                state.activity(),
                Optional.empty());
    }

    /** Processor 0 of a new partition with {@link #ram} at 0, ready to run the program, which finds its parameters in registers. */
    protected final Processor ready(GuestProgram program, GuestStates.Registers registers) throws BackendException {
        return ready(partitionWithRam(), program, registers);
    }

    protected final Processor ready(Partition partition, GuestProgram program, GuestStates.Registers registers)
            throws BackendException {
        Processor processor = partition.createProcessor(0);
        ram.write(program.loadAddress(), program.bytes());
        start(processor, program.mode(), registers.done());
        return processor;
    }

    protected final void start(Processor processor, GuestProgram.Mode mode, GeneralRegisters registers)
            throws BackendException {
        ProcessorState reset = processor.state();
        GuestStates.writePageTables(ram);
        processor.setState(
                switch (mode) {
                    case REAL -> GuestStates.real(reset, registers);
                    case PROTECTED -> GuestStates.protectedMode(reset, registers);
                    case LONG -> GuestStates.longMode(reset, registers);
                    case LONG_USER -> GuestStates.longUser(reset, registers);
                    case MULTIBOOT -> throw new IllegalArgumentException("no loader here");
                });
    }

    protected static GuestStates.Registers registers() {
        return GuestStates.at(0x8000);
    }

    protected static <T extends Exit> T runTo(Processor processor, Class<T> kind) throws BackendException {
        return assertInstanceOf(kind, processor.run());
    }

    /** On a thread of its own, which has ended when the result is there or soon after. */
    protected static <T> FutureTask<T> onThread(String name, Callable<T> work) {
        FutureTask<T> task = new FutureTask<>(work);
        Thread thread = new Thread(task, name);
        thread.setDaemon(true);
        thread.start();
        return task;
    }

    /** Returns when the guest has counted on, or its run has ended. */
    protected final void awaitProgress(long counter, FutureTask<?> run) {
        long seen = ram.getLong(counter);
        while (ram.getLong(counter) == seen && !run.isDone()) {
            Thread.onSpinWait();
        }
    }
}
