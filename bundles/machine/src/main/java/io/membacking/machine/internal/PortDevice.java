package io.membacking.machine.internal;

import io.membacking.error.MembackingException;

/** A device behind I/O ports. Called by several processors at once: it guards its own state. */
interface PortDevice {
    /**
     * @param size bytes: 1, or up to what the device was attached for
     * @return the value, in the low {@code size} bytes; what is above is ignored
     */
    int read(int port, int size);

    /**
     * @param value zero-extended
     * @throws MembackingException if it meant a change of the guest's memory that failed; the device is then as it was
     */
    void write(int port, int size, int value) throws MembackingException;
}
