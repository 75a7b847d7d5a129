package io.membacking.inspect.internal;

import io.membacking.inspect.InspectNode;
import io.membacking.inspect.Inspectable;
import io.membacking.inspect.Sensitivity;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;

/** An {@link Inspectable} and where it shows. Thread-safe. */
final class Provider {
    private final Inspectable inspectable;
    private final List<String> path;

    /** Calls that have outlived their deadlines: the provider is left alone until they return. */
    private final Set<Call<?>> overdue = ConcurrentHashMap.newKeySet();

    Provider(Inspectable inspectable, List<String> path) {
        this.inspectable = inspectable;
        this.path = List.copyOf(path);
    }

    boolean is(Inspectable inspectable, List<String> path) {
        return this.inspectable == inspectable && this.path.equals(path);
    }

    /** Whether a place is above, at or below where this shows. */
    boolean shows(List<String> names) {
        int common = Math.min(names.size(), path.size());
        return names.subList(0, common).equals(path.subList(0, common));
    }

    Call<Optional<InspectNode>> read(List<String> names, int depth, Sensitivity most) {
        return new Call<>(() -> {
            Collector collector = new Collector(names, depth, most);
            collector.at(path, inspectable::inspect);
            return collector.result();
        });
    }

    /** Finds what sets the node at {@code names} and calls it, after the provider has told its state, not within. */
    Call<Setting> set(List<String> names, String value) {
        return new Call<>(() -> {
            Collector collector = new Collector(names, 0, Sensitivity.SENSITIVE);
            collector.at(path, inspectable::inspect);
            Optional<Consumer<String>> setter = collector.setter();
            if (setter.isPresent()) {
                try {
                    setter.get().accept(value);
                } catch (RuntimeException e) {
                    throw new Refused(e);
                }
                return Setting.DONE;
            }
            Optional<InspectNode> node = collector.result();
            if (node.isPresent() && node.get() instanceof InspectNode.Unreadable unreadable) {
                throw new IllegalStateException(unreadable.reason());
            }
            return node.isPresent() ? Setting.NOT_SETTABLE : Setting.NO_SUCH_NODE;
        });
    }

    /** How many levels below a place this shows; 0 if there or above. */
    int levelsBelow(List<String> names) {
        return Math.max(0, path.size() - names.size());
    }

    /** The tree that leads from {@code names} to a node in this provider's place, as deep as the query goes. */
    InspectNode lead(List<String> names, int depth, InspectNode node) {
        return lead(path.subList(Math.min(names.size(), path.size()), path.size()), depth, node, 0);
    }

    private static InspectNode lead(List<String> below, int depth, InspectNode node, int level) {
        if (level == below.size()) {
            return node;
        }
        InspectNode next = level == depth ? new InspectNode.NotEntered() : lead(below, depth, node, level + 1);
        return new InspectNode.Directory(Map.of(below.get(level), next));
    }

    /** Who provides, for messages. */
    @Override
    public String toString() {
        return inspectable.getClass().getName();
    }

    /** Why it cannot be called now, if a call of before has not come back. */
    Optional<String> stuck() {
        overdue.removeIf(call -> !call.running());
        return overdue.stream()
                .map(Call::age)
                .max(Comparator.naturalOrder())
                .map(age -> "has not come back from a call for " + age.toMillis() + " ms");
    }

    /** Whether the call had begun; if not, it never will. */
    boolean overdue(Call<?> call) {
        if (call.withdraw()) {
            return false;
        }
        overdue.add(call);
        return true;
    }

    enum Setting {
        DONE,
        NOT_SETTABLE,
        NO_SUCH_NODE
    }

    /** What a setter threw, as against what the telling threw. */
    static final class Refused extends Exception {
        private static final long serialVersionUID = 1L;

        private final RuntimeException answer;

        Refused(RuntimeException answer) {
            super(answer);
            this.answer = answer;
        }

        RuntimeException answer() {
            return answer;
        }
    }

    /** A call of the provider, which knows whether it has really ended. */
    static final class Call<T> implements Callable<T> {
        private final Callable<T> body;
        private final AtomicReference<State> state = new AtomicReference<>(State.WAITING);
        private volatile long startedNanos;

        private enum State {
            WAITING,
            RUNNING,
            ENDED
        }

        Call(Callable<T> body) {
            this.body = body;
        }

        @Override
        public T call() throws Exception {
            startedNanos = System.nanoTime();
            if (!state.compareAndSet(State.WAITING, State.RUNNING)) {
                throw new CancellationException("nobody waits for it any more");
            }
            try {
                return body.call();
            } finally {
                state.set(State.ENDED);
            }
        }

        boolean running() {
            return state.get() == State.RUNNING;
        }

        boolean withdraw() {
            return state.compareAndSet(State.WAITING, State.ENDED);
        }

        Duration age() {
            return Duration.ofNanos(System.nanoTime() - startedNanos);
        }
    }
}
