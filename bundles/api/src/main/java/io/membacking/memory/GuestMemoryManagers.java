package io.membacking.memory;

import io.membacking.host.HostMemory;
import java.util.List;
import java.util.Optional;

/** Where a monitor asks for a guest's memory. A service; thread-safe. When it goes, the managers it made are closed. */
public interface GuestMemoryManagers {
    /** Starts a guest's memory. @param guest its name, not empty, without {@code /}; refused at build if it is taken */
    GuestMemoryBuilder builder(String guest);

    /** In the order in which they were built. */
    List<GuestMemoryManager> managers();

    Optional<GuestMemoryManager> manager(String guest);

    HostMemory host();
}
