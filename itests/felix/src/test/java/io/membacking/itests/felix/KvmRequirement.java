package io.membacking.itests.felix;

import io.membacking.itests.support.Container;
import io.membacking.vm.VirtualMachines;
import org.junit.Assert;
import org.junit.Assume;

/** What tests with a running guest need. Missing it they are skipped with what to do, or fail where everything is required. */
final class KvmRequirement {
    private KvmRequirement() {}

    static void check(Container container) {
        VirtualMachines machines = container.await(VirtualMachines.class);
        boolean usable =
                machines.backends().stream().anyMatch(b -> b.availability().usable());
        String remedy = "no usable hypervisor: " + machines.backends();
        if ("all".equals(System.getProperty("membacking.require"))) {
            Assert.assertTrue(remedy, usable);
        }
        Assume.assumeTrue(remedy, usable);
    }
}
