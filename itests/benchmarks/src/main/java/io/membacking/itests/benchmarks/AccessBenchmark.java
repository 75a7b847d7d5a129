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

/** Rows read8 and write8 of native/bench/access.c: {@value #OPERATIONS} of them each time. */
@State(Scope.Thread)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class AccessBenchmark {
    static final int OPERATIONS = 1 << 13;
    private static final long SIZE = 64L << 20;
    private static final long STEP = 0x4f1b8;

    /** Bytes. */
    @Param({"32768", "67108864"})
    public long window;

    private RegionsOfMemory regions;
    private GuestMemory memory;
    private GuestMemoryAccessor accessor;
    private long position;

    @Setup
    public void map() throws MembackingException {
        regions = new RegionsOfMemory(SIZE, 1, SIZE);
        memory = regions.memory();
        accessor = regions.accessor();
        memory.fill(0, SIZE, (byte) 1);
    }

    @TearDown
    public void close() {
        accessor.close();
        regions.close();
    }

    @Benchmark
    public long read8() {
        return read(memory);
    }

    @Benchmark
    public long read8Accessor() {
        return read(accessor);
    }

    @Benchmark
    public void write8() {
        write(memory);
    }

    @Benchmark
    public void write8Accessor() {
        write(accessor);
    }

    private long read(GuestMemory from) {
        long offset = position;
        long mask = window - 8;
        long sum = 0;
        for (long i = 0; i < OPERATIONS; i++) {
            sum += from.readLong(offset);
            offset = (offset + STEP) & mask;
        }
        position = offset;
        return sum;
    }

    private void write(GuestMemory to) {
        long offset = position;
        long mask = window - 8;
        for (long i = 0; i < OPERATIONS; i++) {
            to.writeLong(offset, i);
            offset = (offset + STEP) & mask;
        }
        position = offset;
    }
}
