package io.membacking.inspect.internal;

import io.membacking.inspect.InspectNode;
import io.membacking.inspect.Inspection;
import io.membacking.inspect.Sensitivity;
import java.util.List;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Takes what a provider tells and keeps what a query asks for. First it goes down the names of the path, looking at nothing
 * beside them; at their end it keeps everything, as deep as the query goes. Used by one thread.
 *
 * <p>Directories carry names alone, so one of which nobody has said how sensitive it is gets entered even where only what is
 * safe is shown; its values are judged one by one. Children begin with the sensitivity of their parent.
 */
final class Collector implements Inspection {
    private final List<String> path;
    private final int depth;
    private final Sensitivity most;
    private final TreeMap<String, InspectNode> children = new TreeMap<>();
    private Sensitivity sensitivity;
    private @Nullable InspectNode found;
    private @Nullable Consumer<String> setter;
    private boolean ended;

    private Collector(List<String> path, int depth, Sensitivity most, Sensitivity sensitivity) {
        this.path = path;
        this.depth = depth;
        this.most = most;
        this.sensitivity = sensitivity;
    }

    /**
     * @param path the names that lead from here to what is asked for; empty: this is it
     * @param depth how many levels to enter below that
     */
    Collector(List<String> path, int depth, Sensitivity most) {
        this(path, depth, most, Sensitivity.UNSPECIFIED);
    }

    /** What was told of what the query asks for. */
    Optional<InspectNode> result() {
        return path.isEmpty() ? Optional.of(new InspectNode.Directory(children)) : Optional.ofNullable(found);
    }

    /** What sets the node that the path leads to, if it was told as one that can be set. */
    Optional<Consumer<String>> setter() {
        return Optional.ofNullable(setter);
    }

    /** Enters a place below this one, or this one itself. */
    void at(List<String> names, Consumer<Collector> content) {
        if (names.isEmpty()) {
            content.accept(this);
        } else {
            enter(names.get(0), below -> below.at(names.subList(1, names.size()), content));
        }
    }

    @Override
    public Inspection text(String name, String value) {
        return value(name, sensitivity, new InspectNode.Text(value, false), null);
    }

    @Override
    public Inspection number(String name, long value) {
        return value(name, sensitivity, new InspectNode.Numeric(value, false, false), null);
    }

    @Override
    public Inspection hex(String name, long value) {
        return value(name, sensitivity, new InspectNode.Numeric(value, true, false), null);
    }

    @Override
    public Inspection bool(String name, boolean value) {
        return value(name, sensitivity, new InspectNode.Bool(value), null);
    }

    @Override
    public Inspection counter(String name, long value) {
        return value(name, sensitivity, new InspectNode.Numeric(value, false, true), null);
    }

    @Override
    public Inspection hostAddress(String name, long value) {
        return value(name, Sensitivity.SENSITIVE, new InspectNode.Numeric(value, true, false), null);
    }

    @Override
    public Inspection settable(String name, String value, Consumer<String> setter) {
        return value(name, sensitivity, new InspectNode.Text(value, true), setter);
    }

    @Override
    public Inspection child(String name, Consumer<Inspection> content) {
        List<String> names = names(name);
        int last = names.size() - 1;
        at(names.subList(0, last), place -> place.enter(names.get(last), content::accept));
        return this;
    }

    @Override
    public Inspection sensitivity(Sensitivity sensitivity) {
        names("sensitivity");
        this.sensitivity = sensitivity;
        return this;
    }

    private Inspection value(String name, Sensitivity level, InspectNode node, @Nullable Consumer<String> setter) {
        List<String> names = names(name);
        int last = names.size() - 1;
        at(names.subList(0, last), place -> place.put(names.get(last), level, node, setter));
        return this;
    }

    private void put(String name, Sensitivity level, InspectNode node, @Nullable Consumer<String> setter) {
        if (level.compareTo(most) > 0) {
            return;
        }
        if (path.isEmpty()) {
            Merge.into(children, name, node);
        } else if (path.size() == 1 && path.get(0).equals(name)) {
            found = Merge.both(found, node);
            this.setter = this.setter == null ? setter : this.setter;
        }
    }

    private void enter(String name, Consumer<Collector> content) {
        if (sensitivity == Sensitivity.SENSITIVE && most != Sensitivity.SENSITIVE) {
            return;
        }
        boolean going = !path.isEmpty();
        if (going && !path.get(0).equals(name)) {
            return;
        }
        if (!going && depth == 0) {
            Merge.into(children, name, new InspectNode.NotEntered());
            return;
        }
        Collector below = going
                ? new Collector(path.subList(1, path.size()), depth, most, sensitivity)
                : new Collector(path, depth - 1, most, sensitivity);
        Optional<InspectNode> told;
        try {
            content.accept(below);
            told = below.result();
        } catch (RuntimeException | LinkageError | StackOverflowError e) {
            // What was told before is kept out: half a node would be taken for a whole one.
            told = Optional.of(new InspectNode.Unreadable(reason(e)));
        } finally {
            below.ended = true;
        }
        if (going) {
            found = told.isPresent() ? Merge.both(found, told.get()) : found;
            setter = setter == null ? below.setter : setter;
        } else {
            told.ifPresent(node -> Merge.into(children, name, node));
        }
    }

    static String reason(@Nullable Throwable e) {
        if (e == null) {
            return "failed";
        }
        String message = e.getMessage();
        return e.getClass().getSimpleName() + (message == null ? "" : ": " + message);
    }

    /** A name with slashes stands for directories below each other, so that every node can be reached by a path. */
    private List<String> names(String name) {
        if (ended) {
            throw new IllegalStateException("this inspection has ended: it is good during the call alone");
        }
        List<String> names = InspectPath.names(name);
        if (names.isEmpty()) {
            throw new IllegalArgumentException("a node of the inspect tree needs a name");
        }
        return names;
    }
}
