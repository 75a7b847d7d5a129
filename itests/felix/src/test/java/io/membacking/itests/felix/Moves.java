package io.membacking.itests.felix;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import io.membacking.itests.support.Conditions;
import io.membacking.itests.support.Container;
import io.membacking.itests.support.Footprint;
import io.membacking.vm.MovePolicy;
import io.membacking.vm.MoveResult;
import io.membacking.vm.VmState;
import java.io.InputStream;
import java.lang.ref.WeakReference;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import javax.inject.Inject;
import org.apache.felix.service.command.CommandProcessor;
import org.apache.felix.service.command.CommandSession;
import org.junit.After;
import org.junit.Before;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.ops4j.pax.exam.junit.PaxExam;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.Constants;
import org.osgi.framework.FrameworkUtil;
import org.osgi.service.cm.Configuration;
import org.osgi.service.cm.ConfigurationAdmin;

/**
 * A running guest that checks itself is moved from one version of the KVM bundle to the next, again and again, by everything that
 * can move it. After each move nothing is left of the version before: no class, descriptor, mapping or thread.
 * {@code -Dmembacking.moves=100} sets how often for each way; the default keeps a build short.
 */
@RunWith(PaxExam.class)
public abstract class Moves {
    private static final int MOVES = Integer.getInteger("membacking.moves", 10);
    /** What a JVM may map of its own meanwhile. */
    private static final int MAPPINGS = 40;

    /** Never used twice in one container: rankings are given to versions. */
    private static final AtomicInteger VERSION = new AtomicInteger();

    @Inject
    private BundleContext context;

    private Container container;
    private KvmVersions versions;
    private Bundle original;
    private CheckingGuest guest;
    /** The bundle that the guest is on. */
    private Bundle current;

    /** Gets the guest onto another bundle, and returns that one; the one before may be there still. */
    private interface Move {
        Bundle next(String version) throws Exception;
    }

    @Before
    public void startGuest() throws Exception {
        container = new Container(context);
        container.awaitComplete();
        KvmRequirement.check(container);
        versions = new KvmVersions(context, container);
        original = container.bundle("partition-kvm");
        current = original;
        guest = new CheckingGuest(container);
    }

    @After
    public void putBackTheOriginal() throws Exception {
        if (guest != null) {
            guest.vm.close();
            guest.vm.memory().close();
        }
        if (current != original) {
            if (original.getState() == Bundle.UNINSTALLED) {
                context.installBundle(original.getLocation()).start();
            }
            container.uninstall(current);
            container.awaitComplete();
        }
    }

    private void repeat(Move move) throws Exception {
        // What is made once, such as a thread that moves, or memory of the collector, is there after the first.
        once(move);
        Footprint before = Footprint.now();
        long descriptors = descriptors();
        long mappings = Footprint.mappingsOf("anon_inode:kvm");
        long trampolines = Footprint.mappingsOf("ffi");
        for (int i = 0; i < MOVES; i++) {
            once(move);
            assertEquals(descriptors, descriptors());
            assertEquals(mappings, Footprint.mappingsOf("anon_inode:kvm"));
            // JNA keeps the trampolines of native methods that are given back, some 400 bytes for each version of the
            // bundle; a page of libffi's is two mappings.
            long pages = Footprint.mappingsOf("ffi") - trampolines;
            assertTrue(pages + " pages of trampolines", pages <= i / 4 + 1);
            before.awaitReached(MAPPINGS + (int) (2 * pages), Container.DEADLINE);
        }
        assertEquals(MOVES + 1, guest.vm.moves());
        guest.finish();
    }

    private static long descriptors() {
        return Footprint.descriptorsOf("/dev/kvm") + Footprint.descriptorsOf("anon_inode:kvm");
    }

