package io.membacking.itests.karaf;

import static org.junit.Assert.assertTrue;

import io.membacking.itests.support.Container;
import javax.inject.Inject;
import org.apache.karaf.features.FeaturesService;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.ops4j.pax.exam.Configuration;
import org.ops4j.pax.exam.Option;
import org.ops4j.pax.exam.junit.PaxExam;
import org.ops4j.pax.exam.spi.reactors.ExamReactorStrategy;
import org.ops4j.pax.exam.spi.reactors.PerClass;
import org.osgi.framework.BundleContext;

/** The feature in stock Karaf. */
@RunWith(PaxExam.class)
@ExamReactorStrategy(PerClass.class)
public class InstalledIT {
    @Inject
    private BundleContext context;

    @Inject
    private FeaturesService features;

    @Configuration
    public Option[] container() {
        return KarafContainer.options();
    }

    @Test
    public void featureIsInstalledWithTheBackendOfThisHost() throws Exception {
        assertTrue(features.isInstalled(features.getFeature("membacking")));
        Container container = new Container(context);
        container.bundle("host-linux");
        container.bundle("partition-kvm");
        container.bundle("shell");
    }

    @Test
    public void everyBundleIsActiveAndNoComponentWaits() {
        new Container(context).awaitComplete();
    }
}
