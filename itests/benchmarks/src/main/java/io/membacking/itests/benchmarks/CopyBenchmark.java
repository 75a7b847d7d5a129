package io.membacking.itests.benchmarks;

import io.membacking.access.GuestMemory;
import io.membacking.error.MembackingException;
import java.nio.ByteBuffer;
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

/** Rows copy_out and copy_in of native/bench/access.c: 4 MiB or 8 MiB each time. */
@State(Scope.Thread)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class CopyBenchmark {
    private static final long SIZE = 64L << 20;

    /** Bytes. */
    @Param({"4096", "1048576"})
    public int size;

    private RegionsOfMemory regions;
    private GuestMemory memory;
    private byte[] array;
    private ByteBuffer direct;

    static int operations(int size) {
        return size < 1 << 20 ? 1024 : 8;
    }

    @Setup
    public void map() throws MembackingException {
        regions = new RegionsOfMemory(SIZE, 1, SIZE);
        memory = regions.memory();
        memory.fill(0, SIZE, (byte) 1);
        array = new byte[size];
        direct = ByteBuffer.allocateDirect(size);
    }

    @TearDown
    public void close() {
        regions.close();
    }

    @Benchmark
    public byte[] copyOut() {
        int count = operations(size);
        for (long i = 0; i < count; i++) {
            memory.read((i & 15) * size, array, 0, size);
        }
        return array;
    }

    @Benchmark
    public void copyIn() {
        int count = operations(size);
        for (long i = 0; i < count; i++) {
            memory.write((i & 15) * size, array, 0, size);
        }
    }

    @Benchmark
    public ByteBuffer copyOutDirect() {
        int count = operations(size);
        for (long i = 0; i < count; i++) {
            memory.read((i & 15) * size, direct.clear());
        }
        return direct;
    }

    @Benchmark
    public void copyInDirect() {
        int count = operations(size);
        for (long i = 0; i < count; i++) {
            memory.write((i & 15) * size, direct.clear());
        }
    }
}
