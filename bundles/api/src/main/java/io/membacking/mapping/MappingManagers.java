package io.membacking.mapping;

import io.membacking.error.HostMappingException;
import io.membacking.host.HostMemory;

/** Makes the mapping manager of each guest. A service; thread-safe. When it goes, the managers it made are closed. */
public interface MappingManagers {
    /**
     * Reserves the VA space of a guest: 0 to {@code size}, aligned to 2 MiB from 2 MiB on, to 1 GiB from 1 GiB on.
     *
     * @param guest the guest's name
     * @param size bytes, a positive multiple of the page size
     * @throws HostMappingException if the host has no such room
     */
    MappingManager create(String guest, long size) throws HostMappingException;

    /** The host this works on. */
    HostMemory host();
}
