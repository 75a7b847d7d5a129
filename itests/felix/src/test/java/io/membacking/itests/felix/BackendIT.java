package io.membacking.itests.felix;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import io.membacking.itests.support.Container;
import io.membacking.itests.support.Footprint;
import io.membacking.vm.VmState;
import java.lang.ref.WeakReference;
import javax.inject.Inject;
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

/** The backend's bundle comes and goes while a guest lives, on the real KVM. */
@RunWith(PaxExam.class)
@ExamReactorStrategy(PerClass.class)
public class BackendIT {
    private static final long MARK_AT = 0x200000;
    private static final long MARK = 0x1122334455667788L;

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
    public void guestOfAStoppedBackendIsParkedAndGoesOnWhenItReturns() throws Exception {
        RunningGuest guest = RunningGuest.start(container);
        guest.machine.memory().memory().writeLong(MARK_AT, MARK);
        Bundle kvm = container.bundle("partition-kvm");
        for (int round = 0; round < 20; round++) {
            kvm.stop();
            assertEquals(VmState.PARKED, guest.machine.vm().state());
            int count = guest.count();
            // Not the bundle's own file, which has the word in its name too.
            assertEquals(0, Footprint.descriptorsOf("/dev/kvm") + Footprint.descriptorsOf("anon_inode:kvm"));
            assertEquals(0, Footprint.mappingsOf("anon_inode:kvm"));
            assertEquals(MARK, guest.machine.memory().memory().readLong(MARK_AT));
            kvm.start();
            container.awaitComplete();
            assertEquals(
                    guest.machine.vm().status(),
                    VmState.RUNNING,
                    guest.machine.vm().state());
            assertTrue("it counts on from where it was", guest.count() - count >= 0);
            guest.awaitCounting();
            assertEquals(MARK, guest.machine.memory().memory().readLong(MARK_AT));
        }
        assertTrue(guest.machine.memory().regions().checkDrift().clean());
        guest.machine.close();
    }

    @Test
    public void secondBackendTakesOverAndTheFirstIsCollected() throws Exception {
        RunningGuest guest = RunningGuest.start(container);
        guest.machine.memory().memory().writeLong(MARK_AT, MARK);
        Bundle first = container.bundle("partition-kvm");
        Bundle second = new KvmVersions(context, container).start("0.2.0");
        guest.awaitCounting();

        WeakReference<ClassLoader> loader = KvmVersions.loader(first);
        String location = first.getLocation();
        container.uninstall(first);
        assertEquals(VmState.RUNNING, guest.machine.vm().state());
        assertTrue(guest.machine.vm().status(), guest.machine.vm().status().contains("0.2.0"));
        assertEquals(MARK, guest.machine.memory().memory().readLong(MARK_AT));
        guest.awaitCounting();
        assertEquals(1, guest.machine.vm().moves());
        KvmVersions.awaitCollected(loader);

        guest.machine.close();
        container.uninstall(second);
        context.installBundle(location).start();
        container.awaitComplete();
    }
}
