package io.membacking.host.windows;

import io.membacking.host.HostMemory;
import org.osgi.annotation.bundle.Requirement;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;

/** Publishes the host's memory where the host is Windows: elsewhere the bundle does not resolve. */
@Component(service = HostMemory.class, property = "membacking.host=windows")
@Requirement(namespace = "osgi.native", filter = "(osgi.native.osname~=win32)")
public final class HostMemoryComponent extends WindowsHostMemory {
    @Activate
    public HostMemoryComponent() {}

    @Deactivate
    void deactivate() {
        close();
    }
}
