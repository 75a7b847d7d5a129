package io.membacking.itests.felix;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import io.membacking.inspect.InspectService;
import io.membacking.itests.support.Container;
import io.membacking.itests.support.Footprint;
import io.membacking.memory.RamVisibility;
import io.membacking.range.MemoryRange;
import io.membacking.region.Explanation;
import io.membacking.vm.RunResult.Kind;
import java.io.InputStream;
import java.util.List;
import javax.inject.Inject;
import org.apache.felix.service.command.CommandProcessor;
import org.apache.felix.service.command.CommandSession;
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

/** What is seen of a running guest, and each core bundle taken away beneath it. */
@RunWith(PaxExam.class)
@ExamReactorStrategy(PerClass.class)
public class CoreBundlesIT {
    private static final MemoryRange SEGMENT = new MemoryRange(0xc0000, 0xc4000);

    @Inject
    private BundleContext context;

    private Container container;

    @Configuration
    public Option[] container() {
        return FelixContainer.options();
    }

    @Before
    public void requireKvm() {
        container = new Container(context);
        container.awaitComplete();
        KvmRequirement.check(container);
    }

    @Test
    public void runningGuestIsSeenAndChanged() throws Exception {
        RunningGuest guest = RunningGuest.start(container);
        String name = guest.machine.name();
        for (int i = 0; i < 20; i++) {
            guest.machine.memory().setVisibility(SEGMENT, RamVisibility.READ_WRITE);
            guest.machine.memory().setVisibility(SEGMENT, RamVisibility.READ_ONLY);
        }
        guest.awaitCounting();
        assertEquals(RamVisibility.READ_ONLY, guest.machine.memory().visibility(SEGMENT));
        Explanation explanation = guest.machine.memory().regions().explain(SEGMENT.start());
        assertEquals(SEGMENT, explanation.visible().orElseThrow().range());
        assertTrue(explanation.lastChange().isPresent());
        assertTrue(guest.machine.memory().regions().checkDrift().clean());

        InspectService inspect = container.await(InspectService.class);
        String text = inspect.toText(
                inspect.inspect(InspectService.Query.of("guests/" + name)).orElseThrow());
        for (String expected : List.of("va", "regions", "attachments", "virtual-machines")) {
            assertTrue(text, text.contains(expected));
        }
        guest.machine.close();
    }

    @Test
    public void eachCoreBundleStopsUnderARunningGuestAndReturns() throws Exception {
        RunningGuest.start(container).machine.close();
        Footprint before = Footprint.now();
        for (String part : List.of(
                "host-linux", "mapping-manager", "region-manager", "memory-manager", "partition-manager", "machine")) {
            RunningGuest guest = RunningGuest.start(container);
            Bundle bundle = container.bundle(part);
            bundle.stop();
            assertEquals(part, Kind.CLOSED, guest.awaitEnd().kind());
            assertEquals(part, 0, Footprint.descriptorsOf("anon_inode:kvm"));
            assertEquals(part, 0, Footprint.descriptorsOf("memfd:"));
            assertEquals(part, 0, Footprint.mappingsOf("memfd:"));
            assertThrows(part, IllegalStateException.class, guest::count);
            assertThrows(part, IllegalStateException.class, () -> guest.machine.start());
            guest.machine.close();
            bundle.start();
            container.awaitComplete();
        }
        RunningGuest.start(container).machine.close();
        before.awaitReached(20, Container.DEADLINE);
    }

    @Test
    public void commandsAreOfferedToGogo() throws Exception {
        RunningGuest guest = RunningGuest.start(container);
        String name = guest.machine.name();
        assertNotNull(context.getAllServiceReferences(
                null, "(&(osgi.command.scope=membacking)(osgi.command.function=guests))"));
        CommandProcessor gogo = container.await(CommandProcessor.class);
        CommandSession session = gogo.createSession(InputStream.nullInputStream(), System.out, System.err);
        assertTrue(String.valueOf(session.execute("membacking:guests")).contains(name));
        assertTrue(String.valueOf(session.execute("membacking:backends")).contains("yes"));
        assertTrue(String.valueOf(session.execute("membacking:flat " + name)).contains("0x0-0xa0000"));
        assertTrue(String.valueOf(session.execute("membacking:explain " + name + " 0x0"))
                .contains("rwx"));
        assertTrue(String.valueOf(session.execute("membacking:drift " + name)).contains("agree"));
        session.execute("membacking:stop " + name);
        assertEquals(Kind.CLOSED, guest.awaitEnd().kind());
        session.close();
    }

    @Test
    public void inspectComesAndGoesWithoutTheGuestNoticing() throws Exception {
        RunningGuest guest = RunningGuest.start(container);
        Bundle inspect = container.bundle("inspect");
        inspect.stop();
        guest.awaitCounting();
        inspect.start();
        container.awaitComplete();
        guest.awaitCounting();
        guest.machine.close();
    }
}
