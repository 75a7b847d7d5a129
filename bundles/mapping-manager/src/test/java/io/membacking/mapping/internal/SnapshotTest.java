package io.membacking.mapping.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.mapping.AccessPiece;
import io.membacking.mapping.AccessPiece.Access;
import io.membacking.range.MemoryRange;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Against a naive oracle: one byte for each page. */
class SnapshotTest {
    private static final long GIB = 1L << 30;
    private static final long SIZE = 3 * GIB + 0x345000;
    private static final int PAGE = MemoryRange.PAGE_SIZE;

    private final long seed = System.nanoTime();
    private final Random random = new Random(seed);
    private final byte[] oracle = new byte[(int) (SIZE / PAGE)];

    @Test
    void everyLookUpAgreesWithOneStateForEachPage() {
        Snapshot snapshot = Snapshot.empty(SIZE);
        for (int round = 0; round < 300; round++) {
            Snapshot.Edit edit = snapshot.edit();
            for (int i = random.nextInt(4); i >= 0; i--) {
                MemoryRange range = anyRange();
                byte state = (byte) random.nextInt(4);
                edit.set(range, state);
                for (long page = range.start() / PAGE; page < range.end() / PAGE; page++) {
                    oracle[(int) page] = state;
                }
            }
            Snapshot next = edit.done();
            for (int i = 0; i < 300; i++) {
                lookUp(next);
            }
            MemoryRange range = anyRange();
            byte least = (byte) (1 + random.nextInt(3));
            assertEquals(oracleAny(range, least), next.anyAtLeast(range, least), () -> said(range));
            snapshot = next;
        }
        assertEquals(oraclePieces(), snapshot.pieces(), () -> "seed " + seed);
    }

    private void lookUp(Snapshot snapshot) {
        long gpa = anyAddress();
        byte least = random.nextBoolean() ? Snapshot.READ : Snapshot.READ_WRITE;
        assertEquals(oracleState(gpa), snapshot.state(gpa), () -> said(gpa));
        int length = 1 << random.nextInt(4);
        assertEquals(oracleExtent(gpa, length, least) == length, snapshot.allows(gpa, length, least), () -> said(gpa));
        long most = random.nextInt(4) == 0 ? random.nextLong() >>> (1 + random.nextInt(60)) : random.nextInt(0x3000);
        assertEquals(oracleExtent(gpa, most, least), snapshot.extent(gpa, most, least), () -> said(gpa));
    }

    @Test
    void anEditLeavesTheSnapshotItBeganWithAlone() {
        Snapshot empty = Snapshot.empty(SIZE);
        Snapshot mixed = empty.edit().set(range(0x1000, 0x3000), Snapshot.READ).done();
        Snapshot more = mixed.edit()
                .set(range(0x2000, 0x600000), Snapshot.READ_WRITE)
                .set(range(0x5000, 0x6000), Snapshot.NONE)
                .set(range(GIB, 2 * GIB), Snapshot.READ_WRITE)
                .done();
        more.edit().set(range(0, SIZE & -0x1000), Snapshot.NONE).done();

        assertEquals(List.of(), empty.pieces());
        assertEquals(List.of(new AccessPiece(range(0x1000, 0x3000), Access.READ)), mixed.pieces());
        assertEquals(
                List.of(
                        new AccessPiece(range(0x1000, 0x2000), Access.READ),
                        new AccessPiece(range(0x2000, 0x5000), Access.READ_WRITE),
                        new AccessPiece(range(0x6000, 0x600000), Access.READ_WRITE),
                        new AccessPiece(range(GIB, 2 * GIB), Access.READ_WRITE)),
                more.pieces());
    }

    @Test
    void theLastByteOfTheAddressSpaceIsBadAndNothingWraps() {
        Snapshot all = Snapshot.empty(GIB)
                .edit()
                .set(range(0, GIB), Snapshot.READ_WRITE)
                .done();
        assertFalse(all.allows(-1, 1, Snapshot.READ));
        assertFalse(all.allows(-4, 8, Snapshot.READ));
        assertFalse(all.allows(GIB, 1, Snapshot.READ));
        assertFalse(all.allows(GIB - 7, 8, Snapshot.READ));
        assertTrue(all.allows(GIB - 8, 8, Snapshot.READ_WRITE));
        assertEquals(0, all.extent(-GIB, Long.MAX_VALUE, Snapshot.READ));
        assertEquals(GIB - 1, all.extent(1, Long.MAX_VALUE, Snapshot.READ));
    }

    private String said(Object where) {
        return "seed " + seed + " at " + (where instanceof Long gpa ? Long.toHexString(gpa) : where);
    }

    /** Mostly at edges: of pages, chunks, leaves and of all. */
    private long anyAddress() {
        return switch (random.nextInt(5)) {
            case 0 -> random.nextLong();
            case 1 -> random.nextLong(SIZE);
            case 2 -> random.nextLong(SIZE / 0x200000 + 2) * 0x200000 + random.nextInt(-9, 9);
            case 3 -> random.nextLong(5) * GIB + random.nextInt(-9, 9);
            default -> random.nextLong(0x800) * PAGE + random.nextInt(-9, 9);
        };
    }

    private MemoryRange anyRange() {
        long unit =
                switch (random.nextInt(3)) {
                    case 0 -> PAGE;
                    case 1 -> 0x200000;
                    default -> GIB;
                };
        long start = random.nextLong(SIZE / unit) * unit;
        long most = Math.min(SIZE - start, random.nextInt(8) == 0 ? SIZE : 8 * unit);
        long length = (random.nextLong(most / PAGE) + 1) * PAGE;
        return MemoryRange.ofLength(
                start, random.nextBoolean() ? length : Math.min(SIZE - start, Math.max(unit, length / unit * unit)));
    }

    private byte oracleState(long gpa) {
        return Long.compareUnsigned(gpa, SIZE) < 0 ? oracle[(int) (gpa / PAGE)] : Snapshot.NONE;
    }

    private long oracleExtent(long gpa, long most, byte least) {
        long good = 0;
        while (good < most && oracleState(gpa + good) >= least) {
            good += PAGE - ((gpa + good) & (PAGE - 1));
        }
        return Math.min(good, most);
    }

    private boolean oracleAny(MemoryRange range, byte least) {
        for (long at = range.start(); at < range.end(); at += PAGE) {
            if (oracleState(at) >= least) {
                return true;
            }
        }
        return false;
    }

    private List<AccessPiece> oraclePieces() {
        List<AccessPiece> pieces = new ArrayList<>();
        int start = 0;
        for (int page = 1; page <= oracle.length; page++) {
            if (page == oracle.length || oracle[page] != oracle[start]) {
                if (oracle[start] >= Snapshot.READ) {
                    pieces.add(new AccessPiece(
                            range((long) start * PAGE, (long) page * PAGE),
                            oracle[start] == Snapshot.READ ? Access.READ : Access.READ_WRITE));
                }
                start = page;
            }
        }
        return pieces;
    }

    private static MemoryRange range(long start, long end) {
        return new MemoryRange(start, end);
    }
}
