package io.membacking.mapping.internal;

import static io.membacking.mapping.internal.TestGuest.range;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.access.GuestMemory;
import io.membacking.access.GuestMemoryAccessor;
import io.membacking.error.GuestAccessException;
import io.membacking.host.Backing;
import io.membacking.mapping.AccessPiece.Access;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.ReadOnlyBufferException;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Access against an oracle: an array of bytes, and of what may be done to each. */
class CheckedMemoryTest {
    private static final int SIZE = 5 << 20;

    private final long seed = System.nanoTime();
    private final Random random = new Random(seed);
    private final TestGuest guest = new TestGuest(SIZE);
    private final byte[] bytes = new byte[SIZE];
    private final Access[] access = new Access[SIZE];

    @BeforeEach
    void lay() {
        Arrays.fill(access, Access.NONE);
        Backing backing = guest.backing("ram", SIZE);
        // A chunk that is mixed, borders between backings' ends and starts in it and in mid-chunk, one chunk that is
        // whole.
        lay(backing, 0, 0xa0000, Access.READ_WRITE);
        lay(backing, 0xa0000, 0xa1000, Access.READ);
        lay(backing, 0xa2000, 0x1ff000, Access.READ_WRITE);
        lay(backing, 0x1ff000, 0x200000, Access.READ);
        lay(backing, 0x200000, 0x400000, Access.READ_WRITE);
        lay(backing, 0x401000, SIZE, Access.READ_WRITE);
    }

    private void lay(Backing backing, int start, int end, Access what) {
        byte[] contents = new byte[end - start];
        random.nextBytes(contents);
        // The pieces lie in the backing in the opposite order, so that nothing is right by accident.
        backing.write(SIZE - end, contents, 0, contents.length);
        System.arraycopy(contents, 0, bytes, start, contents.length);
        guest.show(range(start, end), backing, SIZE - end, what);
        Arrays.fill(access, start, end, what);
    }

    @AfterEach
    void close() {
        guest.close();
    }

    @Test
    void everyAccessDoesWhatTheOracleDoes() {
        try (GuestMemoryAccessor accessor = guest.memory.accessor()) {
            for (int i = 0; i < 100_000; i++) {
                step(i % 2 == 0 ? accessor : guest.memory);
            }
        }
        byte[] all = new byte[0x200000];
        guest.memory.read(0x200000, all, 0, all.length);
        assertArrayEquals(Arrays.copyOfRange(bytes, 0x200000, 0x400000), all, () -> "seed " + seed);
    }

