package io.membacking.itests.karaf;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import io.membacking.guests.GuestProgram;
import io.membacking.itests.support.Conditions;
import io.membacking.itests.support.Container;
import io.membacking.itests.support.Footprint;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import javax.inject.Inject;
import org.apache.karaf.features.FeaturesService;
import org.apache.karaf.shell.api.console.CommandLine;
import org.apache.karaf.shell.api.console.Completer;
import org.apache.karaf.shell.api.console.Session;
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

/** A machine from the console of stock Karaf: booted, looked at, changed, its backend stopped and started, and ended. */
@RunWith(PaxExam.class)
@ExamReactorStrategy(PerClass.class)
public class CommandsIT {
    @Inject
    private BundleContext context;

    @Inject
    private FeaturesService features;

    @Inject
    private SessionFactory shells;

    private Container container;

    @Configuration
    public Option[] container() {
        return KarafContainer.options();
    }

    @Before
    public void awaitCommands() {
        container = new Container(context);
        container.awaitComplete();
        Conditions.await(
                () -> shells.getRegistry().getCommand("membacking", "backends") != null,
                Container.DEADLINE,
                () -> "no commands: " + shells.getRegistry().getCommands());
    }

    private String run(String command) throws Exception {
        return new Shell(shells).run(command);
    }

    private void requireKvm() throws Exception {
        String backends = run("membacking:backends --no-format");
        boolean usable = backends.contains("yes");
        if ("all".equals(System.getProperty("membacking.require"))) {
            assertTrue(backends, usable);
        }
        Assume.assumeTrue("no usable hypervisor: " + backends, usable);
    }

    @Test
    public void everyCommandIsThereOnce() {
        for (String name : List.of(
                "attachments",
                "backends",
                "boot",
                "drift",
                "explain",
                "flat",
                "forecast",
                "guests",
                "inspect",
                "journal",
                "machines",
                "move",
                "output",
                "park",
                "plan",
                "policy",
                "regions",
                "stop",
                "trace",
                "visibility")) {
            assertEquals(
                    name,
                    1,
                    shells.getRegistry().getCommands().stream()
                            .filter(c -> c.getScope().equals("membacking")
                                    && c.getName().equals(name))
                            .count());
        }
    }

    @Test
    public void machineIsBootedSeenChangedAndStopped() throws Exception {
        requireKvm();
        Path kernel = Files.createTempFile("hello", ".elf");
        Files.write(kernel, GuestProgram.HELLO.bytes());
        run("membacking:boot --memory 32M --kernel " + kernel + " pc1");
        Conditions.await(
                () -> output("pc1").contains("ok "), Container.DEADLINE, () -> "the guest wrote " + output("pc1"));
        Conditions.await(
                () -> answer("membacking:machines").contains("stopped"),
                Container.DEADLINE,
                () -> answer("membacking:machines"));
        assertFalse(output("pc1"), output("pc1").contains("FAILED"));

        assertTrue(run("membacking:guests").contains("32 MiB"));
        // As the guest left its PAM segments.
        String flat = run("membacking:flat --no-format pc1");
        assertTrue(flat, flat.contains("0xf0000-0x100000"));
        assertFalse(flat, flat.contains("0xc0000-0xc4000"));
        assertTrue(run("membacking:regions pc1").contains("0xc0000-0xc4000"));
        assertTrue(run("membacking:explain pc1 0xf0000").contains("r-x"));
        assertTrue(run("membacking:journal pc1").contains("committed"));

        String region = regionAt("0xc0000-0xc4000");
        String plan = run("membacking:plan pc1 map " + region);
        assertTrue(plan, plan.contains("PartitionMap"));
        assertFalse(run("membacking:flat pc1").contains("0xc0000-0xc4000"));
        run("membacking:visibility pc1 0xc0000-0xc4000 read-only");
        assertTrue(run("membacking:flat pc1").contains("0xc0000-0xc4000"));

        assertTrue(run("membacking:drift pc1").contains("agree"));
        assertTrue(run("membacking:attachments pc1").contains("attached"));
        assertTrue(run("membacking:inspect guests/pc1").contains("regions"));
        assertTrue(run("membacking:inspect --json guests/pc1/").startsWith("{"));
        assertThrows(IllegalArgumentException.class, () -> run("membacking:flat nobody"));

        run("membacking:boot pc1");
        Conditions.await(
                () -> answer("membacking:machines").contains("stopped"),
                Container.DEADLINE,
                () -> answer("membacking:machines"));
        run("membacking:stop pc1");
        assertFalse(run("membacking:guests").contains("pc1"));
        assertEquals(0, Footprint.descriptorsOf("anon_inode:kvm"));
        assertEquals(0, Footprint.descriptorsOf("memfd:pc1"));
    }

