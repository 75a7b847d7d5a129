package io.membacking.host.linux;

import io.membacking.host.HostMemory;
import io.membacking.host.contract.HostMemoryContract;

class LinuxHostMemoryTest extends HostMemoryContract {
    @Override
    protected HostMemory open() {
        return new LinuxHostMemory();
    }

    @Override
    protected void close(HostMemory host) {
        ((LinuxHostMemory) host).close();
    }
}
