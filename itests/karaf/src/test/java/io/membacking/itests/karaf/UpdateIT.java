package io.membacking.itests.karaf;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertTrue;

import io.membacking.itests.support.Conditions;
import io.membacking.itests.support.Container;
import io.membacking.itests.support.Footprint;
import io.membacking.machine.BootSource;
import io.membacking.machine.Machine;
import io.membacking.machine.MachineConfig;
import io.membacking.machine.Machines;
import io.membacking.vm.Run;
import io.membacking.vm.VmState;
import java.lang.ref.WeakReference;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import javax.inject.Inject;
import org.apache.karaf.shell.api.console.SessionFactory;
import org.junit.Assume;
import org.junit.Before;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.ops4j.pax.exam.Configuration;
import org.ops4j.pax.exam.Option;
import org.ops4j.pax.exam.junit.PaxExam;
import org.ops4j.pax.exam.spi.reactors.ExamReactorStrategy;
import org.ops4j.pax.exam.spi.reactors.PerClass;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.wiring.BundleWiring;

/**
 * SeaBIOS in the middle of its boot while commands of Karaf take the KVM bundle away, bring it again, or bring another: its output is
 * the same as without. {@code -Dmembacking.updates=100} sets how many updates in all, {@code -Dmembacking.seed=} repeats the moments.
 */
@RunWith(PaxExam.class)
@ExamReactorStrategy(PerClass.class)
public class UpdateIT {
    private static final int UPDATES = Integer.getInteger("membacking.updates", 10);
    private static final int MOST_IN_ONE_BOOT = 10;
    private static final long SEED = Long.getLong("membacking.seed", System.nanoTime());
    private static final Path FIRMWARE = Path.of("/usr/share/seabios/bios-256k.bin");
    private static final String LAST_LINE = "No bootable device.";
    private static final Duration BOOT = Duration.ofMinutes(2);

    @Inject
    private BundleContext context;

    @Inject
    private SessionFactory sessions;

    private Container container;
    private Shell shell;

    @Configuration
    public Option[] container() {
        return KarafContainer.options();
    }

    @Before
    public void awaitCommands() throws Exception {
        container = new Container(context);
        container.awaitComplete();
        shell = new Shell(sessions);
        shell.await("membacking", "backends");
        shell.await("bundle", "update");
        boolean ready = shell.run("membacking:backends --no-format").contains("yes") && Files.isReadable(FIRMWARE);
        if ("all".equals(System.getProperty("membacking.require"))) {
            assertTrue("no usable hypervisor, or no " + FIRMWARE, ready);
        }
        Assume.assumeTrue("no usable hypervisor, or no " + FIRMWARE, ready);
    }

    /** SeaBIOS on its way. */
    private final class Boot implements AutoCloseable {
        final BootOutput output = new BootOutput();
        final Machine machine;
        final Run run;

        Boot(String name) throws Exception {
            machine = container
                    .await(Machines.class)
                    .create(MachineConfig.of(
                                    name, new BootSource.Firmware("bios-256k.bin", Files.readAllBytes(FIRMWARE)))
                            .withOutput(new BootOutput(), output));
            run = machine.start();
        }

        String where() {
            return machine.vm().status() + ", " + machine.vm().lastMove() + ", " + run.result() + ", after\n"
                    + output.text();
        }

        /** Waits for it to have written that much. */
        void await(int characters) throws InterruptedException {
            assertTrue(where(), output.awaitLength(characters, BOOT));
        }

        boolean ended() {
            return output.text().contains(LAST_LINE);
        }

        /** The whole output, once there is all of it. */
        String complete() throws InterruptedException {
            assertTrue(where(), output.await(LAST_LINE, BOOT));
            String text = output.text();
            return text.substring(0, text.indexOf(LAST_LINE));
        }

        @Override
        public void close() {
            machine.close();
        }
    }

