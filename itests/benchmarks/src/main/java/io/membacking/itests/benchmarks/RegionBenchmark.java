package io.membacking.itests.benchmarks;

import io.membacking.error.MembackingException;
import io.membacking.host.Backing;
import io.membacking.host.BackingRequest;
import io.membacking.host.linux.LinuxHostMemory;
import io.membacking.mapping.internal.GuestMappingManagers;
import io.membacking.partition.Partition;
import io.membacking.partition.PartitionRequest;
import io.membacking.partition.kvm.KvmBackend;
import io.membacking.range.MemoryRange;
import io.membacking.region.AttachRequest;
import io.membacking.region.Change;
import io.membacking.region.MapParameters;
import io.membacking.region.ProcessorGate;
import io.membacking.region.RegionId;
import io.membacking.region.RegionKind;
import io.membacking.region.RegionManager;
import io.membacking.region.internal.GuestRegionManagers;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/**
 * The rows of native/bench/kvm_slots.c: a region of one page at 1 GiB is unmapped and mapped again, two commits, with a KVM
 * partition attached that has one processor, and other regions of a page each, every second page from 4 GiB on.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class RegionBenchmark {
    private static final long PAGE = MemoryRange.PAGE_SIZE;
    private static final long GIB = 1L << 30;
    /** Commits are long: the time JMH gives to warming up is not enough for the compiler to see them often. */
    private static final int WARM = 20_000;

    @Param({"16", "8192"})
    public int others;

    private LinuxHostMemory host;
    private GuestMappingManagers mappings;
    private GuestRegionManagers regions;
    private RegionManager manager;
    private KvmBackend backend;
    private RegionId region;

    @Setup
    public void attach() throws MembackingException {
        host = new LinuxHostMemory();
        mappings = new GuestMappingManagers(host);
        regions = new GuestRegionManagers(mappings);
        manager = regions.create("benchmark", 8 * GIB);
        Backing backing = host.allocate(BackingRequest.shared("benchmark", (others + 1) * PAGE));
        manager.addBacking(backing);
        Change change = manager.change("build");
        for (int i = 0; i < others; i++) {
            add(change, "other" + i, 4 * GIB + 2 * PAGE * i, backing, PAGE * i);
        }
        region = add(change, "region", GIB, backing, PAGE * others);
        change.commit();
        backend = new KvmBackend();
        Partition partition = backend.createPartition(new PartitionRequest("benchmark", false, 1));
        partition.createProcessor(0);
        manager.attach(AttachRequest.of("benchmark", partition, ProcessorGate.NONE));
        if (partition.mappings().size() != others + 1) {
            throw new IllegalStateException(partition.mappings().size() + " mappings in the partition");
        }
        for (int i = 0; i < WARM; i++) {
            unmapAndMap();
        }
    }

    private static RegionId add(Change change, String name, long start, Backing backing, long offset) {
        RegionId id = change.add(name, new MemoryRange(start, start + PAGE), 255, RegionKind.RAM);
        change.addMapping(id, new MemoryRange(0, PAGE), backing.id(), offset, true);
        change.map(id, MapParameters.RAM);
        return id;
    }

    @TearDown
    public void close() {
        regions.close();
        backend.close();
        mappings.close();
        host.close();
    }

    @Benchmark
    public void unmapAndMap() throws MembackingException {
        manager.change("unmap").unmap(region).commit();
        manager.change("map").map(region, MapParameters.RAM).commit();
    }
}
