package io.membacking.region;

import io.membacking.error.HostMappingException;

/** Makes the region manager of each guest. A service; thread-safe. When it goes, the managers it made are closed. */
public interface RegionManagers {
    /**
     * A region manager over a VA space of its own, without regions.
     *
     * @param guest the guest's name
     * @param size bytes of guest-physical space, as for the VA space
     */
    RegionManager create(String guest, long size) throws HostMappingException;
}
