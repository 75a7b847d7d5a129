package io.membacking.partition.whp;

import io.membacking.error.BackendException;
import io.membacking.partition.PartitionMapping.Source;
import io.membacking.range.MemoryRange;
import java.util.HashMap;
import java.util.Map;

/**
 * Backings mapped whole into another process, each once, for as long as a range of the partition needs it. Not thread-safe; closed
 * after the partition that maps them.
 */
final class ForeignViews implements AutoCloseable {
    private static final class View {
        private final long address;
        private int uses;

        private View(long address) {
            this.address = address;
        }
    }

    private final WhpCalls calls;
    private final long process;
    private final boolean owned;

    /** By the number of the backing. */
    private final Map<Long, View> views = new HashMap<>();

    /** @param owned whether the process is a surrogate of ours, to be ended with this */
    ForeignViews(WhpCalls calls, long process, boolean owned) {
        this.calls = calls;
        this.process = process;
        this.owned = owned;
    }

    long process() {
        return process;
    }

    boolean isEmpty() {
        return views.isEmpty();
    }

    /** Where the piece lies in the other process; to be let go of by {@link #used} with -1. */
    long use(Source source, String operation, MemoryRange range) throws BackendException {
        View view = views.get(source.backing());
        if (view == null) {
            long address = calls.mapSection(process, source.descriptor());
            if (address < 0) {
                throw failed(operation, range, "its backing cannot be mapped into the other process", (int) address);
            }
            view = new View(address);
            views.put(source.backing(), view);
        }
        view.uses++;
        return view.address + source.offset();
    }

    /** The failure of a call for this process: that the process has ended, if it has. */
    BackendException failed(String operation, MemoryRange range, String problem, int result) {
        if (!calls.hasEnded(process)) {
            return WhpErrors.failed(operation, range, problem, result);
        }
        return WhpErrors.refused(
                operation,
                range,
                "the process that its memory goes through has ended",
                owned ? "unmap everything and map it again, or close the partition" : "give another process");
    }

    /** Ranges that use a backing came, or went; with the last one its view goes. */
    void used(Source source, int more) {
        View view = views.get(source.backing());
        if (view != null) {
            view.uses += more;
            if (view.uses <= 0) {
                views.remove(source.backing());
                calls.unmapSection(process, view.address);
            }
        }
    }

    @Override
    public void close() {
        views.values().forEach(view -> calls.unmapSection(process, view.address));
        views.clear();
        if (owned) {
            calls.endSurrogate(process);
        }
    }
}
