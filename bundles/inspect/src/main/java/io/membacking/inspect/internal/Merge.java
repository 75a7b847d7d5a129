package io.membacking.inspect.internal;

import io.membacking.inspect.InspectNode;
import io.membacking.inspect.InspectNode.Directory;
import io.membacking.inspect.InspectNode.NotEntered;
import io.membacking.inspect.InspectNode.Unreadable;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** Makes one tree of what several providers tell about one place. */
final class Merge {
    /** The name under which a directory holds why a part of it is missing. */
    static final String UNREADABLE = "unreadable";

    private Merge() {}

    /** Adds a node. Directories of one name become one; of other nodes the later ones are called {@code name (2)} and so on. */
    static void into(Map<String, InspectNode> children, String name, InspectNode node) {
        String free = name;
        for (int i = 2; children.containsKey(free); i++) {
            Optional<InspectNode> merged = merge(children.get(free), node);
            if (merged.isPresent()) {
                children.put(free, merged.get());
                return;
            }
            free = name + " (" + i + ")";
        }
        children.put(free, node);
    }

    /** One node of two; where they cannot be one, the first, but anything rather than an unreadable one. */
    static InspectNode both(@Nullable InspectNode first, InspectNode second) {
        if (first == null) {
            return second;
        }
        return merge(first, second).orElse(first instanceof Unreadable ? second : first);
    }

    private static Optional<InspectNode> merge(InspectNode a, InspectNode b) {
        if (a instanceof Directory first && b instanceof Directory second) {
            Map<String, InspectNode> children = new TreeMap<>(first.children());
            second.children().forEach((name, node) -> into(children, name, node));
            return Optional.of(new Directory(children));
        }
        if (a instanceof Directory directory && b instanceof Unreadable) {
            Map<String, InspectNode> children = new TreeMap<>(directory.children());
            into(children, UNREADABLE, b);
            return Optional.of(new Directory(children));
        }
        if (a instanceof Unreadable && b instanceof Directory) {
            return merge(b, a);
        }
        if (a instanceof Unreadable first && b instanceof Unreadable second) {
            return Optional.of(new Unreadable(first.reason() + "; " + second.reason()));
        }
        return a instanceof NotEntered && b instanceof NotEntered ? Optional.of(a) : Optional.empty();
    }
}
