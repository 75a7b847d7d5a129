package io.membacking.inspect;

import org.osgi.annotation.versioning.ConsumerType;

/** A component that shows its state. A service, whiteboard style; see {@link #PATH}. */
@ConsumerType
@FunctionalInterface
public interface Inspectable {
    /**
     * Service property: where in the tree it shows, names separated by {@code /}: {@code "guests/web1"}. Several at one path are
     * flattened into one node.
     */
    String PATH = "inspect.path";

    /** Tells its state as of now. Called from any thread; should be quick: a slow one is left out of the answer. Never reads guest memory. */
    void inspect(Inspection inspection);
}
