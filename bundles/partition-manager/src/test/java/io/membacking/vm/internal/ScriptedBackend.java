package io.membacking.vm.internal;

import io.membacking.error.BackendException;
import io.membacking.error.Failure;
import io.membacking.partition.Availability;
import io.membacking.partition.Capabilities;
import io.membacking.partition.Exit;
import io.membacking.partition.Partition;
import io.membacking.partition.PartitionBackend;
import io.membacking.partition.PartitionMapping;
import io.membacking.partition.PartitionRequest;
import io.membacking.partition.Processor;
import io.membacking.partition.ProcessorState;
import io.membacking.range.MemoryRange;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.atomic.AtomicInteger;

/** A backend whose processors exit when a test says so, and which fails where a test says so. */
final class ScriptedBackend implements PartitionBackend {
    private static final Capabilities CAPABILITIES = new Capabilities(
            true, false, false, true, false, false, false, false, true, true, false, true, 46, 1000, "scripted");

    final List<ScriptedPartition> partitions = new CopyOnWriteArrayList<>();
    private final String name;
    volatile Availability availability = Availability.USABLE;
    volatile int failProcessor = -1;
    volatile boolean failMap;
    volatile boolean failUnmap;

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
        return CAPABILITIES;
    }

    @Override
    public Availability availability() {
        return availability;
    }

    @Override
    public Partition createPartition(PartitionRequest request) {
        ScriptedPartition partition = new ScriptedPartition(request);
        partitions.add(partition);
        return partition;
    }

    long open() {
        return partitions.stream().filter(p -> !p.isClosed()).count();
    }

    static BackendException failure(String operation) {
        return new BackendException(Failure.of(operation, null, "failed as scripted", ""));
    }

    final class ScriptedPartition implements Partition {
        final List<ScriptedProcessor> processors = new CopyOnWriteArrayList<>();
        private final PartitionRequest request;
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
            return CAPABILITIES;
        }

        @Override
        public synchronized void map(PartitionMapping mapping) throws BackendException {
            if (failMap) {
                throw failure("map " + mapping.range());
            }
            mappings.add(mapping);
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
            return List.copyOf(mappings);
        }

        @Override
        public Processor createProcessor(int index) throws BackendException {
            if (index == failProcessor) {
                throw failure("create processor " + index);
            }
            ScriptedProcessor processor = new ScriptedProcessor(index);
            processors.add(processor);
            return processor;
        }

        @Override
        public void setInterruptLine(int line, boolean raised) {}

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
        volatile Exit onCancel = new Exit.Cancelled();

        private final int index;
        private volatile boolean closed;

        ScriptedProcessor(int index) {
            this.index = index;
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
        public Optional<Exit> completeExit() {
            return Optional.empty();
        }

        @Override
        public void cancel() {
            if (!events.contains(onCancel)) {
                events.add(onCancel);
            }
        }

        @Override
        public ProcessorState state() {
            throw new IllegalStateException("a scripted processor has no registers");
        }

        @Override
        public void setState(ProcessorState state) {
            throw new IllegalStateException("a scripted processor has no registers");
        }

        @Override
        public void close() {
            closed = true;
            cancel();
        }
    }
}
