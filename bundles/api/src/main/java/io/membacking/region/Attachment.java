package io.membacking.region;

import io.membacking.partition.PartitionMapping;
import java.util.List;
import java.util.OptionalLong;

/** A partition bound to a guest's memory. Thread-safe. */
public interface Attachment extends AutoCloseable {
    Info info();

    /** What the partition should hold by the region manager's book, in order. */
    List<PartitionMapping> mappings();

    /** Detaches: unmaps everything from the partition, unless it has gone. Cannot fail; closing twice does nothing. */
    @Override
    void close();

    /**
     * An attachment as it stands.
     *
     * @param backend the backend's name
     * @param detachedReason why it is detached; empty while it is attached
     * @param pin what was asked and what was achieved
     * @param prefetch likewise, of the last prefetch
     */
    record Info(
            String name,
            String backend,
            int vtl,
            OptionalLong aliasOffset,
            String detachedReason,
            Effect pin,
            Effect prefetch) {
        public boolean attached() {
            return detachedReason.isEmpty();
        }
    }

    /** What was asked beside what was achieved. */
    record Effect(boolean asked, Achieved achieved, String detail) {
        public static final Effect NOT_ASKED = new Effect(false, Achieved.NOTHING, "");
    }

    enum Achieved {
        NOTHING,
        /** Host memory is locked or populated; the partition's own tables are not. */
        HOST_MEMORY,
        /** The partition's own tables hold it. */
        PARTITION
    }
}