    private String regionAt(String range) throws Exception {
        return run("membacking:regions --no-format pc1")
                .lines()
                .filter(line -> line.contains(range))
                .map(String::trim)
                .map(line -> line.substring(0, line.indexOf(' ')))
                .findFirst()
                .orElseThrow();
    }

    private String output(String machine) {
        return answer("membacking:output " + machine);
    }

    private String answer(String command) {
        try {
            return run(command);
        } catch (Exception e) {
            return e.toString();
        }
    }

    @Test
    public void namesAreCompleted() throws Exception {
        requireKvm();
        Path program = Files.createTempFile("mbinfo", ".elf");
        Files.write(program, GuestProgram.MBINFO.bytes());
        run("membacking:boot -k " + program + " completed");
        assertEquals(List.of("completed"), complete("membacking:flat", "com"));
        assertEquals(List.of("completed"), complete("membacking:stop", "com"));
        assertTrue(complete("membacking:inspect", "gue").contains("guests/"));
        run("membacking:stop completed");
    }

    /** What the shell offers for a word begun. */
    private List<String> complete(String command, String begun) throws Exception {
        ByteArrayOutputStream output = new ByteArrayOutputStream();
        PrintStream stream = new PrintStream(output, true, StandardCharsets.UTF_8);
        Session session = shells.create(new ByteArrayInputStream(new byte[0]), stream, stream);
        try {
            String name = command.substring(command.indexOf(':') + 1);
            Completer completer =
                    shells.getRegistry().getCommand("membacking", name).getCompleter(true);
            List<String> candidates = new ArrayList<>();
            completer.complete(session, new Words(List.of(command, begun)), candidates);
            return candidates.stream().map(String::trim).toList();
        } finally {
            session.close();
        }
    }

    /** A command line with the cursor at the end of its last word. */
    private record Words(List<String> words) implements CommandLine {
        @Override
        public int getCursorArgumentIndex() {
            return words.size() - 1;
        }

        @Override
        public String getCursorArgument() {
            return words.get(words.size() - 1);
        }

        @Override
        public int getArgumentPosition() {
            return getCursorArgument().length();
        }

        @Override
        public String[] getArguments() {
            return words.toArray(String[]::new);
        }

        @Override
        public int getBufferPosition() {
            return getBuffer().length();
        }

        @Override
        public String getBuffer() {
            return String.join(" ", words);
        }
    }

    @Test
    public void backendStopsAndReturnsFromTheConsole() throws Exception {
        requireKvm();
        Bundle kvm = container.bundle("partition-kvm");
        Path kernel = Files.createTempFile("hello", ".elf");
        Files.write(kernel, GuestProgram.HELLO.bytes());
        run("membacking:boot --kernel " + kernel + " pc2");
        kvm.stop();
        String machines = run("membacking:machines");
        assertTrue(machines, machines.contains("parked"));
        assertTrue(run("membacking:regions pc2").contains("0xc0000-0xc4000"));
        kvm.start();
        container.awaitComplete();
        Conditions.await(
                () -> answer("membacking:machines").contains("ready"),
                Container.DEADLINE,
                () -> answer("membacking:machines"));
        run("membacking:boot pc2");
        run("membacking:stop pc2");
    }

    @Test
    public void featureIsUninstalledAndInstalledAgain() throws Exception {
        features.uninstallFeature("membacking", EnumSet.of(FeaturesService.Option.NoAutoRefreshBundles));
        Conditions.await(
                () -> !container.bundles().containsKey("io.membacking.partition-kvm"),
                Container.DEADLINE,
                () -> container.bundles().toString());
        features.installFeature("membacking", EnumSet.of(FeaturesService.Option.NoAutoRefreshBundles));
        container.awaitComplete();
    }
}
