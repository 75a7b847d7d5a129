package io.membacking.itests.benchmarks;

import io.membacking.access.GuestMemory;
import io.membacking.access.GuestMemoryAccessor;
import io.membacking.error.MembackingException;
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

/** Rows lookup_read8 of native/bench/access.c: {@value #OPERATIONS} look-ups each time. */
@State(Scope.Thread)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class LookupBenchmark {
    private static final int ADDRESSES = 4096;
    static final int OPERATIONS = 2 * ADDRESSES;
    private static final long SPACE = 1L << 40;
    private static final long REGION = 64L << 20;

    @Param({"16", "1024"})
    public int regionCount;

    private RegionsOfMemory regions;
    private GuestMemory memory;
    private GuestMemoryAccessor accessor;
    private final long[] addresses = new long[ADDRESSES];

    @Setup
    public void map() throws MembackingException {
        regions = new RegionsOfMemory(SPACE, regionCount, REGION);
        memory = regions.memory();
        accessor = regions.accessor();
        long x = 0x9e3779b97f4a7c15L;
        for (int i = 0; i < ADDRESSES; i++) {
            x ^= x << 13;
            x ^= x >>> 7;
            x ^= x << 17;
            long region = (x >>> 32) % regionCount;
            addresses[i] = region * (SPACE / regionCount) + (Long.remainderUnsigned(x, REGION) & ~7L);
            memory.writeLong(addresses[i], x);
        }
    }

    @TearDown
    public void close() {
        accessor.close();
        regions.close();
    }

    @Benchmark
    public long lookup() {
        return read(memory);
    }

    @Benchmark
    public long lookupAccessor() {
        return read(accessor);
    }

    private long read(GuestMemory from) {
        long sum = 0;
        for (int i = 0; i < OPERATIONS; i++) {
            sum += from.readLong(addresses[i % ADDRESSES]);
        }
        return sum;
    }
}
