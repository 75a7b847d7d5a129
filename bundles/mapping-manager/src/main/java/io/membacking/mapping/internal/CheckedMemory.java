package io.membacking.mapping.internal;

import io.membacking.access.GuestMemory;
import io.membacking.access.GuestMemoryAccessor;
import io.membacking.error.GuestAccessException;
import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.nio.ReadOnlyBufferException;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Guest memory, checked: enter, load the snapshot, check, touch, leave. What goes wrong is found out about outside the section:
 * wait for a transition, or say which address was bad.
 *
 * <p>Nothing inside a section blocks, calls out or allocates. Long operations enter once for each {@link #STRETCH}, so that a change
 * never waits for more than that; they are checked as a whole first, so that what is wrong from the beginning touches nothing. An
 * overlapping copy upwards goes from the end to the beginning, and so does what it has done when a change stops it midway.
 */
abstract class CheckedMemory implements GuestMemory {
    /** Bytes touched in one section at most: some 10 microseconds. */
    private static final int STRETCH = 256 << 10;

    private final AccessGate gate;
    private final Epochs epochs;
    private final long base;

    /** @param base the host address of guest-physical address 0 */
    CheckedMemory(AccessGate gate, Epochs epochs, long base) {
        this.gate = gate;
        this.epochs = epochs;
        this.base = base;
    }

    /** The slot in which the calling thread announces itself. */
    abstract long[] slot();

    /** Called inside, between check and touch. For tests that stall a reader there; empty, and gone once compiled. */
    void beforeTouch() {}

    @Override
    public final byte readByte(long gpa) {
        long[] slot = slot();
        while (true) {
            long epoch = epochs.enter(slot);
            try {
                if (gate.snapshot().allows(gpa, 1, Snapshot.READ)) {
                    beforeTouch();
                    return RawMemory.getByte(base + gpa);
                }
            } finally {
                Epochs.leave(slot, epoch);
            }
            awaitAccess("read", gpa, 1, gpa, 1, Snapshot.READ);
        }
    }

    @Override
    public final short readShort(long gpa) {
        long[] slot = slot();
        while (true) {
            long epoch = epochs.enter(slot);
            try {
                if (gate.snapshot().allows(gpa, 2, Snapshot.READ)) {
                    beforeTouch();
                    return RawMemory.getShort(base + gpa);
                }
            } finally {
                Epochs.leave(slot, epoch);
            }
            awaitAccess("read", gpa, 2, gpa, 2, Snapshot.READ);
        }
    }

    @Override
    public final int readInt(long gpa) {
        long[] slot = slot();
        while (true) {
            long epoch = epochs.enter(slot);
            try {
                if (gate.snapshot().allows(gpa, 4, Snapshot.READ)) {
                    beforeTouch();
                    return RawMemory.getInt(base + gpa);
                }
            } finally {
                Epochs.leave(slot, epoch);
            }
            awaitAccess("read", gpa, 4, gpa, 4, Snapshot.READ);
        }
    }

    @Override
    public final long readLong(long gpa) {
        long[] slot = slot();
        while (true) {
            long epoch = epochs.enter(slot);
            try {
                if (gate.snapshot().allows(gpa, 8, Snapshot.READ)) {
                    beforeTouch();
                    return RawMemory.getLong(base + gpa);
                }
            } finally {
                Epochs.leave(slot, epoch);
            }
            awaitAccess("read", gpa, 8, gpa, 8, Snapshot.READ);
        }
    }

    @Override
    public final void writeByte(long gpa, byte value) {
        long[] slot = slot();
        while (true) {
            long epoch = epochs.enter(slot);
            try {
                if (gate.snapshot().allows(gpa, 1, Snapshot.READ_WRITE)) {
                    beforeTouch();
                    RawMemory.putByte(base + gpa, value);
                    return;
                }
            } finally {
                Epochs.leave(slot, epoch);
            }
            awaitAccess("write", gpa, 1, gpa, 1, Snapshot.READ_WRITE);
        }
    }

    @Override
    public final void writeShort(long gpa, short value) {
        long[] slot = slot();
        while (true) {
            long epoch = epochs.enter(slot);
            try {
                if (gate.snapshot().allows(gpa, 2, Snapshot.READ_WRITE)) {
                    beforeTouch();
                    RawMemory.putShort(base + gpa, value);
                    return;
                }
            } finally {
                Epochs.leave(slot, epoch);
            }
            awaitAccess("write", gpa, 2, gpa, 2, Snapshot.READ_WRITE);
        }
    }

    @Override
    public final void writeInt(long gpa, int value) {
        long[] slot = slot();
        while (true) {
            long epoch = epochs.enter(slot);
            try {
                if (gate.snapshot().allows(gpa, 4, Snapshot.READ_WRITE)) {
                    beforeTouch();
                    RawMemory.putInt(base + gpa, value);
                    return;
                }
            } finally {
                Epochs.leave(slot, epoch);
            }
            awaitAccess("write", gpa, 4, gpa, 4, Snapshot.READ_WRITE);
        }
    }

    @Override
    public final void writeLong(long gpa, long value) {
        long[] slot = slot();
        while (true) {
            long epoch = epochs.enter(slot);
            try {
                if (gate.snapshot().allows(gpa, 8, Snapshot.READ_WRITE)) {
                    beforeTouch();
                    RawMemory.putLong(base + gpa, value);
                    return;
                }
            } finally {
                Epochs.leave(slot, epoch);
            }
            awaitAccess("write", gpa, 8, gpa, 8, Snapshot.READ_WRITE);
        }
    }

    @Override
    public final boolean compareAndSetByte(long gpa, byte expected, byte value) {
        long[] slot = slot();
        while (true) {
            long epoch = epochs.enter(slot);
            try {
                if (gate.snapshot().allows(gpa, 1, Snapshot.READ_WRITE)) {
                    beforeTouch();
                    return RawMemory.compareAndSetByte(base + gpa, expected, value);
                }
            } finally {
                Epochs.leave(slot, epoch);
            }
            awaitAccess("compare-and-set", gpa, 1, gpa, 1, Snapshot.READ_WRITE);
        }
    }

    @Override
    public final boolean compareAndSetShort(long gpa, short expected, short value) {
        requireAligned(gpa, 2);
        long[] slot = slot();
        while (true) {
            long epoch = epochs.enter(slot);
            try {
                if (gate.snapshot().allows(gpa, 2, Snapshot.READ_WRITE)) {
                    beforeTouch();
                    return RawMemory.compareAndSetShort(base + gpa, expected, value);
                }
            } finally {
                Epochs.leave(slot, epoch);
            }
            awaitAccess("compare-and-set", gpa, 2, gpa, 2, Snapshot.READ_WRITE);
        }
    }

    @Override
    public final boolean compareAndSetInt(long gpa, int expected, int value) {
        requireAligned(gpa, 4);
        long[] slot = slot();
        while (true) {
            long epoch = epochs.enter(slot);
            try {
                if (gate.snapshot().allows(gpa, 4, Snapshot.READ_WRITE)) {
                    beforeTouch();
                    return RawMemory.compareAndSetInt(base + gpa, expected, value);
                }
            } finally {
                Epochs.leave(slot, epoch);
            }
            awaitAccess("compare-and-set", gpa, 4, gpa, 4, Snapshot.READ_WRITE);
        }
    }

    @Override
    public final boolean compareAndSetLong(long gpa, long expected, long value) {
        requireAligned(gpa, 8);
        long[] slot = slot();
        while (true) {
            long epoch = epochs.enter(slot);
            try {
                if (gate.snapshot().allows(gpa, 8, Snapshot.READ_WRITE)) {
                    beforeTouch();
                    return RawMemory.compareAndSetLong(base + gpa, expected, value);
                }
            } finally {
                Epochs.leave(slot, epoch);
            }
            awaitAccess("compare-and-set", gpa, 8, gpa, 8, Snapshot.READ_WRITE);
        }
    }

    @Override
    public final void read(long gpa, byte[] target, int offset, int length) {
        Objects.checkFromIndexSize(offset, length, target.length);
        readInto(gpa, target, offset, length);
    }

    @Override
    public final void write(long gpa, byte[] source, int offset, int length) {
        Objects.checkFromIndexSize(offset, length, source.length);
        writeFrom(gpa, source, offset, length);
    }

    @Override
    public final void read(long gpa, ByteBuffer target) {
        if (target.isReadOnly()) {
            throw new ReadOnlyBufferException();
        }
        try {
            if (target.hasArray()) {
                readInto(gpa, target.array(), target.arrayOffset() + target.position(), target.remaining());
            } else {
                readInto(gpa, null, RawMemory.addressOf(target) + target.position(), target.remaining());
            }
        } finally {
            Reference.reachabilityFence(target);
        }
        target.position(target.limit());
    }

    @Override
    public final void write(long gpa, ByteBuffer source) {
        try {
            if (source.hasArray()) {
                writeFrom(gpa, source.array(), source.arrayOffset() + source.position(), source.remaining());
            } else if (source.isDirect()) {
                writeFrom(gpa, null, RawMemory.addressOf(source) + source.position(), source.remaining());
            } else { // a read-only buffer hides its array: by way of another
                byte[] bytes = new byte[source.remaining()];
                source.duplicate().get(bytes);
                writeFrom(gpa, bytes, 0, bytes.length);
            }
        } finally {
            Reference.reachabilityFence(source);
        }
        source.position(source.limit());
    }

    /** @param target an index in the array, or a host address if there is none */
    private void readInto(long gpa, byte @Nullable [] array, long target, int length) {
        long[] slot = slotFor("read", gpa, length, Snapshot.READ);
        int done = 0;
        while (done < length) {
            int stretch = Math.min(length - done, STRETCH);
            boolean ok;
            long epoch = epochs.enter(slot);
            try {
                ok = gate.snapshot().extent(gpa + done, stretch, Snapshot.READ) == stretch;
                if (ok) {
                    beforeTouch();
                    if (array != null) {
                        RawMemory.copy(base + gpa + done, array, (int) target + done, stretch);
                    } else {
                        RawMemory.copy(base + gpa + done, target + done, stretch);
                    }
                }
            } finally {
                Epochs.leave(slot, epoch);
            }
            if (ok) {
                done += stretch;
            } else {
                awaitAccess("read", gpa, length, gpa + done, stretch, Snapshot.READ);
            }
        }
    }

    /** @param source an index in the array, or a host address if there is none */
    private void writeFrom(long gpa, byte @Nullable [] array, long source, int length) {
        long[] slot = slotFor("write", gpa, length, Snapshot.READ_WRITE);
        int done = 0;
        while (done < length) {
            int stretch = Math.min(length - done, STRETCH);
            boolean ok;
            long epoch = epochs.enter(slot);
            try {
                ok = gate.snapshot().extent(gpa + done, stretch, Snapshot.READ_WRITE) == stretch;
                if (ok) {
                    beforeTouch();
                    if (array != null) {
                        RawMemory.copy(array, (int) source + done, base + gpa + done, stretch);
                    } else {
                        RawMemory.copy(source + done, base + gpa + done, stretch);
                    }
                }
            } finally {
                Epochs.leave(slot, epoch);
            }
            if (ok) {
                done += stretch;
            } else {
                awaitAccess("write", gpa, length, gpa + done, stretch, Snapshot.READ_WRITE);
            }
        }
    }

    @Override
    public final void fill(long gpa, long length, byte value) {
        requireNotNegative(length);
        long[] slot = slotFor("fill", gpa, length, Snapshot.READ_WRITE);
        long done = 0;
        while (done < length) {
            long stretch = Math.min(length - done, STRETCH);
            boolean ok;
            long epoch = epochs.enter(slot);
            try {
                ok = gate.snapshot().extent(gpa + done, stretch, Snapshot.READ_WRITE) == stretch;
                if (ok) {
                    beforeTouch();
                    RawMemory.fill(base + gpa + done, stretch, value);
                }
            } finally {
                Epochs.leave(slot, epoch);
            }
            if (ok) {
                done += stretch;
            } else {
                awaitAccess("fill", gpa, length, gpa + done, stretch, Snapshot.READ_WRITE);
            }
        }
    }

    @Override
    public final void copy(long fromGpa, long toGpa, long length) {
        requireNotNegative(length);
        long[] slot = slotFor("copy", fromGpa, length, Snapshot.READ);
        if (length > STRETCH) {
            checkWhole("copy", toGpa, length, Snapshot.READ_WRITE);
        }
        // Upwards onto itself: from the end, or a stretch would overwrite what the next is to read.
        boolean backwards = Long.compareUnsigned(toGpa - fromGpa, length) < 0;
        long done = 0;
        while (done < length) {
            long stretch = Math.min(length - done, STRETCH);
            long at = backwards ? length - done - stretch : done;
            boolean ok;
            long epoch = epochs.enter(slot);
            try {
                Snapshot snapshot = gate.snapshot();
                ok = snapshot.extent(fromGpa + at, stretch, Snapshot.READ) == stretch
                        && snapshot.extent(toGpa + at, stretch, Snapshot.READ_WRITE) == stretch;
                if (ok) {
                    beforeTouch();
                    RawMemory.copy(base + fromGpa + at, base + toGpa + at, stretch);
                }
            } finally {
                Epochs.leave(slot, epoch);
            }
            if (ok) {
                done += stretch;
            } else {
                awaitAccess("copy", fromGpa, length, fromGpa + at, stretch, Snapshot.READ);
                awaitAccess("copy", toGpa, length, toGpa + at, stretch, Snapshot.READ_WRITE);
            }
        }
    }

    @Override
    public final GuestMemoryAccessor accessor() {
        slot();
        gate.requireOpen();
        return new OneThreadMemory(gate, epochs, base);
    }

    /** What an operation on a range of any length begins with: nothing is touched if it is wrong from the beginning. */
    private long[] slotFor(String operation, long gpa, long length, byte least) {
        long[] slot = slot();
        if (length == 0) {
            gate.requireOpen();
        } else if (length > STRETCH) {
            checkWhole(operation, gpa, length, least);
        }
        return slot;
    }

    /** Refuses what is bad now. What is in transition may yet become good. */
    private void checkWhole(String operation, long gpa, long length, byte least) {
        Snapshot snapshot = gate.snapshot();
        long good = snapshot.extent(gpa, length, least);
        if (good != length && snapshot.state(gpa + good) != Snapshot.TRANSITION) {
            throw bad(operation, gpa, length, gpa + good, snapshot);
        }
    }

    /**
     * Outside, after a check failed: returns when it is worth trying again.
     *
     * @param gpa where the operation began, {@code length} bytes in all
     * @param from where the part of it that failed begins, {@code part} bytes
     */
    private void awaitAccess(String operation, long gpa, long length, long from, long part, byte least) {
        Snapshot snapshot = gate.snapshot();
        long good = snapshot.extent(from, part, least);
        if (good == part) {
            return;
        }
        if (snapshot.state(from + good) == Snapshot.TRANSITION) {
            gate.awaitEnd(from + good);
        } else {
            throw bad(operation, gpa, length, from + good, snapshot);
        }
    }

    private GuestAccessException bad(String operation, long gpa, long length, long firstBad, Snapshot snapshot) {
        gate.requireOpen();
        String problem = snapshot.state(firstBad) == Snapshot.READ ? "is read-only" : "is not mapped";
        return new GuestAccessException(operation, gpa, length, firstBad, problem);
    }

    private static void requireAligned(long gpa, int size) {
        if ((gpa & (size - 1)) != 0) {
            throw new IllegalArgumentException("compare-and-set of " + size + " bytes at guest address 0x"
                    + Long.toHexString(gpa) + ": the address is not a multiple of " + size);
        }
    }

    private static void requireNotNegative(long length) {
        if (length < 0) {
            throw new IllegalArgumentException("length " + length + " is negative");
        }
    }
}
