package io.membacking.inspect.internal;

import io.membacking.inspect.InspectNode;
import io.membacking.inspect.InspectNode.Directory;
import io.membacking.inspect.InspectNode.Numeric;
import io.membacking.inspect.InspectNode.Unreadable;
import io.membacking.inspect.InspectService;
import io.membacking.inspect.Inspectable;
import io.membacking.inspect.internal.Provider.Call;
import io.membacking.inspect.internal.Provider.Refused;
import io.membacking.inspect.internal.Provider.Setting;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Pattern;
import org.osgi.framework.Constants;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.component.annotations.ReferenceCardinality;
import org.osgi.service.component.annotations.ReferencePolicy;

/**
 * The inspect tree, made afresh for every query from the {@link Inspectable} services there are.
 *
 * <p>Providers are foreign code, so each is called on a thread of this component's own, of which there are at most
 * {@link #THREADS}. One that does not come back in time keeps its thread until it does, and is not called again before. The rest
 * stays readable as long as fewer than {@link #THREADS} are stuck.
 */
@Component(service = InspectService.class)
public final class InspectTree implements InspectService {
    static final int THREADS = 16;

    /** Levels entered below a path at the most: a provider that never ends overflows no reader's stack. */
    static final int MOST_DEPTH = 64;

    private static final Duration SET_DEADLINE = Duration.ofSeconds(2);
    private static final Duration END_DEADLINE = Duration.ofSeconds(1);
    private static final Pattern DISAMBIGUATED = Pattern.compile(".* \\(\\d+\\)");

    /** By service id: the first at a place keeps its names where several tell the same. */
    private final ConcurrentSkipListMap<Long, Provider> providers = new ConcurrentSkipListMap<>();

    private final CountDownLatch closed = new CountDownLatch(1);
    private final ThreadPoolExecutor executor;

    @Activate
    public InspectTree() {
        AtomicInteger number = new AtomicInteger();
        executor = new ThreadPoolExecutor(THREADS, THREADS, 10, TimeUnit.SECONDS, new LinkedBlockingQueue<>(), body -> {
            Thread thread = new Thread(body, "membacking-inspect-" + number.incrementAndGet());
            thread.setDaemon(true);
            // Otherwise it would hold the class loader of whoever asked first.
            thread.setContextClassLoader(null);
            return thread;
        });
        executor.allowCoreThreadTimeOut(true);
    }

    @Reference(
            name = "inspectables",
            cardinality = ReferenceCardinality.MULTIPLE,
            policy = ReferencePolicy.DYNAMIC,
            updated = "bind")
    public void bind(Inspectable inspectable, Map<String, Object> properties) {
        List<String> path =
                properties.get(Inspectable.PATH) instanceof String given ? InspectPath.names(given) : List.of();
        if (closed.getCount() > 0) {
            providers.compute(
                    id(properties),
                    (id, before) ->
                            before != null && before.is(inspectable, path) ? before : new Provider(inspectable, path));
        }
    }

    /** Comes after {@link #close()} when the component goes; does nothing then. */
    public void unbind(Inspectable inspectable, Map<String, Object> properties) {
        providers.remove(id(properties));
    }

    private static long id(Map<String, Object> properties) {
        Object id = properties.get(Constants.SERVICE_ID);
        if (id instanceof Long number) {
            return number;
        }
        throw new IllegalArgumentException("an inspectable needs the property " + Constants.SERVICE_ID);
    }

