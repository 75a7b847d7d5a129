package io.membacking.partition.kvm;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import io.membacking.error.BackendException;
import io.membacking.range.MemoryRange;
import java.util.BitSet;
import java.util.HashMap;
import java.util.Map;

/**
 * KVM's log of the pages that the guest wrote, slot by slot. Not thread-safe.
 *
 * <p>Where reading and clearing are two calls ({@code KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2}), exactly what was read is cleared, and a
 * page written between the two is in this log if it was in it already, and else in the next. Where reading clears, it clears a whole
 * slot: what was not asked for is kept here.
 */
final class DirtyLog {
    private final Syscalls calls;
    private final int vm;
    private final boolean manual;
    private final Map<Integer, BitSet> kept = new HashMap<>();

    /** @param manual whether reading and clearing are two calls */
    DirtyLog(Syscalls calls, int vm, boolean manual) {
        this.calls = calls;
        this.vm = vm;
        this.manual = manual;
    }

    /**
     * Takes the pages of a part of a slot.
     *
     * @param slotPages in all
     * @param first the part's first page in the slot
     * @param pages how many it has
     * @return their indices in the part
     */
    BitSet take(int slot, int slotPages, int first, int pages, MemoryRange part, String operation)
            throws BackendException {
        long bytes = words(slotPages) * Long.BYTES;
        try (Memory bitmap = new Memory(bytes);
                Memory request = new Memory(Math.max(KvmAbi.DIRTY_LOG_SIZE, KvmAbi.CLEAR_DIRTY_LOG_SIZE))) {
            bitmap.clear();
            request.clear();
            request.setInt(KvmAbi.DIRTY_LOG_SLOT, slot);
            request.setLong(KvmAbi.DIRTY_LOG_BITMAP, Pointer.nativeValue(bitmap));
            check(calls.ioctl(vm, KvmAbi.KVM_GET_DIRTY_LOG, request), part, operation);
            BitSet dirty = BitSet.valueOf(bitmap.getByteBuffer(0, bytes));
            if (manual) {
                dirty = dirty.get(first, first + pages);
                if (!dirty.isEmpty()) {
                    check(clear(slot, slotPages, first, dirty, request), part, operation);
                }
                giveBack(slot, first, dirty);
            } else {
                giveBack(slot, 0, dirty);
            }
        }
        BitSet all = kept.getOrDefault(slot, new BitSet());
        BitSet taken = all.get(first, first + pages);
        all.clear(first, first + pages);
        if (all.isEmpty()) {
            kept.remove(slot);
        }
        return taken;
    }

    /** Pages that were taken, and are to be in the log again. */
    void giveBack(int slot, int first, BitSet pages) {
        if (!pages.isEmpty()) {
            BitSet all = kept.computeIfAbsent(slot, s -> new BitSet());
            pages.stream().forEach(page -> all.set(first + page));
        }
    }

    private static void check(int result, MemoryRange part, String operation) throws BackendException {
        if (result < 0) {
            throw KvmErrors.failed(operation, part, "KVM does not give its log", result);
        }
    }

    private int clear(int slot, int slotPages, int first, BitSet taken, Memory request) {
        int start = first & -Long.SIZE; // KVM clears whole words, of those bits that are set
        int end = (int) Math.min(slotPages, words(first + taken.length()) * Long.SIZE);
        try (Memory bitmap = new Memory(words(end - start) * Long.BYTES)) {
            bitmap.clear();
            BitSet shifted = new BitSet();
            taken.stream().forEach(page -> shifted.set(first - start + page));
            byte[] bits = shifted.toByteArray();
            bitmap.write(0, bits, 0, bits.length);
            request.setInt(KvmAbi.CLEAR_DIRTY_LOG_SLOT, slot);
            request.setInt(KvmAbi.CLEAR_DIRTY_LOG_PAGES, end - start);
            request.setLong(KvmAbi.CLEAR_DIRTY_LOG_FIRST, start);
            request.setLong(KvmAbi.CLEAR_DIRTY_LOG_BITMAP, Pointer.nativeValue(bitmap));
            return calls.ioctl(vm, KvmAbi.KVM_CLEAR_DIRTY_LOG, request);
        }
    }

    /** The slot was deleted, and its log with it. */
    void forget(int slot) {
        kept.remove(slot);
    }

    private static long words(int bits) {
        return ((long) bits + Long.SIZE - 1) / Long.SIZE;
    }
}
