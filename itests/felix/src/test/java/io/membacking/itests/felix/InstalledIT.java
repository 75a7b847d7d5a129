package io.membacking.itests.felix;

import static org.junit.Assert.assertTrue;

import io.membacking.itests.support.Container;
import javax.inject.Inject;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.ops4j.pax.exam.Configuration;
import org.ops4j.pax.exam.Option;
import org.ops4j.pax.exam.junit.PaxExam;
import org.ops4j.pax.exam.spi.reactors.ExamReactorStrategy;
import org.ops4j.pax.exam.spi.reactors.PerClass;
import org.osgi.framework.BundleContext;

/** Everything installed and started. */
@RunWith(PaxExam.class)
@ExamReactorStrategy(PerClass.class)
public class InstalledIT {
    @Inject
    private BundleContext context;

    @Configuration
    public Option[] container() {
        return FelixContainer.options();
    }

    @Test
    public void everyBundleIsActiveAndNoComponentWaits() {
        Container container = new Container(context);
        assertTrue(container.bundles().keySet().toString(), container.bundles().containsKey("io.membacking.api"));
        container.awaitComplete();
    }
}