    private void once(Move move) throws Exception {
        String name = "7.0." + VERSION.incrementAndGet();
        Bundle left = current;
        WeakReference<ClassLoader> loader = KvmVersions.loader(left);
        long moves = guest.vm.moves();
        current = move.next(name);
        Conditions.await(
                () -> guest.vm.moves() == moves + 1,
                Container.DEADLINE,
                () -> guest.vm.status() + ", " + guest.vm.lastMove());
        assertEquals(guest.vm.status(), VmState.RUNNING, guest.vm.state());
        assertTrue(guest.vm.status(), guest.vm.status().contains(" " + name + ","));
        guest.awaitLaps();
        if (left != current && left.getState() != Bundle.UNINSTALLED) {
            container.uninstall(left);
        }
        KvmVersions.awaitCollected(loader);
        guest.awaitLaps();
    }

    @Test
    public void bundleStopsWithAnotherThere() throws Exception {
        repeat(name -> {
            Bundle next = versions.start(name);
            current.stop();
            return next;
        });
    }

    @Test
    public void bundleIsUninstalledWithAnotherThere() throws Exception {
        repeat(name -> {
            Bundle next = versions.start(name);
            container.uninstall(current);
            return next;
        });
    }

    @Test
    public void bundleIsUpdatedAloneAndTheGuestIsParkedMeanwhile() throws Exception {
        repeat(name -> {
            current.update(KvmVersions.jar(name));
            return current;
        });
    }

    @Test
    public void bundleIsUpdatedWithAnotherThere() throws Exception {
        repeat(name -> {
            Bundle next = versions.start(name);
            current.update(KvmVersions.jar("6" + name));
            versions.awaitBackend("6" + name);
            return next;
        });
    }

    @Test
    public void bundleIsUninstalledAloneAndTheNextComesLater() throws Exception {
        repeat(name -> {
            container.uninstall(current);
            assertEquals(VmState.PARKED, guest.vm.state());
            assertEquals(0, Footprint.descriptorsOf("anon_inode:kvm"));
            return versions.start(name);
        });
    }

    @Test
    public void betterOneArrives() throws Exception {
        guest.vm.setPolicy(MovePolicy.TO_BETTER_BACKEND);
        repeat(name -> {
            rank(name, VERSION.get());
            return versions.start(name);
        });
    }

    @Test
    public void rankOfAnotherRises() throws Exception {
        guest.vm.setPolicy(MovePolicy.TO_BETTER_BACKEND);
        repeat(name -> {
            Bundle next = versions.start(name);
            rank(name, VERSION.get());
            return next;
        });
    }

    @Test
    public void commandMovesIt() throws Exception {
        CommandProcessor gogo = container.await(CommandProcessor.class);
        repeat(name -> {
            Bundle next = versions.start(name);
            CommandSession session = gogo.createSession(InputStream.nullInputStream(), System.out, System.err);
            String service = guest.vm.name() + " " + versions.service(name);
            String forecast = String.valueOf(session.execute("membacking:forecast " + service));
            assertTrue(forecast, forecast.contains("yes"));
            String answer = String.valueOf(session.execute("membacking:move " + service));
            assertTrue(answer, answer.contains("moved"));
            session.close();
            return next;
        });
    }

    @Test
    public void callMovesIt() throws Exception {
        repeat(name -> {
            Bundle next = versions.start(name);
            MoveResult result = guest.vm
                    .move("(service.id=" + versions.service(name) + ")")
                    .toCompletableFuture()
                    .get(Container.DEADLINE.toSeconds(), TimeUnit.SECONDS);
            assertEquals(result.toString(), MoveResult.Kind.MOVED, result.kind());
            return next;
        });
    }

    /** Gives one version of the bundle a ranking, by a configuration for that version alone. */
    private void rank(String bundleVersion, int ranking) throws Exception {
        Configuration configuration = container
                .await(ConfigurationAdmin.class)
                .getConfiguration("io.membacking.partition.kvm|io.membacking.partition-kvm|" + bundleVersion, "?");
        configuration.update(FrameworkUtil.asDictionary(Map.of(Constants.SERVICE_RANKING, ranking)));
    }
}