    private void step(GuestMemory memory) {
        long gpa = anyAddress();
        int length = anyLength();
        switch (random.nextInt(18)) {
            case 0 -> run(gpa, 1, Access.READ, () -> assertEquals(value(gpa, 1), memory.readByte(gpa)));
            case 1 -> run(gpa, 2, Access.READ, () -> assertEquals(value(gpa, 2), memory.readShort(gpa)));
            case 2 -> run(gpa, 4, Access.READ, () -> assertEquals(value(gpa, 4), memory.readInt(gpa)));
            case 3 -> run(gpa, 8, Access.READ, () -> assertEquals(value(gpa, 8), memory.readLong(gpa)));
            case 4 -> write(gpa, 1, value -> memory.writeByte(gpa, (byte) value));
            case 5 -> write(gpa, 2, value -> memory.writeShort(gpa, (short) value));
            case 6 -> write(gpa, 4, value -> memory.writeInt(gpa, (int) value));
            case 7 -> write(gpa, 8, value -> memory.writeLong(gpa, value));
            case 8 -> compareAndSet(gpa, 1, (e, v) -> memory.compareAndSetByte(gpa, (byte) (long) e, (byte) (long) v));
            case 9 ->
                compareAndSet(gpa, 2, (e, v) -> memory.compareAndSetShort(gpa, (short) (long) e, (short) (long) v));
            case 10 -> compareAndSet(gpa, 4, (e, v) -> memory.compareAndSetInt(gpa, (int) (long) e, (int) (long) v));
            case 11 -> compareAndSet(gpa, 8, (e, v) -> memory.compareAndSetLong(gpa, e, v));
            case 12 -> {
                byte[] target = new byte[length + 7];
                run(gpa, length, Access.READ, () -> {
                    memory.read(gpa, target, 3, length);
                    assertArrayEquals(part(gpa, length), Arrays.copyOfRange(target, 3, 3 + length));
                    assertEquals(0, target[2]);
                    assertEquals(0, target[3 + length]);
                });
            }
            case 13 -> {
                byte[] source = anyBytes(length + 7);
                run(gpa, length, Access.READ_WRITE, () -> {
                    memory.write(gpa, source, 3, length);
                    System.arraycopy(source, 3, bytes, (int) gpa, length);
                });
            }
            case 14 -> {
                ByteBuffer target = anyBuffer(length);
                int start = target.position();
                runBuffer(gpa, target, Access.READ, () -> {
                    memory.read(gpa, target);
                    byte[] read = new byte[length];
                    target.get(start, read);
                    assertArrayEquals(part(gpa, length), read);
                });
            }
            case 15 -> {
                ByteBuffer source = anyBuffer(length);
                byte[] contents = anyBytes(length);
                source.duplicate().put(contents);
                ByteBuffer given = random.nextBoolean() ? source : source.asReadOnlyBuffer();
                runBuffer(gpa, given, Access.READ_WRITE, () -> {
                    memory.write(gpa, given);
                    System.arraycopy(contents, 0, bytes, (int) gpa, length);
                });
            }
            case 16 ->
                run(gpa, length, Access.READ_WRITE, () -> {
                    byte value = (byte) random.nextInt();
                    memory.fill(gpa, length, value);
                    Arrays.fill(bytes, (int) gpa, (int) gpa + length, value);
                });
            default ->
                copy(
                        memory,
                        gpa,
                        random.nextInt(3) == 0 ? anyAddress() : gpa + random.nextInt(2 * length + 1) - length,
                        length);
        }
    }

    private void copy(GuestMemory memory, long from, long to, int length) {
        if (firstBad(from, length, Access.READ) >= 0) {
            run(from, length, Access.READ, () -> memory.copy(from, to, length));
        } else {
            run(to, length, Access.READ_WRITE, () -> {
                memory.copy(from, to, length);
                System.arraycopy(bytes, (int) from, bytes, (int) to, length);
                byte[] now = new byte[length];
                memory.read(to, now, 0, length);
                assertArrayEquals(part(to, length), now);
            });
        }
    }

    private interface Write {
        void write(long value);
    }

    private void write(long gpa, int size, Write write) {
        long value = random.nextLong();
        run(gpa, size, Access.READ_WRITE, () -> {
            write.write(value);
            set(gpa, size, value);
        });
    }

    private interface CompareAndSet {
        boolean compareAndSet(Long expected, Long value);
    }

    private void compareAndSet(long gpa, int size, CompareAndSet operation) {
        long value = random.nextLong();
        if ((gpa & (size - 1)) != 0) {
            assertThrows(IllegalArgumentException.class, () -> operation.compareAndSet(0L, value));
            return;
        }
        run(gpa, size, Access.READ_WRITE, () -> {
            long expected = value(gpa, size) + (random.nextBoolean() ? 1 : 0);
            boolean same = truncated(expected, size) == value(gpa, size);
            assertEquals(same, operation.compareAndSet(expected, value));
            if (same) {
                set(gpa, size, value);
            }
        });
    }