    /** Ends every thread that heeds an interrupt, and every query under way. Closing twice does nothing. */
    @Deactivate
    public void close() {
        closed.countDown();
        providers.clear();
        for (Runnable waiting : executor.shutdownNow()) {
            if (waiting instanceof FutureTask<?> task) {
                task.cancel(false);
            }
        }
        try {
            // A provider that is stuck for longer has its thread until it returns: nothing in Java can end it.
            boolean unused = executor.awaitTermination(END_DEADLINE.toMillis(), TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public Optional<InspectNode> inspect(Query query) {
        InspectPath path = InspectPath.parse(query.path());
        Optional<InspectNode> node = read(path.names(), query);
        if (node.isEmpty()) {
            node = readBesideOthers(path.names(), query);
        }
        if (path.directory() && node.isPresent() && isValue(node.get())) {
            throw new IllegalArgumentException("inspect path '" + query.path() + "': " + path + " is not a directory");
        }
        return node;
    }

    private static boolean isValue(InspectNode node) {
        return !(node instanceof Directory || node instanceof InspectNode.NotEntered || node instanceof Unreadable);
    }

    /** A node whose name was taken, so that it is called {@code name (2)}: known only beside the others of its directory. */
    private Optional<InspectNode> readBesideOthers(List<String> names, Query query) {
        for (int i = 0; i < names.size(); i++) {
            if (DISAMBIGUATED.matcher(names.get(i)).matches()) {
                List<String> rest = names.subList(i, names.size());
                long depth = (long) query.depth() + rest.size();
                Query above = new Query("", (int) Math.min(Integer.MAX_VALUE, depth), query.most(), query.deadline());
                Optional<InspectNode> node = read(names.subList(0, i), above);
                for (String name : rest) {
                    node = node.map(n -> n instanceof Directory directory
                            ? directory.children().get(name)
                            : null);
                }
                return node;
            }
        }
        return Optional.empty();
    }

    private Optional<InspectNode> read(List<String> names, Query query) {
        checkOpen();
        long end = System.nanoTime() + query.deadline().toNanos();
        List<Part> parts = new ArrayList<>();
        for (Provider provider : providers.values()) {
            if (provider.shows(names)) {
                parts.add(start(provider, names, query));
            }
        }
        InspectNode root = names.isEmpty() ? new Directory(Map.of()) : null;
        for (Part part : parts) {
            Optional<InspectNode> node = part.await(end);
            root = node.isPresent() ? Merge.both(root, node.get()) : root;
        }
        return Optional.ofNullable(root);
    }

    private Part start(Provider provider, List<String> names, Query query) {
        int depth = Math.min(query.depth(), MOST_DEPTH);
        if (provider.levelsBelow(names) > depth) {
            InspectNode lead = provider.lead(names, depth, new InspectNode.NotEntered());
            return end -> Optional.of(lead);
        }
        Answer<Optional<InspectNode>> answer = ask(provider, provider.read(names, depth, query.most()));
        return end -> {
            try {
                return answer.await(end);
            } catch (ExecutionException e) {
                return Optional.of(provider.lead(
                        names, depth, new Unreadable(provider + " threw " + Collector.reason(e.getCause()))));
            } catch (TimeoutException e) {
                return Optional.of(provider.lead(names, depth, new Unreadable(provider + " " + e.getMessage())));
            }
        };
    }

    private void checkOpen() {
        if (closed.getCount() == 0) {
            throw saysClosed();
        }
    }

    private <T> Answer<T> ask(Provider provider, Call<T> call) {
        Optional<String> stuck = provider.stuck();
        if (stuck.isPresent()) {
            return end -> {
                throw new TimeoutException(stuck.get());
            };
        }
        FutureTask<T> task = new FutureTask<>(call);
        try {
            executor.execute(task);
        } catch (RejectedExecutionException e) {
            throw saysClosed();
        }
        return end -> {
            try {
                return task.get(Math.max(0, end - System.nanoTime()), TimeUnit.NANOSECONDS);
            } catch (TimeoutException e) {
                task.cancel(true);
                executor.remove(task);
                throw new TimeoutException(
                        provider.overdue(call)
                                ? "did not answer in time"
                                : "was not asked in time: no thread was free");
            } catch (CancellationException e) {
                throw saysClosed();
            } catch (InterruptedException e) {
                task.cancel(true);
                executor.remove(task);
                boolean unused = provider.overdue(call);
                Thread.currentThread().interrupt();
                throw new TimeoutException("was not waited for: the reader was interrupted");
            }
        };
    }

    @Override
    public Optional<InspectNode> rates(Query query, Duration interval) throws InterruptedException {
        if (interval.isNegative() || interval.isZero()) {
            throw new IllegalArgumentException(
                    "interval " + interval + " for rates of inspect path '" + query.path() + "' is not positive");
        }
        long start = System.nanoTime();
        Optional<InspectNode> before = inspect(query);
        if (closed.await(interval.toNanos(), TimeUnit.NANOSECONDS)) {
            throw saysClosed();
        }
        double seconds = (System.nanoTime() - start) / 1e9;
        return inspect(query).map(after -> rate(before.orElse(after), after, seconds));
    }

    /** Counters as rates; one that is new, or went back and so is another, stays a number. */
    private static InspectNode rate(InspectNode before, InspectNode after, double seconds) {
        if (before instanceof Directory old && after instanceof Directory directory) {
            Map<String, InspectNode> children = new TreeMap<>();
            directory.children().forEach((name, node) -> {
                InspectNode earlier = old.children().get(name);
                children.put(name, earlier == null ? node : rate(earlier, node, seconds));
            });
            return new Directory(children);
        }
        if (before instanceof Numeric first
                && after instanceof Numeric second
                && first.counter()
                && second.counter()
                && second.value() >= first.value()) {
            return new InspectNode.Rate((second.value() - first.value()) / seconds);
        }
        return after;
    }

    @Override
    public void set(String path, String value) {
        checkOpen();
        InspectPath place = InspectPath.parse(path);
        if (place.directory()) {
            throw new IllegalArgumentException("inspect path '" + path + "' means a directory, which cannot be set");
        }
        long end = System.nanoTime() + SET_DEADLINE.toNanos();
        boolean exists = false;
        String unanswered = null;
        for (Provider provider : providers.values()) {
            if (!provider.shows(place.names()) || provider.levelsBelow(place.names()) > 0) {
                continue;
            }
            try {
                Setting setting =
                        ask(provider, provider.set(place.names(), value)).await(end);
                if (setting == Setting.DONE) {
                    return;
                }
                exists |= setting == Setting.NOT_SETTABLE;
            } catch (ExecutionException e) {
                if (e.getCause() instanceof Refused refused) {
                    String problem = "inspect path '" + path + "': " + Collector.reason(refused.answer());
                    throw refused.answer() instanceof IllegalArgumentException
                            ? new IllegalArgumentException(problem, refused)
                            : new IllegalStateException(problem, refused);
                }
                unanswered = provider + " threw " + Collector.reason(e.getCause());
            } catch (TimeoutException e) {
                unanswered = provider + " " + e.getMessage();
            }
        }
        if (unanswered != null) {
            throw new IllegalStateException(
                    "inspect path '" + path + "': " + unanswered + ", so the value may or may not be set");
        }
        throw new IllegalArgumentException(
                "inspect path '" + path + "' " + (exists ? "cannot be set" : "has no such node"));
    }

    @Override
    public String toText(InspectNode node) {
        return TextFormat.format(node);
    }

    @Override
    public String toJson(InspectNode node) {
        return JsonFormat.format(node);
    }

    private static IllegalStateException saysClosed() {
        return new IllegalStateException("the inspect service is closed");
    }

    /** A part of the answer to a query, which comes before {@code System.nanoTime()} reaches the end or says that it did not. */
    private interface Part {
        Optional<InspectNode> await(long end);
    }

    private interface Answer<T> {
        T await(long end) throws ExecutionException, TimeoutException;
    }
}