    @Test
    public void bootIsTheSameWithUpdatesInTheMiddleOfIt() throws Exception {
        System.out.println("membacking.seed=" + SEED);
        Random random = new Random(SEED);
        String expected;
        try (Boot boot = new Boot("undisturbed")) {
            expected = boot.complete();
        }
        int done = 0;
        while (done < UPDATES) {
            // The first boot with a single update; one that has ended before its next moment came has had fewer than
            // meant.
            int most = done == 0 ? 1 : Math.min(UPDATES - done, MOST_IN_ONE_BOOT);
            int[] moments = random.ints(most, 1, expected.length()).sorted().toArray();
            List<WeakReference<ClassLoader>> before = new ArrayList<>();
            try (Boot boot = new Boot("updated-" + done)) {
                for (int moment : moments) {
                    boot.await(moment);
                    if (!boot.ended()) {
                        before.add(update(boot, before.size() + 1));
                        System.out.println("update " + (done + before.size()) + " of " + UPDATES + " after " + moment
                                + " of " + expected.length() + " characters");
                    }
                }
                assertEquals(expected, boot.complete());
                assertEquals(before.size(), boot.machine.vm().moves());
                assertTrue(
                        boot.where(),
                        boot.machine.memory().regions().checkDrift().clean());
                awaitCollected(before);
            }
            assertEquals(0, Footprint.descriptorsOf("anon_inode:kvm"));
            assertEquals(0, Footprint.mappingsOf("anon_inode:kvm"));
            done += before.size();
        }
    }

    /** Updates the bundle beneath a guest, which is parked meanwhile. Returns the class loader from before. */
    private WeakReference<ClassLoader> update(Boot boot, int moves) throws Exception {
        Bundle kvm = container.bundle("partition-kvm");
        WeakReference<ClassLoader> loader =
                new WeakReference<>(kvm.adapt(BundleWiring.class).getClassLoader());
        String answer = shell.run("bundle:update " + kvm.getBundleId());
        Conditions.await(
                () -> boot.machine.vm().moves() == moves && boot.machine.vm().state() == VmState.RUNNING,
                Container.DEADLINE,
                () -> answer + boot.where());
        return loader;
    }

    /** Waits for all of them to be gone: the machine is there still. */
    private static void awaitCollected(List<WeakReference<ClassLoader>> loaders) {
        Conditions.await(
                () -> {
                    System.gc();
                    return loaders.stream().allMatch(loader -> loader.get() == null);
                },
                Container.DEADLINE,
                () -> "class loaders from before an update are still held: "
                        + loaders.stream().map(WeakReference::get).toList());
    }

    @Test
    public void bootIsTheSameWhenAFeatureBringsABetterVersionAndTakesItAway() throws Exception {
        String expected;
        try (Boot boot = new Boot("undisturbed-too")) {
            expected = boot.complete();
        }
        String version = "9.0.0";
        URI bundle = URI.create(container.bundle("partition-kvm").getLocation());
        Path folder = Files.createTempDirectory("features");
        shell.run("feature:repo-add " + KvmFeature.repository(folder, bundle, version));
        shell.run("config:property-set -p \"io.membacking.partition.kvm|io.membacking.partition-kvm|" + version
                + "\" service.ranking 10");
        try (Boot boot = new Boot("exchanged")) {
            shell.run("membacking:policy exchanged to-better-backend");
            boot.await(expected.length() / 4);
            String installed = shell.run("feature:install -r " + KvmFeature.NAME);
            awaitOn(boot, " " + version + ",", installed);
            boot.await(expected.length() / 2);
            long moves = boot.machine.vm().moves();
            String uninstalled = shell.run("feature:uninstall -r " + KvmFeature.NAME);
            Conditions.await(
                    () -> boot.machine.vm().moves() > moves && boot.machine.vm().state() == VmState.RUNNING,
                    Container.DEADLINE,
                    () -> uninstalled + boot.where());
            assertFalse(boot.where(), boot.machine.vm().status().contains(version));
            assertEquals(expected, boot.complete());
            assertTrue(
                    boot.where(), boot.machine.memory().regions().checkDrift().clean());
        }
    }

    private static void awaitOn(Boot boot, String bundle, String answer) {
        Conditions.await(
                () -> boot.machine.vm().state() == VmState.RUNNING
                        && boot.machine.vm().status().contains(bundle),
                Container.DEADLINE,
                () -> answer + boot.where());
    }
}
