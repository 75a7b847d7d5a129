package io.membacking.mapping.internal;

import io.membacking.mapping.AccessPiece;
import io.membacking.mapping.AccessPiece.Access;
import io.membacking.range.MemoryRange;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What readers may do, page by page: immutable, published as a whole.
 *
 * <p>A radix of two levels: a leaf for each GiB, in it one byte for each chunk of 2 MiB. A chunk whose pages differ is
 * {@link #MIXED} and has a byte for each page. So the usual look-up is three loads, a GiB that is all alike shares one leaf with
 * every other, and a change copies the root and the leaves that it touches, no more.
 */
final class Snapshot {
    /** The pages of this chunk differ. Only in leaves; no page is ever mixed. */
    private static final byte MIXED = -1;

    /** Nothing there. */
    static final byte NONE = 0;
    /** Being changed: who comes now waits. */
    static final byte TRANSITION = 1;
    /** The order matters: an access needs at least its state. */
    static final byte READ = 2;

    static final byte READ_WRITE = 3;

    private static final int PAGE_BITS = 12;
    private static final int CHUNK_BITS = 21;
    private static final int LEAF_BITS = 30;
    private static final long PAGE = 1L << PAGE_BITS;
    private static final long CHUNK = 1L << CHUNK_BITS;
    private static final long LEAF = 1L << LEAF_BITS;
    private static final int CHUNKS_PER_LEAF = 1 << (LEAF_BITS - CHUNK_BITS);
    private static final int PAGES_PER_CHUNK = 1 << (CHUNK_BITS - PAGE_BITS);

    /** The leaves of a GiB that is all alike, by state; known by identity. */
    private static final byte[][] UNIFORM = uniformLeaves();

    private final byte[][] leaves;
    /** By leaf, then by chunk, the states of the pages; null where there is no mixed chunk. */
    private final byte[] @Nullable [] @Nullable [] mixed;

    private Snapshot(byte[][] leaves, byte[] @Nullable [] @Nullable [] mixed) {
        this.leaves = leaves;
        this.mixed = mixed;
    }

    /** Nothing is accessible, anywhere. @param size bytes that a later snapshot may open */
    static Snapshot empty(long size) {
        int count = Math.toIntExact((size + LEAF - 1) >>> LEAF_BITS);
        byte[][] leaves = new byte[count][];
        Arrays.fill(leaves, UNIFORM[NONE]);
        return new Snapshot(leaves, new byte[count][][]);
    }

    /**
     * Whether a small access may be made; the fast path.
     *
     * @param length bytes, 1 to 8
     * @param least {@link #READ} or {@link #READ_WRITE}
     */
    boolean allows(long gpa, int length, byte least) {
        long leaf = gpa >>> LEAF_BITS;
        if (leaf < leaves.length && (gpa & (CHUNK - 1)) <= CHUNK - length) {
            if (leaves[(int) leaf][chunkInLeaf(gpa)] >= least) {
                return true;
            }
        }
        return extent(gpa, length, least) == length;
    }

    /**
     * How many bytes from {@code gpa} on allow an access without a gap; so {@code gpa} plus this is the first bad address if it
     * is less than asked for. Nothing wraps: the first address beyond the VA space is bad.
     *
     * @param most bytes to look at, not negative
     * @param least {@link #READ} or {@link #READ_WRITE}
     */
    long extent(long gpa, long most, byte least) {
        long done = 0;
        while (done < most) {
            long at = gpa + done;
            if (at >>> LEAF_BITS >= leaves.length) {
                break;
            }
            if (state(at) < least) {
                break;
            }
            done += step(at);
        }
        return Math.min(done, most);
    }

    /** The state of the page that holds {@code gpa}: anything but {@link #MIXED}. */
    byte state(long gpa) {
        long leaf = gpa >>> LEAF_BITS;
        if (leaf >= leaves.length) {
            return NONE;
        }
        byte state = leaves[(int) leaf][chunkInLeaf(gpa)];
        return state == MIXED ? pages((int) leaf, chunkInLeaf(gpa))[pageInChunk(gpa)] : state;
    }

    /** Bytes from {@code gpa}, inside the root, to the end of what is known to be alike at one look. */
    private long step(long gpa) {
        byte[] leaf = leaves[(int) (gpa >>> LEAF_BITS)];
        if (leaf == UNIFORM[NONE] || leaf == UNIFORM[READ] || leaf == UNIFORM[READ_WRITE]) {
            return LEAF - (gpa & (LEAF - 1));
        }
        return leaf[chunkInLeaf(gpa)] == MIXED ? PAGE - (gpa & (PAGE - 1)) : CHUNK - (gpa & (CHUNK - 1));
    }

    /** Whether any page of the range has at least this state. */
    boolean anyAtLeast(MemoryRange range, byte least) {
        for (long at = range.start(); Long.compareUnsigned(at, range.end()) < 0; at += step(at)) {
            if (at >>> LEAF_BITS >= leaves.length) {
                return false;
            }
            if (state(at) >= least) {
                return true;
            }
        }
        return false;
    }

    /** This with a range in another state; ranges inside the size that it was made for. */
    Snapshot with(MemoryRange range, byte state) {
        Edit edit = new Edit();
        edit.set(range, state);
        return edit.done();
    }

    /** Begins a change of several ranges. */
    Edit edit() {
        return new Edit();
    }

    static byte stateOf(Access access) {
        return switch (access) {
            case NONE -> NONE;
            case READ -> READ;
            case READ_WRITE -> READ_WRITE;
        };
    }

    /** What is accessible, in order, neighbours alike as one. Pieces in transition are left out. */
    List<AccessPiece> pieces() {
        List<AccessPiece> pieces = new ArrayList<>();
        long end = (long) leaves.length << LEAF_BITS;
        long start = 0;
        byte state = NONE;
        for (long at = 0; at < end; at += step(at)) {
            byte here = state(at);
            if (here != state) {
                add(pieces, start, at, state);
                start = at;
                state = here;
            }
        }
        add(pieces, start, end, state);
        return pieces;
    }

    private static void add(List<AccessPiece> pieces, long start, long end, byte state) {
        if (state >= READ && start != end) {
            pieces.add(new AccessPiece(new MemoryRange(start, end), state == READ ? Access.READ : Access.READ_WRITE));
        }
    }

    private byte[] pages(int leaf, int chunk) {
        byte[][] row = mixed[leaf];
        if (row == null) {
            throw new AssertionError("a mixed chunk without pages");
        }
        return row[chunk];
    }

    private static int chunkInLeaf(long gpa) {
        return (int) (gpa >>> CHUNK_BITS) & (CHUNKS_PER_LEAF - 1);
    }

    private static int pageInChunk(long gpa) {
        return (int) (gpa >>> PAGE_BITS) & (PAGES_PER_CHUNK - 1);
    }

    private static byte[][] uniformLeaves() {
        byte[][] leaves = new byte[READ_WRITE + 1][CHUNKS_PER_LEAF];
        for (byte state = 0; state <= READ_WRITE; state++) {
            Arrays.fill(leaves[state], state);
        }
        return leaves;
    }

    /** A change in the making: copies what it touches, once. Used by one thread, then done. */
    final class Edit {
        private final byte[][] newLeaves = leaves.clone();
        private final byte[] @Nullable [] @Nullable [] newMixed = mixed.clone();

        private Edit() {}

        Edit set(MemoryRange range, byte state) {
            long at = range.start();
            while (at != range.end()) {
                int leaf = (int) (at >>> LEAF_BITS);
                long end = Math.min(((long) leaf + 1) << LEAF_BITS, range.end());
                if (end - at == LEAF) {
                    newLeaves[leaf] = UNIFORM[state];
                    newMixed[leaf] = null;
                } else {
                    setInLeaf(leaf, at, end, state);
                }
                at = end;
            }
            return this;
        }

        Snapshot done() {
            return new Snapshot(newLeaves, newMixed);
        }

        private void setInLeaf(int leaf, long start, long end, byte state) {
            byte[] chunks = writableLeaf(leaf);
            long at = start;
            while (at != end) {
                int chunk = chunkInLeaf(at);
                long stop = Math.min((at | (CHUNK - 1)) + 1, end);
                if (stop - at == CHUNK) {
                    chunks[chunk] = state;
                    forgetPages(leaf, chunk);
                } else {
                    setInChunk(leaf, chunks, chunk, at, stop, state);
                }
                at = stop;
            }
            byte first = chunks[0];
            if (first != MIXED && Arrays.equals(chunks, UNIFORM[first])) {
                newLeaves[leaf] = UNIFORM[first];
                newMixed[leaf] = null;
            }
        }

        private void setInChunk(int leaf, byte[] chunks, int chunk, long start, long end, byte state) {
            if (chunks[chunk] == state) {
                return;
            }
            byte[] pages = new byte[PAGES_PER_CHUNK];
            byte[][] row = writableRow(leaf);
            if (chunks[chunk] == MIXED) {
                System.arraycopy(row[chunk], 0, pages, 0, PAGES_PER_CHUNK);
            } else {
                Arrays.fill(pages, chunks[chunk]);
            }
            int first = pageInChunk(start);
            Arrays.fill(pages, first, first + (int) ((end - start) >>> PAGE_BITS), state);
            if (Arrays.equals(pages, UNIFORM[state])) {
                chunks[chunk] = state;
                forgetPages(leaf, chunk);
            } else {
                chunks[chunk] = MIXED;
                row[chunk] = pages;
            }
        }

        private void forgetPages(int leaf, int chunk) {
            byte[][] row = newMixed[leaf];
            if (row != null && row[chunk] != null) {
                writableRow(leaf)[chunk] = null;
            }
        }

        /** A leaf is ours to write once it is neither the old one nor a shared one. */
        private byte[] writableLeaf(int leaf) {
            byte[] chunks = newLeaves[leaf];
            if (chunks == leaves[leaf] || chunks == UNIFORM[chunks[0] & 3]) {
                chunks = chunks.clone();
                newLeaves[leaf] = chunks;
            }
            return chunks;
        }

        private byte[] @Nullable [] writableRow(int leaf) {
            byte[] @Nullable [] row = newMixed[leaf];
            if (row == null) {
                row = new byte[CHUNKS_PER_LEAF][];
            } else if (row == mixed[leaf]) {
                row = row.clone();
            }
            newMixed[leaf] = row;
            return row;
        }
    }
}