    /** Runs it if the oracle allows, else expects the oracle's first bad address. */
    private void run(long gpa, long length, Access least, Runnable operation) {
        long bad = firstBad(gpa, length, least);
        try {
            if (bad < 0) {
                operation.run();
            } else {
                GuestAccessException e = assertThrows(GuestAccessException.class, operation::run);
                assertEquals(gpa + bad, e.firstBad());
                assertEquals(gpa, e.gpa());
                assertEquals(length, e.length());
                boolean readOnly = accessAt(gpa + bad) == Access.READ;
                assertTrue(e.getMessage().endsWith(readOnly ? "is read-only" : "is not mapped"), e.getMessage());
            }
        } catch (AssertionError e) {
            throw new AssertionError(
                    "seed " + seed + ", 0x" + Long.toHexString(length) + " bytes at 0x" + Long.toHexString(gpa), e);
        }
    }

    private void runBuffer(long gpa, ByteBuffer buffer, Access least, Runnable operation) {
        int start = buffer.position();
        run(gpa, buffer.remaining(), least, operation);
        boolean done = firstBad(gpa, buffer.limit() - start, least) < 0;
        assertEquals(done ? buffer.limit() : start, buffer.position());
    }

    /** -1 if all is good. */
    private long firstBad(long gpa, long length, Access least) {
        for (long i = 0; i < length; i = ((gpa + i) | 0xfff) + 1 - gpa) {
            if (accessAt(gpa + i).compareTo(least) < 0) {
                return i;
            }
        }
        return -1;
    }

    private Access accessAt(long gpa) {
        return Long.compareUnsigned(gpa, SIZE) < 0 ? access[(int) gpa] : Access.NONE;
    }

    private byte[] part(long gpa, int length) {
        return Arrays.copyOfRange(bytes, (int) gpa, (int) gpa + length);
    }

    /** 0 where there is nothing. */
    private long value(long gpa, int size) {
        if (Long.compareUnsigned(gpa, SIZE - size) > 0) {
            return 0;
        }
        byte[] padded = Arrays.copyOf(part(gpa, size), 8);
        return truncated(ByteBuffer.wrap(padded).order(ByteOrder.LITTLE_ENDIAN).getLong(), size);
    }

    private static long truncated(long value, int size) {
        int unused = 64 - 8 * size;
        return value << unused >> unused;
    }

    private void set(long gpa, int size, long value) {
        byte[] little = ByteBuffer.allocate(8)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(value)
                .array();
        System.arraycopy(little, 0, bytes, (int) gpa, size);
    }

    private long anyAddress() {
        return switch (random.nextInt(6)) {
            case 0 -> random.nextLong();
            case 1 -> random.nextInt(-20, 20);
            case 2 -> random.nextLong(SIZE / 0x1000 + 1) * 0x1000 + random.nextInt(-9, 9);
            case 3 -> random.nextLong(SIZE / 8) * 8;
            default -> random.nextInt(SIZE);
        };
    }

    private int anyLength() {
        return switch (random.nextInt(400)) {
            case 0 -> 1 + random.nextInt(0x180000);
            case 1, 2, 3, 4, 5, 6 -> 1 + random.nextInt(0x8000);
            default -> 1 + random.nextInt(100);
        };
    }

    private byte[] anyBytes(int length) {
        byte[] some = new byte[length];
        random.nextBytes(some);
        return some;
    }

    private ByteBuffer anyBuffer(int length) {
        ByteBuffer buffer =
                random.nextBoolean() ? ByteBuffer.allocateDirect(length + 9) : ByteBuffer.allocate(length + 9);
        buffer.position(2);
        ByteBuffer slice = buffer.slice().position(1);
        return slice.limit(1 + length);
    }

    @Test
    void badPartsOfArraysAndReadOnlyBuffersAreRefusedBeforeAnythingIsTouched() {
        byte[] array = new byte[8];
        assertThrows(IndexOutOfBoundsException.class, () -> guest.memory.read(0, array, 1, 8));
        assertThrows(IndexOutOfBoundsException.class, () -> guest.memory.write(0, array, -1, 4));
        assertThrows(
                ReadOnlyBufferException.class,
                () -> guest.memory.read(0, ByteBuffer.allocate(8).asReadOnlyBuffer()));
        assertThrows(IllegalArgumentException.class, () -> guest.memory.fill(0, -1, (byte) 0));
        assertThrows(IllegalArgumentException.class, () -> guest.memory.copy(0, 8, -1));
        assertEquals(value(0, 8), guest.memory.readLong(0));
    }

