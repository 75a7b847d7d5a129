package io.membacking.app;

import java.util.ArrayList;
import java.util.List;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleException;
import org.osgi.framework.launch.Framework;
import org.osgi.framework.namespace.NativeNamespace;
import org.osgi.framework.wiring.BundleCapability;
import org.osgi.framework.wiring.BundleRequirement;
import org.osgi.framework.wiring.BundleRevision;

/** The operating system and processor, as the framework describes them: the jar holds bundles for several. */
record HostSystem(List<BundleCapability> described) {
    static HostSystem of(Framework framework) {
        return new HostSystem(
                framework.adapt(BundleRevision.class).getDeclaredCapabilities(NativeNamespace.NATIVE_NAMESPACE));
    }

    /** Uninstalls the bundles that ask for another system. @return the others */
    List<Bundle> select(List<Bundle> bundles) throws BundleException {
        List<Bundle> selected = new ArrayList<>();
        for (Bundle bundle : bundles) {
            if (suits(bundle)) {
                selected.add(bundle);
            } else {
                bundle.uninstall();
            }
        }
        return selected;
    }

    private boolean suits(Bundle bundle) {
        return bundle.adapt(BundleRevision.class).getDeclaredRequirements(NativeNamespace.NATIVE_NAMESPACE).stream()
                .allMatch(this::meets);
    }

    private boolean meets(BundleRequirement requirement) {
        return described.stream().anyMatch(requirement::matches);
    }
}
