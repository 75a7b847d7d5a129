package io.membacking.region.internal;

import io.membacking.range.MemoryRange;
import io.membacking.region.JournalEntry;
import java.util.ArrayDeque;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;

/** The latest commits of one guest, with where each made the flat view another. Thread-safe. */
final class Journal {
    /** How many commits are kept. */
    static final int CAPACITY = 256;

    private final ArrayDeque<Kept> entries = new ArrayDeque<>();
    private long sequence;

    private record Kept(JournalEntry entry, List<MemoryRange> changed) {}

    /** The number of the next commit. */
    synchronized long nextSequence() {
        return ++sequence;
    }

    synchronized void add(JournalEntry entry, List<MemoryRange> changed) {
        if (entries.size() == CAPACITY) {
            entries.removeFirst();
        }
        entries.addLast(new Kept(entry, changed));
    }

    /** Oldest first. */
    synchronized List<JournalEntry> entries() {
        return entries.stream().map(Kept::entry).toList();
    }

    /** The last that changed what shows at an address. */
    synchronized Optional<JournalEntry> lastChangeAt(long gpa) {
        for (Iterator<Kept> newest = entries.descendingIterator(); newest.hasNext(); ) {
            Kept kept = newest.next();
            if (kept.changed.stream().anyMatch(range -> range.contains(gpa))) {
                return Optional.of(kept.entry);
            }
        }
        return Optional.empty();
    }

    synchronized int size() {
        return entries.size();
    }
}
