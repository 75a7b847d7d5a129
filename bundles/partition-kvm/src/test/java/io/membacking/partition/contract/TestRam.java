package io.membacking.partition.contract;

import com.sun.jna.Pointer;
import io.membacking.access.GuestMemory;
import io.membacking.access.GuestMemoryAccessor;
import io.membacking.error.GuestAccessException;
import io.membacking.partition.PartitionMapping;
import io.membacking.range.MemoryRange;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Plain host memory for a partition under test, addressed by offset, with no protection against use after close. It stands in for
 * the guest's memory where backends in Java want a view of it.
 */
public final class TestRam implements AutoCloseable {
    private static final AtomicLong NUMBERS = new AtomicLong();
    private static final VarHandle INTS = MethodHandles.byteBufferViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle LONGS = MethodHandles.byteBufferViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

    private final long number = NUMBERS.incrementAndGet();
    private final TestPages pages;
    private final long size;
    private final long address;
    private final Pointer bytes;
    private final GuestMemory memory = new View();

    public TestRam(long size) {
        this.size = size;
        this.pages = new TestPages(size);
        this.address = pages.address();
        this.bytes = new Pointer(address);
    }

    /** A part of it, from {@code offset} on, to be mapped at {@code range}. */
    public PartitionMapping at(MemoryRange range, long offset, boolean writable) {
        return new PartitionMapping(
                range,
                address + offset,
                memory,
                offset,
                writable,
                true,
                Optional.empty(),
                Optional.of(new PartitionMapping.Source(number, pages.descriptor(), offset)));
    }

    /** All of it, writable, from guest address {@code gpa} on. */
    public PartitionMapping at(long gpa) {
        return at(MemoryRange.ofLength(gpa, size), 0, true);
    }

    public long address() {
        return address;
    }

    public GuestMemory memory() {
        return memory;
    }

    public long getLong(long offset) {
        return memory.readLong(offset);
    }

    public void setLong(long offset, long value) {
        memory.writeLong(offset, value);
    }

    public byte getByte(long offset) {
        return memory.readByte(offset);
    }

    public void setByte(long offset, int value) {
        memory.writeByte(offset, (byte) value);
    }

    public void write(long offset, byte[] source) {
        memory.write(offset, source, 0, source.length);
    }

    /** Takes the host's pages away, or gives them back, with their contents. */
    public void setAccessible(long offset, long length, boolean accessible) {
        pages.setAccessible(offset, length, accessible);
    }

    /** Puts the start of other memory in the place of a part of this, in one step. */
    public void replace(long offset, long length, TestRam other) {
        pages.replace(offset, length, other.pages);
    }

    @Override
    public void close() {
        pages.close();
    }

    private final class View implements GuestMemoryAccessor {
        private Pointer at(String operation, long gpa, long length) {
            if (gpa < 0 || length < 0 || gpa > size - length) {
                throw new GuestAccessException(operation, gpa, length, Math.max(gpa, size), "is not mapped");
            }
            return bytes;
        }

        @Override
        public byte readByte(long gpa) {
            return at("read", gpa, 1).getByte(gpa);
        }

        @Override
        public short readShort(long gpa) {
            return at("read", gpa, 2).getShort(gpa);
        }

        @Override
        public int readInt(long gpa) {
            return at("read", gpa, 4).getInt(gpa);
        }

        @Override
        public long readLong(long gpa) {
            return at("read", gpa, 8).getLong(gpa);
        }

        @Override
        public void writeByte(long gpa, byte value) {
            at("write", gpa, 1).setByte(gpa, value);
        }

        @Override
        public void writeShort(long gpa, short value) {
            at("write", gpa, 2).setShort(gpa, value);
        }

        @Override
        public void writeInt(long gpa, int value) {
            at("write", gpa, 4).setInt(gpa, value);
        }

        @Override
        public void writeLong(long gpa, long value) {
            at("write", gpa, 8).setLong(gpa, value);
        }

        @Override
        public boolean compareAndSetByte(long gpa, byte expected, byte value) {
            return compareAndSetPart(gpa, 0xff, expected & 0xff, value & 0xff);
        }

        @Override
        public boolean compareAndSetShort(long gpa, short expected, short value) {
            return compareAndSetPart(gpa, 0xffff, expected & 0xffff, value & 0xffff);
        }

        /** By way of the four bytes around it. */
        private boolean compareAndSetPart(long gpa, int mask, int expected, int value) {
            int shift = 8 * (int) (gpa & 3);
            int word = Math.toIntExact(gpa & ~3);
            ByteBuffer whole = buffer("compare-and-set", gpa, 1);
            while (true) {
                int old = (int) INTS.getVolatile(whole, word);
                if ((old >>> shift & mask) != expected) {
                    return false;
                }
                if (INTS.compareAndSet(whole, word, old, (old & ~(mask << shift)) | value << shift)) {
                    return true;
                }
            }
        }

        @Override
        public boolean compareAndSetInt(long gpa, int expected, int value) {
            return INTS.compareAndSet(buffer("compare-and-set", gpa, 4), Math.toIntExact(gpa), expected, value);
        }

        @Override
        public boolean compareAndSetLong(long gpa, long expected, long value) {
            return LONGS.compareAndSet(buffer("compare-and-set", gpa, 8), Math.toIntExact(gpa), expected, value);
        }

        private ByteBuffer buffer(String operation, long gpa, long length) {
            return at(operation, gpa, length).getByteBuffer(0, size);
        }

        @Override
        public void read(long gpa, byte[] target, int offset, int length) {
            Objects.checkFromIndexSize(offset, length, target.length);
            at("read", gpa, length).read(gpa, target, offset, length);
        }

        @Override
        public void write(long gpa, byte[] source, int offset, int length) {
            Objects.checkFromIndexSize(offset, length, source.length);
            at("write", gpa, length).write(gpa, source, offset, length);
        }

        @Override
        public void read(long gpa, ByteBuffer target) {
            target.put(at("read", gpa, target.remaining()).getByteBuffer(gpa, target.remaining()));
        }

        @Override
        public void write(long gpa, ByteBuffer source) {
            at("write", gpa, source.remaining())
                    .getByteBuffer(gpa, source.remaining())
                    .put(source);
        }

        @Override
        public void fill(long gpa, long length, byte value) {
            at("fill", gpa, length).setMemory(gpa, length, value);
        }

        @Override
        public void copy(long fromGpa, long toGpa, long length) {
            byte[] part = at("copy", fromGpa, length).getByteArray(fromGpa, Math.toIntExact(length));
            at("copy", toGpa, length).write(toGpa, part, 0, part.length);
        }

        @Override
        public GuestMemoryAccessor accessor() {
            return this;
        }

        @Override
        public void close() {
            // Not the memory, which others use.
        }
    }
}
