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
 * @param interruptControllers whether the partition is to have the PC's interrupt controllers, without which there are no
 *     interrupts and a halt ends the run; a guest without can be moved between backends of different kinds, and runs on those that
 *     have none. Empty: firmware has them, a kernel where a usable backend has, a flat binary has none
 */
public record MachineConfig(
        String name,
        long memorySize,
        int processors,
        BootSource boot,
        OutputStream serial,
        OutputStream debug,
        Optional<String> backendFilter,
        Optional<Boolean> interruptControllers) {
    /** With interrupt controllers if its image needs them. */
    public MachineConfig(
            String name,
            long memorySize,
            int processors,
            BootSource boot,
            OutputStream serial,
            OutputStream debug,
            Optional<String> backendFilter) {
        this(name, memorySize, processors, boot, serial, debug, backendFilter, Optional.empty());
    }

    /** One processor, 64 MiB, output dropped; with interrupt controllers if its image needs them. */
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
        return new MachineConfig(name, bytes, processors, boot, serial, debug, backendFilter, interruptControllers);
    }

    public MachineConfig withProcessors(int count) {
        return new MachineConfig(name, memorySize, count, boot, serial, debug, backendFilter, interruptControllers);
    }

    public MachineConfig withOutput(OutputStream newSerial, OutputStream newDebug) {
        return new MachineConfig(
                name, memorySize, processors, boot, newSerial, newDebug, backendFilter, interruptControllers);
    }

    public MachineConfig withBackendFilter(String filter) {
        return new MachineConfig(
                name, memorySize, processors, boot, serial, debug, Optional.of(filter), interruptControllers);
    }

    public MachineConfig withInterruptControllers(boolean wanted) {
        return new MachineConfig(name, memorySize, processors, boot, serial, debug, backendFilter, Optional.of(wanted));
    }
}
