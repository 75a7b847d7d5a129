package io.membacking.region.internal;

import io.membacking.error.BackendException;
import io.membacking.error.Failure;
import io.membacking.mapping.HeldMemory;
import io.membacking.partition.Capabilities;
import io.membacking.partition.Partition;
import io.membacking.partition.PartitionMapping;
import io.membacking.partition.Processor;
import io.membacking.range.MemoryRange;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** A partition page by page. If it does not follow the host, its guest keeps seeing what was there when it was mapped. */
final class RecordingPartition implements Partition {
    private final Faults faults;
    private final TestSpace space;
    private final String name;
    private final Capabilities capabilities;
    private final TreeMap<Long, PartitionMapping> mappings = new TreeMap<>();
    private final TreeMap<Long, HeldMemory> captured = new TreeMap<>();
    private final List<MemoryRange> pinned = new ArrayList<>();
    private boolean closed;

    /** What a guest sees of a page: whose memory, and what it may do. */
    record Seen(long backing, long backingOffset, boolean writable, boolean executable) {}

    RecordingPartition(Faults faults, TestSpace space, String name, Capabilities capabilities) {
        this.faults = faults;
        this.space = space;
        this.name = name;
        this.capabilities = capabilities;
    }

    static Capabilities capabilities(boolean follows, boolean readOnly, boolean pin, boolean prefetch, int width) {
        return new Capabilities(
                readOnly,
                false,
                false,
                follows,
                prefetch,
                pin,
                false,
                false,
                false,
                false,
                false,
                true,
                width,
                1000,
                "recording");
    }

    /** By partition address, page by page. */
    Map<Long, Seen> view() {
        Map<Long, Seen> view = new TreeMap<>();
        for (PartitionMapping mapping : mappings.values()) {
            for (long at = 0; at < mapping.range().length(); at += 4096) {
                long address = mapping.range().start() + at;
                HeldMemory memory = capabilities.followsHostRemapping()
                        ? space.page(mapping.hva() - space.base() + at)
                        : captured.get(address);
                if (memory != null) {
                    view.put(
                            address,
                            new Seen(
                                    memory.backing(),
                                    memory.backingOffset(),
                                    mapping.writable(),
                                    mapping.executable()));
                }
            }
        }
        return view;
    }

    boolean isPinned(long address) {
        return pinned.stream().anyMatch(range -> range.contains(address));
    }

    /** Something drifts. */
    void lose(long start) {
        mappings.remove(start);
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public String backend() {
        return "double";
    }

    @Override
    public Capabilities capabilities() {
        return capabilities;
    }

    @Override
    public void map(PartitionMapping mapping) throws BackendException {
        check("map", mapping.range());
        if (mappings.values().stream().anyMatch(other -> other.range().overlaps(mapping.range()))) {
            throw faults.violated(name + ": " + mapping.range() + " overlaps what is mapped");
        }
        if (mapping.hva() != space.base() + mapping.memoryGpa()) {
            throw faults.violated("host address and memory differ: " + mapping);
        }
        mappings.put(mapping.range().start(), mapping);
        for (long at = 0; at < mapping.range().length(); at += 4096) {
            HeldMemory memory = space.page(mapping.memoryGpa() + at);
            if (memory == null) {
                throw faults.violated(name + ": nothing is held where " + mapping.range() + " is mapped");
            }
            captured.put(mapping.range().start() + at, memory);
        }
        faults.changed();
    }

    @Override
    public void unmap(MemoryRange range) throws BackendException {
        if (closed) {
            return;
        }
        check("unmap", range);
        PartitionMapping mapping = mappings.get(range.start());
        if (mapping == null || !mapping.range().equals(range)) {
            throw faults.violated(name + ": " + range + " is not exactly what was mapped");
        }
        if (pinned.stream().anyMatch(pin -> pin.overlaps(range))) {
            throw faults.violated(name + ": " + range + " is unmapped while it is pinned");
        }
        mappings.remove(range.start());
        faults.changed();
    }

    @Override
    public void prefetch(MemoryRange range) throws BackendException {
        check("prefetch", range);
    }

    @Override
    public void pin(MemoryRange range) throws BackendException {
        check("pin", range);
        pinned.add(range);
    }

    @Override
    public void unpin(MemoryRange range) {
        List<MemoryRange> rest = Pieces.subtract(Pieces.union(pinned), List.of(range));
        pinned.clear();
        pinned.addAll(rest);
    }

    private void check(String operation, MemoryRange range) throws BackendException {
        if (closed) {
            throw new IllegalStateException("partition " + name + " is closed");
        }
        if (faults.fails(name + " " + operation + " " + range)) {
            throw new BackendException(Faults.failure(operation));
        }
    }

    @Override
    public List<PartitionMapping> mappings() {
        return List.copyOf(mappings.values());
    }

    @Override
    public Processor createProcessor(int index) throws BackendException {
        throw new BackendException(Failure.of("create processor", null, "a double has none", ""));
    }

    @Override
    public void setInterruptLine(int line, boolean raised) {
        throw new UnsupportedOperationException();
    }

    @Override
    public boolean isClosed() {
        return closed;
    }

    @Override
    public void close() {
        closed = true;
        mappings.clear();
    }
}
