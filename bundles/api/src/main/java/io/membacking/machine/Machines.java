package io.membacking.machine;

import io.membacking.error.MembackingException;
import java.util.List;
import java.util.Optional;

/** Makes small PCs. A service; thread-safe. When it goes, the machines it made are closed. */
public interface Machines {
    /**
     * Makes a machine, loaded and not running.
     *
     * @throws MembackingException if its memory cannot be had
     * @throws IllegalArgumentException if the name is taken or the image cannot be loaded: too large, not a kernel, outside RAM;
     *     nothing is left behind
     */
    Machine create(MachineConfig config) throws MembackingException;

    List<Machine> machines();

    Optional<Machine> machine(String name);
}
