package io.membacking.host.windows;

import io.membacking.host.HostMemory;
import io.membacking.host.contract.HostMemoryContract;
import org.junit.jupiter.api.BeforeAll;

/** The contract on this Windows, with placeholders where it has them. */
class WindowsHostMemoryTest extends HostMemoryContract {
    @BeforeAll
    static void onWindows() {
        OnWindows.require(WindowsHostMemoryTest.class);
    }

    @Override
    protected HostMemory open() {
        return new WindowsHostMemory();
    }

    @Override
    protected void close(HostMemory host) {
        ((WindowsHostMemory) host).close();
    }
}
