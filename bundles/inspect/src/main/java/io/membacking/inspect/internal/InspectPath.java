package io.membacking.inspect.internal;

import java.util.Arrays;
import java.util.List;

/**
 * A path of the inspect tree.
 *
 * @param names what lies between the slashes; empty is the root
 * @param directory whether a trailing slash says that a directory is meant
 */
record InspectPath(List<String> names, boolean directory) {
    InspectPath {
        names = List.copyOf(names);
    }

    /** Repeated and leading slashes count for nothing. */
    static InspectPath parse(String path) {
        return new InspectPath(names(path), path.endsWith("/"));
    }

    static List<String> names(String path) {
        return Arrays.stream(path.split("/")).filter(name -> !name.isEmpty()).toList();
    }

    @Override
    public String toString() {
        return String.join("/", names);
    }
}
