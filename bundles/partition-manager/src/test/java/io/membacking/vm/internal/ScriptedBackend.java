package io.membacking.vm.internal;

import io.membacking.error.BackendException;
import io.membacking.error.Failure;
import io.membacking.partition.Availability;
import io.membacking.partition.Capabilities;
import io.membacking.partition.CpuModel;
import io.membacking.partition.Exit;
import io.membacking.partition.Partition;
import io.membacking.partition.PartitionBackend;
import io.membacking.partition.PartitionMapping;
import io.membacking.partition.PartitionRequest;
import io.membacking.partition.PlatformState;
import io.membacking.partition.Processor;
import io.membacking.partition.ProcessorState;
import io.membacking.partition.ProcessorState.GeneralRegisters;
import io.membacking.partition.ProcessorState.Segment;
import io.membacking.partition.ProcessorState.SystemRegisters;
import io.membacking.partition.ProcessorState.Table;
import io.membacking.range.MemoryRange;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/** A backend whose processors exit when a test says so, and which fails where a test says so. */
final class ScriptedBackend implements PartitionBackend {
    /** What can be made to fail, by name. */
    enum Step {
        CREATE,
        COMPLETE_EXIT,
        STATE,
        PLATFORM_STATE,
        SET_STATE,
        SET_PLATFORM_STATE,
        SET_LINE
    }

    /** Those that had memory: others are made to see whether they can be, and to rehearse. */
    final List<ScriptedPartition> partitions = new CopyOnWriteArrayList<>();

    private final List<ScriptedPartition> all = new CopyOnWriteArrayList<>();
    private final String name;
    volatile Availability availability = Availability.USABLE;
    volatile int failProcessor = -1;
    volatile boolean failMap;
    volatile boolean failUnmap;
    volatile boolean forgetMappings;
    volatile @Nullable RuntimeException whenAskedForMappings;
    volatile @Nullable Step fail;
    /** Whether that fails without memory too. */
    volatile boolean failBare;

    volatile String stateFormat = "scripted";
    volatile int width = 46;
    /** Called when a partition is made: what happens while a move is prepared. */
    volatile Runnable onCreate = () -> {};

    ScriptedBackend(String name) {
        this.name = name;
    }

