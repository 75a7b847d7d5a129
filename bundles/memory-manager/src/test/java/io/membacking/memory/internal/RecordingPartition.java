package io.membacking.memory.internal;

import io.membacking.error.BackendException;
import io.membacking.error.Failure;
import io.membacking.partition.Capabilities;
import io.membacking.partition.Partition;
import io.membacking.partition.PartitionMapping;
import io.membacking.partition.Processor;
import io.membacking.range.MemoryRange;
import java.util.ArrayList;
import java.util.List;

/** A partition without a hypervisor: it remembers what is mapped and pinned, as one on KVM would. */
final class RecordingPartition implements Partition {
    final List<MemoryRange> pinned = new ArrayList<>();
    private final List<PartitionMapping> mappings = new ArrayList<>();
    private final boolean pins;
    private boolean closed;

    /** @param pins whether it can pin and prefetch in tables of its own */
    RecordingPartition(boolean pins) {
        this.pins = pins;
    }

    @Override
    public String name() {
        return "p";
    }

    @Override
    public String backend() {
        return "recording";
    }

    @Override
    public Capabilities capabilities() {
        return new Capabilities(
                true, false, false, true, pins, pins, false, false, true, false, false, false, 46, 4096, "recording");
    }

    @Override
    public synchronized void map(PartitionMapping mapping) throws BackendException {
        if (mappings.stream().anyMatch(m -> m.range().overlaps(mapping.range()))) {
            throw new BackendException(Failure.of("map", mapping.range(), "something is mapped there", ""));
        }
        mappings.add(mapping);
    }

    @Override
    public synchronized void unmap(MemoryRange range) throws BackendException {
        if (!mappings.removeIf(m -> m.range().equals(range))) {
            throw new BackendException(Failure.of("unmap", range, "no mapping is exactly there", ""));
        }
    }

    @Override
    public void prefetch(MemoryRange range) throws BackendException {
        require(range);
    }

    @Override
    public synchronized void pin(MemoryRange range) throws BackendException {
        require(range);
        pinned.add(range);
    }

    private void require(MemoryRange range) throws BackendException {
        if (!pins) {
            throw new BackendException(Failure.of("pin or prefetch", range, "there is no such capability", ""));
        }
    }

    @Override
    public synchronized void unpin(MemoryRange range) {
        pinned.remove(range);
    }

    @Override
    public synchronized List<PartitionMapping> mappings() {
        return mappings.stream()
                .sorted(java.util.Comparator.comparing(PartitionMapping::range))
                .toList();
    }

    /** What a guest would see: neighbours with the same access as one, each with {@code rw} or {@code ro}. */
    List<String> view() {
        List<PartitionMapping> pieces = mappings();
        List<String> view = new ArrayList<>();
        for (int i = 0; i < pieces.size(); ) {
            PartitionMapping first = pieces.get(i);
            long end = first.range().end();
            for (i++;
                    i < pieces.size()
                            && pieces.get(i).range().start() == end
                            && pieces.get(i).writable() == first.writable();
                    i++) {
                end = pieces.get(i).range().end();
            }
            view.add(new MemoryRange(first.range().start(), end) + (first.writable() ? " rw" : " ro"));
        }
        return view;
    }

    @Override
    public Processor createProcessor(int index) {
        throw new UnsupportedOperationException();
    }

    @Override
    public void setInterruptLine(int line, boolean raised) {}

    @Override
    public synchronized boolean isClosed() {
        return closed;
    }

    @Override
    public synchronized void close() {
        closed = true;
        mappings.clear();
    }
}
