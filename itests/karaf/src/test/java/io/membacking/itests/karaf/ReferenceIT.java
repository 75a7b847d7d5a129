package io.membacking.itests.karaf;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertTrue;

import io.membacking.guests.GuestProgram;
import io.membacking.itests.support.Conditions;
import io.membacking.itests.support.Container;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.List;
import javax.inject.Inject;
import org.apache.karaf.features.FeaturesService;
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
import org.osgi.framework.BundleContext;

/** The reference backend as a feature beside KVM: a guest that counts is moved there by command, traced, and moved back. */
@RunWith(PaxExam.class)
@ExamReactorStrategy(PerClass.class)
public class ReferenceIT {
    private static final String FEATURE = "membacking-partition-reference";

    @Inject
    private BundleContext context;

    @Inject
    private FeaturesService features;

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
        boolean usable = shell.run("membacking:backends --no-format").contains("yes");
        if ("all".equals(System.getProperty("membacking.require"))) {
            assertTrue("no usable hypervisor", usable);
        }
        Assume.assumeTrue("no usable hypervisor", usable);
    }

    @Test
    public void countingGuestGoesThereByCommandIsTracedAndComesBack() throws Exception {
        assertFalse(answer("membacking:backends").contains("reference"));
        features.installFeature(FEATURE, EnumSet.of(FeaturesService.Option.NoAutoRefreshBundles));
        container.awaitComplete();
        Conditions.await(
                () -> answer("membacking:backends").contains("reference"),
                Container.DEADLINE,
                () -> answer("membacking:backends"));
        Path kernel = Files.createTempFile("counter", ".elf");
        Files.write(kernel, GuestProgram.COUNTER.bytes());
        Path trace = Files.createTempFile("trace", ".txt");
        shell.run("membacking:boot -n -k " + kernel + " counting");
        assertTrue(answer("membacking:machines"), answer("membacking:machines").contains("kvm"));
        awaitLine();

        String there = shell.run("membacking:move counting reference");
        assertTrue(there, answer("membacking:machines").contains("reference"));
        awaitLine();
        shell.run("membacking:trace counting " + trace);
        awaitLine();
        shell.run("membacking:trace counting");
        List<String> lines = Files.readAllLines(trace);
        assertTrue(lines.size() + " lines", lines.size() > 1000);
        assertTrue(lines.get(0), lines.stream().allMatch(line -> line.matches("0 (i|r|w|in|out|e) .*")));

        String back = shell.run("membacking:move counting kvm");
        assertFalse(back, answer("membacking:machines").contains("reference"));
        awaitLine();
        String output = answer("membacking:output counting");
        for (String line : output.lines().filter(l -> l.startsWith("counter ")).toList()) {
            assertTrue(output, line.endsWith("nothing wrong"));
        }
        assertTrue(answer("membacking:drift counting").contains("agree"));
        shell.run("membacking:stop counting");
        features.uninstallFeature(FEATURE, EnumSet.of(FeaturesService.Option.NoAutoRefreshBundles));
        Conditions.await(
                () -> !answer("membacking:backends").contains("reference"),
                Container.DEADLINE,
                () -> answer("membacking:backends"));
        assertEquals("resolved or gone", false, container.bundles().containsKey("io.membacking.partition-reference"));
        Files.delete(kernel);
        Files.delete(trace);
    }

    /** Waits for the guest to write another line. */
    private void awaitLine() {
        long before = lines();
        Conditions.await(() -> lines() > before, Container.DEADLINE, () -> answer("membacking:output counting"));
    }

    private long lines() {
        return answer("membacking:output counting")
                .lines()
                .filter(line -> line.endsWith("nothing wrong"))
                .count();
    }

    private String answer(String command) {
        try {
            return shell.run(command);
        } catch (Exception e) {
            return e.toString();
        }
    }
}
