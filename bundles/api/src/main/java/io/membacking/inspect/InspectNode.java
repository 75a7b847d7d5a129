package io.membacking.inspect;

import java.util.Map;
import java.util.TreeMap;

/** A node of the inspect tree as it was at one moment. Immutable. */
public sealed interface InspectNode {
    /** Names to nodes, in natural order: {@code a2} before {@code a10}. */
    record Directory(Map<String, InspectNode> children) implements InspectNode {
        public Directory {
            TreeMap<String, InspectNode> sorted = new TreeMap<>(NaturalOrder.INSTANCE);
            sorted.putAll(children);
            children = java.util.Collections.unmodifiableMap(sorted);
        }
    }

    record Text(String value, boolean settable) implements InspectNode {}

    record Numeric(long value, boolean hexadecimal, boolean counter) implements InspectNode {}

    /** A counter over an interval, per second. */
    record Rate(double perSecond) implements InspectNode {}

    record Bool(boolean value) implements InspectNode {}

    /** A directory that the depth limit did not let be entered. */
    record NotEntered() implements InspectNode {}

    /** What could not be read, and why: too slow, gone, threw. */
    record Unreadable(String reason) implements InspectNode {}
}
