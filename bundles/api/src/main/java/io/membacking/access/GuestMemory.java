package io.membacking.access;

import java.nio.ByteBuffer;

/**
 * The memory of one guest as its monitor reads and writes it, by guest-physical address, little endian, across region
 * borders, anywhere in 64 bits. Safe for use by any thread; takes no lock.
 *
 * <p>An access to what is not mapped, or a write to what is read-only, throws {@link io.membacking.error.GuestAccessException}
 * with the first bad address, and never ends the JVM, whatever happens to the mapping meanwhile. A call that returns normally
 * did all of it to memory that was mapped there at some moment during the call. Bulk operations may have done a leading part
 * before they throw. Values that are naturally aligned are accessed atomically.
 *
 * <p>An access to a range that a commit is changing waits for the commit; from the committing thread itself it throws
 * {@link IllegalStateException}. After close every call throws {@link IllegalStateException} that says closed.
 */
public interface GuestMemory {
    byte readByte(long gpa);

    short readShort(long gpa);

    int readInt(long gpa);

    long readLong(long gpa);

    void writeByte(long gpa, byte value);

    void writeShort(long gpa, short value);

    void writeInt(long gpa, int value);

    void writeLong(long gpa, long value);

    /** Sets one byte atomically if it holds {@code expected}; returns whether it did. Needs write access. */
    boolean compareAndSetByte(long gpa, byte expected, byte value);

    /** As {@link #compareAndSetByte}. @throws IllegalArgumentException if {@code gpa} is not a multiple of 2 */
    boolean compareAndSetShort(long gpa, short expected, short value);

    /** As {@link #compareAndSetByte}. @throws IllegalArgumentException if {@code gpa} is not a multiple of 4 */
    boolean compareAndSetInt(long gpa, int expected, int value);

    /** As {@link #compareAndSetByte}. @throws IllegalArgumentException if {@code gpa} is not a multiple of 8 */
    boolean compareAndSetLong(long gpa, long expected, long value);

    /** Copies {@code length} bytes out. @throws IndexOutOfBoundsException if the array has no such part; nothing is touched then */
    void read(long gpa, byte[] target, int offset, int length);

    /** Copies {@code length} bytes in. @throws IndexOutOfBoundsException if the array has no such part; nothing is touched then */
    void write(long gpa, byte[] source, int offset, int length);

    /** Fills what remains of the buffer, heap or direct, and moves its position to its limit; on failure it stays. */
    void read(long gpa, ByteBuffer target);

    /** Copies what remains of the buffer, heap or direct, in, and moves its position to its limit; on failure it stays. */
    void write(long gpa, ByteBuffer source);

    /** Sets {@code length} bytes. @throws IllegalArgumentException if {@code length} is negative */
    void fill(long gpa, long length, byte value);

    /**
     * Copies within the guest; the ranges may overlap, as memmove. @throws IllegalArgumentException if {@code length} is
     * negative
     */
    void copy(long fromGpa, long toGpa, long length);

    /**
     * The same memory for the calling thread alone, faster: it finds its announcement slot without a look-up. Closing it gives
     * the slot back; leaving it to the collector does too. Using it from another thread is an error that it cannot always
     * detect: hand a device thread its own.
     */
    GuestMemoryAccessor accessor();
}
