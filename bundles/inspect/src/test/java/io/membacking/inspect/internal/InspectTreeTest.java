package io.membacking.inspect.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.inspect.InspectNode;
import io.membacking.inspect.InspectNode.Directory;
import io.membacking.inspect.InspectNode.NotEntered;
import io.membacking.inspect.InspectNode.Numeric;
import io.membacking.inspect.InspectNode.Rate;
import io.membacking.inspect.InspectNode.Text;
import io.membacking.inspect.InspectNode.Unreadable;
import io.membacking.inspect.InspectService.Query;
import io.membacking.inspect.Inspectable;
import io.membacking.inspect.Inspection;
import io.membacking.inspect.Sensitivity;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class InspectTreeTest {
    private static final Duration SHORT = Duration.ofMillis(50);

    private static final Duration LONG = Duration.ofSeconds(50);

    private final InspectTree tree = new InspectTree();

    /** Lets providers that are stuck on purpose go, whatever the test came to. */
    private final CountDownLatch leave = new CountDownLatch(1);

    private long lastId;

    @AfterEach
    void close() {
        leave.countDown();
        tree.close();
    }

    @Test
    void providersAtDifferentPathsMakeOneTree() {
        bind("guests/web1", i -> i.number("size bytes", 4096));
        bind("/guests//web2/", i -> i.child("regions", r -> r.child("ram#1", ram -> ram.hex("start", 0))));
        bind("", i -> i.bool("ready", true));

        Directory root = directory("");
        assertEquals(List.of("guests", "ready"), List.copyOf(root.children().keySet()));
        assertEquals(
                List.of("web1", "web2"),
                List.copyOf(directory("guests").children().keySet()));
        assertEquals(new Numeric(0, true, false), node("guests/web2/regions/ram#1/start"));
        assertEquals(new Numeric(4096, false, false), node("//guests///web1/size bytes"));
    }

    @Test
    void anEmptyTreeHasARootAndNothingElse() {
        assertEquals(new Directory(Map.of()), node(""));
        assertEquals(new Directory(Map.of()), node("/"));
        assertEquals(Optional.empty(), tree.inspect(Query.of("guests")));
    }

    @Test
    void providersAtOnePathAreFlattened() {
        bind("guests/a", i -> i.number("x", 1).child("both", c -> c.number("first", 1)));
        bind("guests/a", i -> i.number("y", 2).child("both", c -> c.number("second", 2)));

        Directory both = directory("guests/a/both");
        assertEquals(List.of("first", "second"), List.copyOf(both.children().keySet()));
        assertEquals(
                List.of("both", "x", "y"),
                List.copyOf(directory("guests/a").children().keySet()));
    }

    @Test
    void valuesOfOneNameAreBothKeptAndBothFound() {
        bind("a", i -> i.number("x", 1));
        bind("a", i -> i.number("x", 2));
        bind("a", i -> i.child("x", c -> c.child("below", b -> b.number("y", 3))));

        assertEquals(
                List.of("x", "x (2)", "x (3)"),
                List.copyOf(directory("a").children().keySet()));
        assertEquals(new Numeric(1, false, false), node("a/x"));
        assertEquals(new Numeric(2, false, false), node("a/x (2)"));
        assertEquals(new Numeric(3, false, false), node("a/x (3)/below/y"));
        assertEquals(Optional.empty(), tree.inspect(Query.of("a/x (4)")));
    }

    @Test
    void aTrailingSlashOnAValueFailsAndOnADirectoryDoesNot() {
        bind("a", i -> i.number("x", 1));
        assertInstanceOf(Directory.class, node("a/"));
        String message = assertThrows(IllegalArgumentException.class, () -> tree.inspect(Query.of("a/x/")))
                .getMessage();
        assertTrue(message.contains("not a directory"), message);
    }

    @Test
    void thereIsNothingBelowAValueNorBesideANode() {
        bind("a", i -> i.number("x", 1));
        assertEquals(Optional.empty(), tree.inspect(Query.of("a/x/y")));
        assertEquals(Optional.empty(), tree.inspect(Query.of("a/z")));
        assertEquals(Optional.empty(), tree.inspect(Query.of("b")));
    }

    @Test
    void depthCountsLevelsBelowThePathAndSparesProvidersBeyondIt() {
        AtomicInteger calls = new AtomicInteger();
        bind("guests/a", i -> {
            calls.incrementAndGet();
            i.number("n", 1).child("regions", r -> r.child("ram", c -> c.number("x", 1)));
        });

        assertEquals(new Directory(Map.of("guests", new NotEntered())), read("", 0));
        assertEquals(new Directory(Map.of("guests", new Directory(Map.of("a", new NotEntered())))), read("", 1));
        assertEquals(0, calls.get());
        Directory a = new Directory(Map.of("n", new Numeric(1, false, false), "regions", new NotEntered()));
        assertEquals(a, read("guests/a", 0));
        assertEquals(new Directory(Map.of("guests", new Directory(Map.of("a", a)))), read("", 2));
        assertEquals(new Directory(Map.of("ram", new NotEntered())), read("guests/a/regions", 0));
    }

    @Test
    void onlyThePathAskedForIsEntered() {
        AtomicInteger entered = new AtomicInteger();
        bind("a", i -> i.child("x", c -> c.number("n", 1)).child("y", c -> entered.incrementAndGet()));
        node("a/x");
        assertEquals(0, entered.get());
        node("a");
        assertEquals(1, entered.get());
    }

    @Test
    void whatIsMoreSensitiveThanAskedForIsLeftOut() {
        bind("a", i -> i.hostAddress("base", 0x7f00).number("plain", 1).child("descriptors", d -> d.sensitivity(
                        Sensitivity.SAFE)
                .number("count", 2)
                .sensitivity(Sensitivity.SENSITIVE)
                .number("fd", 17)
                .child("secret", s -> s.number("x", 1))));

        assertEquals(
                new Directory(Map.of("descriptors", new Directory(Map.of("count", new Numeric(2, false, false))))),
                read("a", Sensitivity.SAFE));
        assertEquals(
                new Directory(Map.of(
                        "plain",
                        new Numeric(1, false, false),
                        "descriptors",
                        new Directory(Map.of("count", new Numeric(2, false, false))))),
                read("a", Sensitivity.UNSPECIFIED));
        Directory all = (Directory) read("a", Sensitivity.SENSITIVE);
        assertEquals(new Numeric(0x7f00, true, false), all.children().get("base"));
        assertEquals(
                List.of("count", "fd", "secret"),
                List.copyOf(((Directory) all.children().get("descriptors"))
                        .children()
                        .keySet()));
        assertEquals(Optional.empty(), tree.inspect(Query.of("a/base")));
        assertEquals(Optional.empty(), tree.inspect(Query.of("a/descriptors/secret/x")));
    }

    @Test
    void aNameWithSlashesIsReachedByItsPath() {
        bind("a", i -> i.number("x/y", 1).child("x/z", c -> c.number("n", 2)));
        assertEquals(new Numeric(1, false, false), node("a/x/y"));
        assertEquals(new Numeric(2, false, false), node("a/x/z/n"));
        assertEquals(List.of("y", "z"), List.copyOf(directory("a/x").children().keySet()));
    }

    @Test
    void aProviderThatThrowsIsUnreadableAndTheRestIsNot() {
        bind("guests/a", i -> i.number("x", 1));
        bind("guests/a", i -> {
            throw new IllegalStateException("closed");
        });
        bind("guests/b", i -> i.number("x", 1).child("bad", c -> {
            c.number("half", 1);
            throw new NoClassDefFoundError("gone");
        }));
        bind("", i -> {
            throw new IllegalStateException("root");
        });
        bind("guests/c", i -> i.number("", 1));

        assertEquals(new Numeric(1, false, false), node("guests/a/x"));
        assertReason("IllegalStateException: closed", node("guests/a/unreadable"));
        assertReason("NoClassDefFoundError: gone", node("guests/b/bad"));
        assertEquals(new Numeric(1, false, false), node("guests/b/x"));
        assertReason("root", directory("").children().get("unreadable"));
        assertReason("needs a name", node("guests/c"));
    }

    @Test
    void aProviderThatRecursesForeverIsCutOff() {
        bind("a", InspectTreeTest::endless);
        InspectNode node = node("a");
        int levels = -1;
        while (node instanceof Directory directory) {
            node = directory.children().get("again");
            levels++;
        }
        assertEquals(InspectTree.MOST_DEPTH, levels);
        assertInstanceOf(NotEntered.class, node);
    }

    private static void endless(Inspection inspection) {
        inspection.child("again", InspectTreeTest::endless);
    }

    @Test
    void anInspectionIsGoodDuringTheCallAlone() {
        AtomicReference<Inspection> kept = new AtomicReference<>();
        bind("a", i -> i.child("c", kept::set));
        node("a");
        assertThrows(IllegalStateException.class, () -> kept.get().number("late", 1));
    }

    @Test
    void aSlowProviderIsUnreadableAndIsNotCalledAgainBeforeItIsBack() throws Exception {
        CountDownLatch left = new CountDownLatch(1);
        AtomicInteger calls = new AtomicInteger();
        bind("guests/slow", i -> {
            calls.incrementAndGet();
            uninterruptibly(leave);
            i.number("x", 1);
            left.countDown();
        });
        bind("guests/quick", i -> i.number("x", 2));

        InspectNode slow;
        do {
            slow = tree.inspect(brief("guests/slow")).orElseThrow();
            // On a busy machine it may not even be asked in so short a time.
        } while (assertInstanceOf(Unreadable.class, slow).reason().contains("was not asked"));
        assertReason("did not answer in time", slow);
        Directory guests = directory("guests");
        assertReason("has not come back", guests.children().get("slow"));
        assertEquals(
                new Directory(Map.of("x", new Numeric(2, false, false))),
                guests.children().get("quick"));
        assertReason("has not come back", tree.inspect(brief("guests/slow/x")).orElseThrow());
        assertEquals(1, calls.get());

        leave.countDown();
        assertTrue(left.await(30, TimeUnit.SECONDS));
        InspectNode after;
        do {
            after = node("guests/slow/x");
        } while (after instanceof Unreadable);
        assertEquals(new Numeric(1, false, false), after);
    }

    @Test
    void asManyProvidersAsThereAreThreadsMayBeStuckAndNoMoreThreadsAreMade() {
        for (int n = 0; n < InspectTree.THREADS + 4; n++) {
            bind("stuck/s" + n, i -> uninterruptibly(leave));
        }
        Directory stuck = (Directory) tree.inspect(brief("stuck")).orElseThrow();
        assertEquals(InspectTree.THREADS + 4, stuck.children().size());
        stuck.children().values().forEach(node -> assertInstanceOf(Unreadable.class, node));
        tree.inspect(brief("stuck"));
        assertTrue(threads() <= InspectTree.THREADS, threads() + " threads");
        leave.countDown();
        tree.close();
        awaitNoThreads();
    }

    @Test
    void oneProviderMayBeReadByManyAtOnce() throws Exception {
        CountDownLatch together = new CountDownLatch(4);
        bind("a", i -> {
            together.countDown();
            uninterruptibly(together);
            i.number("x", 1);
        });
        List<CompletableFuture<InspectNode>> readers = java.util.stream.IntStream.range(0, 4)
                .mapToObj(n -> CompletableFuture.supplyAsync(() -> node("a/x"), task -> new Thread(task).start()))
                .toList();
        for (CompletableFuture<InspectNode> reader : readers) {
            assertEquals(new Numeric(1, false, false), reader.get(30, TimeUnit.SECONDS));
        }
    }

    @Test
    void providersAreCalledWithoutAContextClassLoaderOfOthers() {
        AtomicReference<ClassLoader> seen = new AtomicReference<>(ClassLoader.getSystemClassLoader());
        AtomicReference<Boolean> daemon = new AtomicReference<>();
        bind("a", i -> {
            seen.set(Thread.currentThread().getContextClassLoader());
            daemon.set(Thread.currentThread().isDaemon());
        });
        node("a");
        assertNull(seen.get());
        assertTrue(daemon.get());
    }

    @Test
    void aProviderThatWentIsNoLongerThereAndBothCallsMayComeTwice() {
        Inspectable inspectable = i -> i.number("x", 1);
        Map<String, Object> properties = Map.of("service.id", 7L, Inspectable.PATH, "a");
        tree.bind(inspectable, properties);
        tree.bind(inspectable, properties);
        assertEquals(1, directory("a").children().size());
        tree.bind(inspectable, Map.of("service.id", 7L, Inspectable.PATH, "b"));
        assertEquals(Optional.empty(), tree.inspect(Query.of("a")));
        assertEquals(1, directory("b").children().size());
        tree.unbind(inspectable, properties);
        tree.unbind(inspectable, properties);
        assertEquals(Optional.empty(), tree.inspect(Query.of("b")));
        tree.close();
        tree.unbind(inspectable, properties);
        tree.bind(inspectable, properties);
    }

    @Test
    void closingEndsReadersThatWaitAndLaterCallsSayClosed() throws Exception {
        CountDownLatch inside = new CountDownLatch(1);
        bind("a", i -> {
            inside.countDown();
            try {
                new CountDownLatch(1).await();
            } catch (InterruptedException e) {
                throw new IllegalStateException("interrupted");
            }
        });
        CompletableFuture<InspectNode> reader = CompletableFuture.supplyAsync(
                () -> tree.inspect(new Query("a", 9, Sensitivity.SAFE, Duration.ofMinutes(10)))
                        .orElseThrow(),
                task -> new Thread(task).start());
        assertTrue(inside.await(30, TimeUnit.SECONDS));
        tree.close();
        assertReason("interrupted", reader.get(30, TimeUnit.SECONDS));
        awaitNoThreads();
        assertThrows(IllegalStateException.class, () -> tree.inspect(Query.of("a")));
        assertThrows(IllegalStateException.class, () -> tree.rates(Query.of(""), SHORT));
        assertThrows(IllegalStateException.class, () -> tree.set("a", "1"));
        tree.close();
    }

    @Test
    void countersBecomeRatesOverTheInterval() throws Exception {
        AtomicLong counter = new AtomicLong();
        AtomicLong shrinking = new AtomicLong(100);
        AtomicInteger calls = new AtomicInteger();
        bind("a", i -> {
            i.counter("commits", counter.getAndAdd(1000));
            i.counter("restarted", shrinking.getAndAdd(-10));
            i.number("size", 5);
            if (calls.getAndIncrement() > 0) {
                i.counter("new", 3);
            }
        });
        Directory rates = (Directory) tree.rates(Query.of("a"), SHORT).orElseThrow();
        double rate = ((Rate) rates.children().get("commits")).perSecond();
        assertTrue(rate > 0 && rate <= 1000 / 0.05, "rate " + rate);
        assertEquals(new Numeric(90, false, true), rates.children().get("restarted"));
        assertEquals(new Numeric(5, false, false), rates.children().get("size"));
        assertEquals(new Numeric(3, false, true), rates.children().get("new"));
        assertInstanceOf(Rate.class, tree.rates(Query.of("a/commits"), SHORT).orElseThrow());
        assertEquals(Optional.empty(), tree.rates(Query.of("b"), SHORT));
        assertThrows(IllegalArgumentException.class, () -> tree.rates(Query.of("a"), Duration.ZERO));
    }

    @Test
    void closingEndsTheWaitForRates() throws Exception {
        bind("a", i -> i.counter("c", 1));
        AtomicReference<Throwable> thrown = new AtomicReference<>();
        Thread reader = new Thread(() -> {
            try {
                tree.rates(Query.of("a"), Duration.ofHours(1));
            } catch (InterruptedException | RuntimeException e) {
                thrown.set(e);
            }
        });
        reader.start();
        while (reader.getState() != Thread.State.TIMED_WAITING) {
            assertFalse(Thread.interrupted(), "the reader does not wait");
        }
        tree.close();
        reader.join(30_000);
        assertInstanceOf(IllegalStateException.class, thrown.get());
    }

    @Test
    void aNodeThatCanBeSetIsSetAndOthersSayWhyNot() {
        AtomicReference<String> level = new AtomicReference<>("info");
        Inspectable settable = i -> i.number("x", 1)
                .child(
                        "log",
                        c -> c.settable("level", level.get(), value -> {
                            if (value.isEmpty()) {
                                throw new IllegalArgumentException("the level is empty");
                            }
                            level.set(value);
                        }));
        bind("a", i -> i.number("other", 1));
        bind("a", settable);
        assertEquals(new Text("info", true), node("a/log/level"));
        tree.set("/a/log//level", "debug");
        assertEquals(new Text("debug", true), node("a/log/level"));
        assertRefused("the level is empty", "a/log/level", "");
        assertEquals("debug", level.get());
        assertRefused("cannot be set", "a/x", "2");
        assertRefused("cannot be set", "a/log", "2");
        assertRefused("no such node", "a/y", "2");
        assertRefused("no such node", "", "2");
        assertRefused("directory", "a/log/level/", "2");
    }

    @Test
    void anUnreadableProviderDoesNotKeepOthersFromBeingSet() {
        AtomicReference<String> value = new AtomicReference<>("");
        bind("a", i -> {
            throw new IllegalStateException("broken");
        });
        bind("a/b", i -> i.settable("x", value.get(), value::set));
        String message = assertThrows(IllegalStateException.class, () -> tree.set("a/y", "1"))
                .getMessage();
        assertTrue(message.contains("broken"), message);
        tree.set("a/b/x", "1");
        assertEquals("1", value.get());
    }

    private void assertRefused(String problem, String path, String value) {
        String message = assertThrows(IllegalArgumentException.class, () -> tree.set(path, value))
                .getMessage();
        assertTrue(message.contains(problem), message);
    }

    private static void assertReason(String reason, InspectNode node) {
        String actual = assertInstanceOf(Unreadable.class, node).reason();
        assertTrue(actual.contains(reason), actual);
        assertFalse(actual.isBlank());
    }

    private void bind(String path, Inspectable inspectable) {
        Map<String, Object> properties = new HashMap<>();
        properties.put("service.id", ++lastId);
        properties.put(Inspectable.PATH, path);
        tree.bind(inspectable, properties);
    }

    private InspectNode node(String path) {
        return read(path, Integer.MAX_VALUE);
    }

    private Directory directory(String path) {
        return assertInstanceOf(Directory.class, node(path));
    }

    private InspectNode read(String path, int depth) {
        return tree.inspect(new Query(path, depth, Sensitivity.UNSPECIFIED, LONG))
                .orElseThrow();
    }

    private InspectNode read(String path, Sensitivity most) {
        return tree.inspect(new Query(path, 9, most, LONG)).orElseThrow();
    }

    private static Query brief(String path) {
        return new Query(path, 9, Sensitivity.UNSPECIFIED, SHORT);
    }

    private static long threads() {
        return Thread.getAllStackTraces().keySet().stream()
                .filter(thread -> thread.getName().startsWith("membacking-inspect-"))
                .count();
    }

    private static void awaitNoThreads() {
        while (threads() > 0) {
            assertFalse(Thread.interrupted(), "threads are left");
        }
    }

    private static void uninterruptibly(CountDownLatch latch) {
        while (true) {
            try {
                latch.await();
                return;
            } catch (InterruptedException e) {
                // Stuck on purpose: heeds no interrupt.
            }
        }
    }
}
