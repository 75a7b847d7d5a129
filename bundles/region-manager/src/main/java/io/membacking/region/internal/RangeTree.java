package io.membacking.region.internal;

import io.membacking.range.MemoryRange;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * An immutable map from ranges, which may overlap and coincide, to values: every change gives a new tree that shares what did not
 * change, so the state before a change is still there if the change fails, and readers need no lock. Finding and changing cost
 * O(log n) for each value found or changed.
 *
 * <p>A treap: ordered by start and tie, a heap by a hash of the two, so its shape depends on its content alone; each node knows
 * the highest end below it. Bounds are unsigned.
 */
final class RangeTree<V> {
    private static final RangeTree<?> EMPTY = new RangeTree<>(null);

    private final @Nullable Node<V> root;

    private RangeTree(@Nullable Node<V> root) {
        this.root = root;
    }

    @SuppressWarnings("unchecked") // it holds no value
    static <V> RangeTree<V> empty() {
        return (RangeTree<V>) EMPTY;
    }

    /** With the value at the range; what was there under the same start and tie is replaced. */
    RangeTree<V> with(long start, long end, long tie, V value) {
        Split<V> split = split(without(start, tie).root, start, tie);
        return new RangeTree<>(join(join(split.less, new Node<>(start, end, tie, value, null, null)), split.rest));
    }

    RangeTree<V> with(MemoryRange range, V value) {
        return with(range.start(), range.end(), 0, value);
    }

    /** Without the value at this start and tie, if there is one. */
    RangeTree<V> without(long start, long tie) {
        Node<V> rest = remove(root, start, tie);
        return rest == root ? this : new RangeTree<>(rest);
    }

    RangeTree<V> without(MemoryRange range) {
        return without(range.start(), 0);
    }

    Optional<V> get(long start, long tie) {
        Node<V> node = root;
        while (node != null) {
            int order = node.compareTo(start, tie);
            if (order == 0) {
                return Optional.of(node.value);
            }
            node = order > 0 ? node.left : node.right;
        }
        return Optional.empty();
    }

    /** The values whose ranges overlap this one, in order. */
    List<V> overlapping(MemoryRange range) {
        List<V> found = new ArrayList<>();
        collect(range.start(), range.end() - 1, found);
        return found;
    }

    /** The values whose ranges overlap this one or end or begin where it begins or ends, in order. */
    List<V> touching(MemoryRange range) {
        List<V> found = new ArrayList<>();
        collect(range.start() == 0 ? 0 : range.start() - 1, range.end(), found);
        return found;
    }

    /** The values whose ranges contain the address, in order. */
    List<V> containing(long address) {
        List<V> found = new ArrayList<>();
        collect(address, address, found);
        return found;
    }

    /**
     * Adds the values whose ranges have anything in common with {@code first} to {@code last}, both inclusive.
     *
     * @return how many entries were looked at
     */
    int collect(long first, long last, List<V> found) {
        return collect(root, first, last, found);
    }

    /** All values, in order. */
    List<V> values() {
        List<V> all = new ArrayList<>();
        collect(root, 0, -1L, all);
        return all;
    }

    boolean isEmpty() {
        return root == null;
    }

    int size() {
        return root == null ? 0 : root.size;
    }

    /** The highest end; 0 if there is nothing. */
    long maxEnd() {
        return root == null ? 0 : root.maxEnd;
    }

    private static <V> int collect(@Nullable Node<V> node, long first, long last, List<V> found) {
        if (node == null || Long.compareUnsigned(node.maxEnd - 1, first) < 0) {
            return 0;
        }
        int looked = 1 + collect(node.left, first, last, found);
        if (Long.compareUnsigned(node.start, last) <= 0) {
            if (Long.compareUnsigned(node.end - 1, first) >= 0) {
                found.add(node.value);
            }
            looked += collect(node.right, first, last, found);
        }
        return looked;
    }

    private static <V> @Nullable Node<V> remove(@Nullable Node<V> node, long start, long tie) {
        if (node == null) {
            return null;
        }
        int order = node.compareTo(start, tie);
        if (order == 0) {
            return join(node.left, node.right);
        }
        Node<V> left = order > 0 ? remove(node.left, start, tie) : node.left;
        Node<V> right = order > 0 ? node.right : remove(node.right, start, tie);
        return left == node.left && right == node.right ? node : node.with(left, right);
    }

    private static <V> Split<V> split(@Nullable Node<V> node, long start, long tie) {
        if (node == null) {
            return new Split<>(null, null);
        }
        if (node.compareTo(start, tie) < 0) {
            Split<V> right = split(node.right, start, tie);
            return new Split<>(node.with(node.left, right.less), right.rest);
        }
        Split<V> left = split(node.left, start, tie);
        return new Split<>(left.less, node.with(left.rest, node.right));
    }

    private static <V> @Nullable Node<V> join(@Nullable Node<V> left, @Nullable Node<V> right) {
        if (left == null) {
            return right;
        }
        if (right == null) {
            return left;
        }
        return left.rank() > right.rank()
                ? left.with(left.left, join(left.right, right))
                : right.with(join(left, right.left), right.right);
    }

    private record Split<V>(
            @Nullable Node<V> less, @Nullable Node<V> rest) {}

    private static final class Node<V> {
        final long start;
        final long end;
        final long tie;
        final V value;
        final @Nullable Node<V> left;
        final @Nullable Node<V> right;
        final long maxEnd;
        final int size;

        Node(long start, long end, long tie, V value, @Nullable Node<V> left, @Nullable Node<V> right) {
            this.start = start;
            this.end = end;
            this.tie = tie;
            this.value = value;
            this.left = left;
            this.right = right;
            long max = end;
            int count = 1;
            if (left != null) {
                max = Long.compareUnsigned(left.maxEnd, max) > 0 ? left.maxEnd : max;
                count += left.size;
            }
            if (right != null) {
                max = Long.compareUnsigned(right.maxEnd, max) > 0 ? right.maxEnd : max;
                count += right.size;
            }
            this.maxEnd = max;
            this.size = count;
        }

        Node<V> with(@Nullable Node<V> newLeft, @Nullable Node<V> newRight) {
            return new Node<>(start, end, tie, value, newLeft, newRight);
        }

        int compareTo(long otherStart, long otherTie) {
            int order = Long.compareUnsigned(start, otherStart);
            return order != 0 ? order : Long.compare(tie, otherTie);
        }

        /** As good as random (the finalizer of SplitMix64), and one to one for trees with ties of 0: no two ranks are equal. */
        long rank() {
            long z = start + tie * 0x9e3779b97f4a7c15L;
            z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
            z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
            return z ^ (z >>> 31);
        }
    }
}
