package io.membacking.machine;

import java.io.OutputStream;
import java.util.Optional;

/**
 * A machine asked for.
 *
 * @param name of the guest, its memory and its virtual machine
 * @param memorySize bytes of RAM: a multiple of the page size, at least 1 MiB; what does not fit below 3 GiB lies from 4 GiB on
 * @param processors at least 1; firmware sees them through fw_cfg
 * @param boot what it runs
 * @param serial where the first serial port's output goes, flushed at the end of a line and when the guest pauses; not closed by the machine. If it
 *     throws, output is dropped and the guest goes on
 * @param debug where the debug console's output goes, likewise
 * @param backendFilter an LDAP filter over the backends' service properties; empty admits all
 */
public record MachineConfig(
        String name,
        long memorySize,
        int processors,
        BootSource boot,
        OutputStream serial,
        OutputStream debug,
        Optional<String> backendFilter) {
    /** One processor, 64 MiB, output dropped. */
    public static MachineConfig of(String name, BootSource boot) {
        return new MachineConfig(
                name,
                64L << 20,
                1,
                boot,
                OutputStream.nullOutputStream(),
                OutputStream.nullOutputStream(),
                Optional.empty());
    }

    public MachineConfig withMemory(long bytes) {
        return new MachineConfig(name, bytes, processors, boot, serial, debug, backendFilter);
    }

    public MachineConfig withProcessors(int count) {
        return new MachineConfig(name, memorySize, count, boot, serial, debug, backendFilter);
    }

    public MachineConfig withOutput(OutputStream newSerial, OutputStream newDebug) {
        return new MachineConfig(name, memorySize, processors, boot, newSerial, newDebug, backendFilter);
    }

    public MachineConfig withBackendFilter(String filter) {
        return new MachineConfig(name, memorySize, processors, boot, serial, debug, Optional.of(filter));
    }
}
