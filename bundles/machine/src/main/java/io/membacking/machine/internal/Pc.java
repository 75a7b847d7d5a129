package io.membacking.machine.internal;

import io.membacking.error.MembackingException;
import io.membacking.inspect.Inspection;
import io.membacking.machine.internal.Serial16550.InterruptLine;
import io.membacking.partition.Exit;
import io.membacking.vm.ExitHandler;
import io.membacking.vm.Outcome;
import java.time.Clock;
import java.util.Arrays;
import java.util.function.LongSupplier;

/** The devices of a PC, wired, and the handler that brings exits to them. Thread-safe: each device guards itself. */
final class Pc implements ExitHandler {
    private final RunEnd end = new RunEnd();
    private final PortBus ports = new PortBus();
    private final ExitCounters counters = new ExitCounters();
    private final ConsoleOutput serialOutput;
    private final ConsoleOutput debugOutput;
    private final PciBus pci;
    private final HostBridge hostBridge;
    private final Cmos cmos;
    private final FwCfg fwCfg;
    private final Serial16550 serial;
    private final SystemPorts systemPorts;
    private final Pit pit;

    /** @param nanoTime as {@link System#nanoTime()}, for the PM timer */
    Pc(
            PcMemory memory,
            int processors,
            HostBridge.LegacyRam ram,
            ConsoleOutput serialOutput,
            ConsoleOutput debugOutput,
            InterruptLine serialLine,
            Pit pit,
            Clock clock,
            LongSupplier nanoTime) {
        this.serialOutput = serialOutput;
        this.debugOutput = debugOutput;
        hostBridge = new HostBridge(ram);
        PowerManagement power = new PowerManagement(nanoTime, end);
        pci = new PciBus(end);
        pci.add(0, 0, hostBridge);
        pci.add(1, 0, new Piix3());
        pci.add(1, 3, power);
        cmos = new Cmos(clock, memory, processors);
        fwCfg = new FwCfg(memory, processors);
        serial = new Serial16550(serialOutput, serialLine);
        systemPorts = new SystemPorts(end);
        this.pit = pit;
        pci.attachTo(ports);
        power.attachTo(ports);
        cmos.attachTo(ports);
        fwCfg.attachTo(ports);
        serial.attachTo(ports);
        systemPorts.attachTo(ports);
        pit.attachTo(ports);
        new DebugConsole(debugOutput).attachTo(ports);
    }

    /**
     * Puts every device into its reset state; the visibility of RAM is the caller's part. Not while the guest runs.
     *
     * @return what is to be called when the run that follows is over; it may be late
     */
    Runnable reset() {
        end.clear();
        pci.reset();
        cmos.reset();
        fwCfg.reset();
        serial.reset();
        systemPorts.reset();
        long run = pit.reset();
        return () -> {
            pit.stop(run);
            flush();
        };
    }

    /** No run follows. */
    void end() {
        pit.stop();
        flush();
    }

    void flush() {
        serialOutput.flush();
        debugOutput.flush();
    }

    ExitCounters counters() {
        return counters;
    }

    @Override
    public Outcome handle(int processor, Exit exit) throws MembackingException {
        counters.count(exit);
        if (exit instanceof Exit.PortIo io) {
            if (!ports.claims(io.port())) {
                counters.countUnclaimedPort(io.port());
            }
            ports.handle(io);
        } else if (exit instanceof Exit.Mmio mmio) {
            handle(mmio);
        } else {
            return Outcome.unhandled();
        }
        return end.wish().orElse(Outcome.resume());
    }

    private void handle(Exit.Mmio exit) {
        if (exit.input()) {
            Arrays.fill(exit.data(), (byte) 0xff);
        } else if (hostBridge.writeMemory(exit.gpa(), exit.data())) {
            return;
        }
        counters.countUnclaimedMmio();
    }

    void inspect(Inspection inspection) {
        inspection.child("exits", counters::inspect);
        inspection.child("serial", child -> inspect(child, serialOutput));
        inspection.child("debug", child -> inspect(child, debugOutput));
        inspection.hex("diagnostic code", systemPorts.diagnostic());
        inspection.child("timer", child -> {
            child.counter("ticks", pit.ticks());
            child.number("owed", pit.owed());
        });
        inspection.child(
                "pam",
                child -> PamSegment.ALL.forEach(segment -> child.text(
                        segment.range().toString(),
                        switch (segment.bits(hostBridge.readConfig(segment.register(), 1))) {
                            case 0 -> "rom";
                            case PamSegment.READ_ENABLE -> "ram, read-only";
                            case PamSegment.WRITE_ENABLE -> "rom, writes to ram";
                            default -> "ram";
                        })));
    }

    private static void inspect(Inspection inspection, ConsoleOutput output) {
        inspection.counter("written", output.written());
        inspection.counter("dropped", output.dropped());
    }
}