    Backends.Installed installed(int ranking, long serviceId) {
        return new Backends.Installed(this, name, name + " 1.0", ranking, serviceId, Map.of(NAME, name));
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public Capabilities capabilities() {
        return new Capabilities(
                true,
                false,
                false,
                true,
                false,
                false,
                false,
                false,
                true,
                true,
                false,
                true,
                width,
                1000,
                stateFormat);
    }

    private void step(Step step) throws BackendException {
        if (fail == step) {
            throw failure(step.name());
        }
    }

    @Override
    public Availability availability() {
        return availability;
    }

    @Override
    public Partition createPartition(PartitionRequest request) throws BackendException {
        onCreate.run();
        step(Step.CREATE);
        ScriptedPartition partition = new ScriptedPartition(request);
        all.add(partition);
        return partition;
    }

    long open() {
        return all.stream().filter(p -> !p.isClosed()).count();
    }

    static BackendException failure(String operation) {
        return new BackendException(Failure.of(operation, null, "failed as scripted", ""));
    }

    final class ScriptedPartition implements Partition {
        final List<ScriptedProcessor> processors = new CopyOnWriteArrayList<>();
        final PartitionRequest request;
        /** Each change of a line as {@code +4} or {@code -4}. */
        final List<String> lines = new CopyOnWriteArrayList<>();

        volatile PlatformState platform = new PlatformState(stateFormat, new TreeMap<>());
        private final List<PartitionMapping> mappings = new ArrayList<>();
        private volatile boolean closed;

        ScriptedPartition(PartitionRequest request) {
            this.request = request;
        }

        @Override
        public String name() {
            return request.name();
        }

        @Override
        public String backend() {
            return name;
        }

        @Override
        public Capabilities capabilities() {
            return ScriptedBackend.this.capabilities();
        }

        @Override
        public synchronized void map(PartitionMapping mapping) throws BackendException {
            if (failMap) {
                throw failure("map " + mapping.range());
            }
            mappings.add(mapping);
            if (!partitions.contains(this)) {
                partitions.add(this);
            }
        }

        private void step(Step step) throws BackendException {
            if (failBare || partitions.contains(this)) {
                ScriptedBackend.this.step(step);
            }
        }

        @Override
        public synchronized void unmap(MemoryRange range) throws BackendException {
            if (failUnmap) {
                throw failure("unmap " + range);
            }
            mappings.removeIf(m -> m.range().equals(range));
        }

        @Override
        public void prefetch(MemoryRange range) throws BackendException {
            throw failure("prefetch " + range);
        }

        @Override
        public void pin(MemoryRange range) throws BackendException {
            throw failure("pin " + range);
        }

        @Override
        public void unpin(MemoryRange range) {}

        @Override
        public synchronized List<PartitionMapping> mappings() {
            RuntimeException failure = whenAskedForMappings;
            if (failure != null) {
                throw failure;
            }
            return forgetMappings ? List.of() : List.copyOf(mappings);
        }

        @Override
        public Processor createProcessor(int index) throws BackendException {
            if (index == failProcessor) {
                throw failure("create processor " + index);
            }
            ScriptedProcessor processor = new ScriptedProcessor(index, this);
            processors.add(processor);
            return processor;
        }

        @Override
        public void setInterruptLine(int line, boolean raised) throws BackendException {
            step(Step.SET_LINE);
            lines.add((raised ? "+" : "-") + line);
        }

        @Override
        public CpuModel cpuModel() {
            return request.model().orElse(new CpuModel(List.of(new CpuModel.Leaf(0, 0, false, 1, 2, 3, 4))));
        }

        @Override
        public PlatformState platformState() throws BackendException {
            step(Step.PLATFORM_STATE);
            return platform;
        }

        @Override
        public void setPlatformState(PlatformState state) throws BackendException {
            step(Step.SET_PLATFORM_STATE);
            platform = state;
        }

        @Override
        public boolean isClosed() {
            return closed;
        }

        @Override
        public void close() {
            closed = true;
        }
    }

    /** Runs until an exit is pushed, or it is cancelled. */
    static final class ScriptedProcessor implements Processor {
        final BlockingQueue<Object> events = new LinkedBlockingQueue<>();
        final AtomicInteger inside = new AtomicInteger();
        final AtomicInteger entries = new AtomicInteger();
        /** What a cancelled run returns: an exit of the guest may be faster than the cancellation. */
        volatile Exit onCancel = new Exit.Cancelled(false);

        /** Exits that finishing the last one gives. */
        final BlockingQueue<Exit> more = new LinkedBlockingQueue<>();

        volatile ProcessorState state;
        private final int index;
        private final @Nullable ScriptedPartition partition;
        private volatile boolean closed;

        ScriptedProcessor(int index) {
            this(index, null);
        }

        ScriptedProcessor(int index, @Nullable ScriptedPartition partition) {
            this.index = index;
            this.partition = partition;
            this.state = stateAt(0xfff0);
        }

        /** A state like no other. */
        static ProcessorState stateAt(long rip) {
            Segment none = new Segment(0, 0, 0, 0);
            Table table = new Table(0, 0);
            return new ProcessorState(
                    GeneralRegisters.at(rip),
                    new SystemRegisters(
                            none, none, none, none, none, none, none, none, table, table, 0, 0, 0, 0, 0, 0, 0),
                    new TreeMap<>());
        }

        private void step(Step step) throws BackendException {
            if (partition != null) {
                partition.step(step);
            }
        }

        void exit(Exit exit) {
            events.add(exit);
        }

        void fail(Throwable failure) {
            events.add(failure);
        }

        @Override
        public int index() {
            return index;
        }

        @Override
        public Exit run() throws BackendException {
            if (closed) {
                throw new IllegalStateException("processor " + index + " is closed");
            }
            inside.incrementAndGet();
            entries.incrementAndGet();
            try {
                Object event = events.take();
                if (event instanceof BackendException e) {
                    throw e;
                } else if (event instanceof Error e) {
                    throw e;
                }
                return (Exit) event;
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            } finally {
                inside.decrementAndGet();
            }
        }

        @Override
        public Optional<Exit> completeExit() throws BackendException {
            step(Step.COMPLETE_EXIT);
            return Optional.ofNullable(more.poll());
        }

        @Override
        public void cancel() {
            if (!events.contains(onCancel)) {
                events.add(onCancel);
            }
        }

        @Override
        public ProcessorState state() throws BackendException {
            step(Step.STATE);
            return state;
        }

        @Override
        public void setState(ProcessorState state) throws BackendException {
            step(Step.SET_STATE);
            this.state = state;
        }

        @Override
        public void close() {
            closed = true;
            cancel();
        }
    }
}
