package io.membacking.itests.windows;

import io.membacking.itests.support.Container;
import io.membacking.partition.Availability;
import io.membacking.vm.VirtualMachines;
import io.membacking.vm.VirtualMachines.BackendInfo;
import java.util.List;
import org.junit.jupiter.api.Assumptions;
import org.osgi.framework.FrameworkUtil;

/** The container that the tests run in, and what of it must be there. */
final class InContainer {
    private InContainer() {}

    static Container container() {
        return new Container(FrameworkUtil.getBundle(InContainer.class).getBundleContext());
    }

    /** Skips the test, or fails it where everything is required, unless a hypervisor can be used. */
    static VirtualMachines requireHypervisor() {
        VirtualMachines machines = container().await(VirtualMachines.class);
        List<BackendInfo> backends = machines.backends();
        if (backends.stream().map(BackendInfo::availability).noneMatch(Availability::usable)) {
            String message = "a usable hypervisor is needed; there are " + backends;
            if ("all".equals(System.getProperty("membacking.require"))) {
                throw new AssertionError(message);
            }
            Assumptions.abort(message);
        }
        return machines;
    }
}
