package io.membacking.host.windows;

import io.membacking.host.HostMemory;
import io.membacking.host.contract.HostMemoryContract;
import org.junit.jupiter.api.BeforeAll;

/** The contract as on a Windows without placeholders. */
class WithoutPlaceholdersTest extends HostMemoryContract {
    @BeforeAll
    static void onWindows() {
        OnWindows.require(WithoutPlaceholdersTest.class);
    }

    @Override
    protected HostMemory open() {
        return new WindowsHostMemory(HostFacts::withoutPlaceholders);
    }

    @Override
    protected void close(HostMemory host) {
        ((WindowsHostMemory) host).close();
    }
}