    @Test
    void aLongOperationThatIsWrongFromTheBeginningTouchesNothing() {
        GuestAccessException e =
                assertThrows(GuestAccessException.class, () -> guest.memory.fill(0x200000, 0x300000, (byte) 1));
        assertEquals(0x400000, e.firstBad());
        assertEquals(value(0x200000, 8), guest.memory.readLong(0x200000));
        assertThrows(GuestAccessException.class, () -> guest.memory.fill(0x200000, Long.MAX_VALUE, (byte) 1));
        assertEquals(value(0x200000, 8), guest.memory.readLong(0x200000));
    }

    @Test
    void nothingIsDoneForNoLengthAnywhere() {
        guest.memory.fill(-1, 0, (byte) 1);
        guest.memory.copy(-1, -5, 0);
        guest.memory.read(1L << 60, new byte[0], 0, 0);
    }

    @Test
    void anAccessorSaysClosedAfterClose() {
        GuestMemoryAccessor accessor = guest.memory.accessor();
        accessor.readLong(0);
        accessor.close();
        accessor.close();
        assertThrows(IllegalStateException.class, () -> accessor.readLong(0));
        assertThrows(IllegalStateException.class, () -> accessor.fill(0, 8, (byte) 0));
    }

    @Test
    void anAccessorIsRefusedToAnotherThread() {
        GuestMemoryAccessor accessor = guest.memory.accessor();
        ExecutionException e =
                assertThrows(ExecutionException.class, () -> CompletableFuture.supplyAsync(() -> accessor.readLong(0))
                        .get());
        assertEquals(IllegalStateException.class, e.getCause().getClass());
        assertEquals(value(0, 8), accessor.readLong(0));
    }

    @Test
    void everyCallSaysClosedAfterTheGuestIsClosed() {
        GuestMemoryAccessor accessor = guest.memory.accessor();
        guest.manager.close();
        for (GuestMemory memory : new GuestMemory[] {guest.memory, accessor}) {
            assertClosed(() -> memory.readByte(0));
            assertClosed(() -> memory.writeLong(2L * SIZE, 0));
            assertClosed(() -> memory.compareAndSetInt(0, 0, 0));
            assertClosed(() -> memory.read(0, new byte[8], 0, 8));
            assertClosed(() -> memory.read(0, new byte[8], 0, 0));
            assertClosed(() -> memory.write(0, ByteBuffer.allocateDirect(8)));
            assertClosed(() -> memory.fill(0, 1 << 20, (byte) 0));
            assertClosed(() -> memory.copy(0, 8, 8));
            assertClosed(memory::accessor);
        }
    }

    private static void assertClosed(Runnable call) {
        IllegalStateException e = assertThrows(IllegalStateException.class, call::run);
        assertTrue(e.getMessage().contains("closed"), e.getMessage());
    }

    @Test
    void compareAndSetOfAByteLeavesItsNeighboursToOthers() throws Exception {
        // Four threads count in the four bytes of one word: none may undo another's step.
        Thread[] threads = new Thread[4];
        guest.memory.writeInt(0x1000, 0);
        for (int i = 0; i < threads.length; i++) {
            long gpa = 0x1000L + i;
            threads[i] = new Thread(() -> {
                for (int n = 0; n < 100_000; n++) {
                    assertTrue(guest.memory.compareAndSetByte(gpa, (byte) n, (byte) (n + 1)));
                }
            });
            threads[i].start();
        }
        for (Thread thread : threads) {
            thread.join();
        }
        assertEquals(0xa0a0a0a0, guest.memory.readInt(0x1000), "the last byte of 100,000 four times");
        assertFalse(guest.memory.compareAndSetByte(0x1000, (byte) 1, (byte) 2));
    }
}
