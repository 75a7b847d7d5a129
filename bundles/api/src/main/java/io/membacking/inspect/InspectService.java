package io.membacking.inspect;

import java.time.Duration;
import java.util.Optional;

/** Reads the inspect tree. A service; thread-safe. */
public interface InspectService {
    /**
     * Reads the tree at a path.
     *
     * @return empty if there is no such node
     */
    Optional<InspectNode> inspect(Query query);

    /** As {@link #inspect}, twice, with counters as rates over the interval. */
    Optional<InspectNode> rates(Query query, Duration interval) throws InterruptedException;

    /** Sets a node. @throws IllegalArgumentException if there is no such node, it cannot be set, or it refuses the value */
    void set(String path, String value);

    /** The node as indented text, a name a line. */
    String toText(InspectNode node);

    String toJson(InspectNode node);

    /**
     * What to read.
     *
     * @param path names separated by {@code /}; repeated and leading ones are ignored; a trailing one says that a directory is
     *     meant, and on a value fails. Empty is the root
     * @param depth how many levels below the path to enter, at least 0
     * @param most the highest sensitivity to show
     * @param deadline how long to wait for a slow provider
     */
    record Query(String path, int depth, Sensitivity most, Duration deadline) {
        public Query {
            if (depth < 0) {
                throw new IllegalArgumentException("depth " + depth + " of inspect path '" + path + "' is negative");
            }
        }

        /** Everything that is not sensitive. */
        public static Query of(String path) {
            return new Query(path, Integer.MAX_VALUE, Sensitivity.UNSPECIFIED, Duration.ofSeconds(2));
        }
    }
}
