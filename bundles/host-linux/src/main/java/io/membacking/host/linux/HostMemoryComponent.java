package io.membacking.host.linux;

import io.membacking.host.HostMemory;
import org.osgi.annotation.bundle.Requirement;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;

/** Publishes the host's memory where the host is Linux: elsewhere the bundle does not resolve. */
@Component(service = HostMemory.class, property = "membacking.host=linux")
@Requirement(namespace = "osgi.native", filter = "(osgi.native.osname~=linux)")
public final class HostMemoryComponent extends LinuxHostMemory {
    @Activate
    public HostMemoryComponent() {}

    @Deactivate
    void deactivate() {
        close();
    }
}
