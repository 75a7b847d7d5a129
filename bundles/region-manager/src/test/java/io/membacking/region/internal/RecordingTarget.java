package io.membacking.region.internal;

import io.membacking.dma.DmaMapping;
import io.membacking.dma.DmaTarget;
import io.membacking.error.BackendException;
import io.membacking.error.MembackingException;
import io.membacking.range.MemoryRange;
import java.util.List;
import java.util.TreeMap;

/** A DMA target that checks what it is given. */
final class RecordingTarget implements DmaTarget {
    private final Faults faults;
    private final String name;
    private final boolean requiresDescriptor;
    private final TreeMap<Long, DmaMapping> mappings = new TreeMap<>();

    RecordingTarget(Faults faults, String name, boolean requiresDescriptor) {
        this.faults = faults;
        this.name = name;
        this.requiresDescriptor = requiresDescriptor;
    }

    List<DmaMapping> mappings() {
        return List.copyOf(mappings.values());
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public boolean requiresDescriptor() {
        return requiresDescriptor;
    }

    @Override
    public void map(DmaMapping mapping) throws MembackingException {
        if (faults.fails(name + " map " + mapping.range())) {
            throw new BackendException(Faults.failure("dma map"));
        }
        if (mappings.values().stream().anyMatch(other -> other.range().overlaps(mapping.range()))) {
            throw faults.violated(name + ": " + mapping.range() + " overlaps what is mapped");
        }
        if (requiresDescriptor && mapping.descriptor().isEmpty()) {
            throw faults.violated(name + ": " + mapping + " has no descriptor");
        }
        mappings.put(mapping.range().start(), mapping);
    }

    @Override
    public void unmap(MemoryRange range) throws MembackingException {
        if (faults.fails(name + " unmap " + range)) {
            throw new BackendException(Faults.failure("dma unmap"));
        }
        DmaMapping mapping = mappings.remove(range.start());
        if (mapping == null || !mapping.range().equals(range)) {
            throw faults.violated(name + ": " + range + " is not exactly what was mapped");
        }
    }
}
