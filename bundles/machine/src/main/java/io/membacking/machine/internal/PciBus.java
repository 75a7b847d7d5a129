package io.membacking.machine.internal;

import io.membacking.error.MembackingException;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * PCI bus 0 behind configuration mechanism 1 (PCI local bus specification 3.0, 3.2.2.3.2): the address at port 0xcf8, the data
 * at 0xcfc to 0xcff. Port 0xcf9 is PIIX3's reset control.
 */
final class PciBus implements PortDevice {
    static final int ADDRESS = 0xcf8;
    static final int RESET_CONTROL = 0xcf9;
    static final int DATA = 0xcfc;

    private static final int ENABLE = 0x80000000;
    private static final int RESERVED = 0x7f000003;

    private final Map<Integer, PciFunction> functions = new HashMap<>();
    private final RunEnd end;
    private int address;
    private int resetControl;

    PciBus(RunEnd end) {
        this.end = end;
    }

    void add(int device, int function, PciFunction config) {
        functions.put((device << 3) | function, config);
    }

    void attachTo(PortBus bus) {
        bus.attach(ADDRESS, DATA + 3, 4, this);
    }

    synchronized void reset() {
        address = 0;
        resetControl = 0;
        functions.values().forEach(PciFunction::reset);
    }

    @Override
    public int read(int port, int size) {
        if (port >= DATA) {
            Target target = target(port, size);
            return target == null ? PortBus.ones(size) : target.function().readConfig(target.offset(), target.size());
        }
        synchronized (this) {
            if (port == ADDRESS && size == 4) {
                return address;
            }
            return port == RESET_CONTROL && size == 1 ? resetControl : PortBus.ones(size);
        }
    }

    @Override
    public void write(int port, int size, int value) throws MembackingException {
        if (port >= DATA) {
            Target target = target(port, size);
            if (target != null) {
                target.function().writeConfig(target.offset(), target.size(), value);
            }
            return;
        }
        synchronized (this) {
            if (port == ADDRESS && size == 4) {
                address = value & ~RESERVED;
            } else if (port == RESET_CONTROL && size == 1) {
                resetControl = value & 0x06;
                if ((value & 0x04) != 0) {
                    end.ask(RunEnd.RESET, "the guest asked for a reset through port 0xcf9");
                }
            }
        }
    }

    /** What an access to the data ports means; the address may change right after, by another processor: not our race. */
    private synchronized @Nullable Target target(int port, int size) {
        if ((address & ENABLE) == 0 || (address >>> 16 & 0xff) != 0 || port + size > DATA + 4) {
            return null;
        }
        PciFunction function = functions.get(address >>> 8 & 0xff);
        return function == null ? null : new Target(function, (address & 0xfc) + (port - DATA), size);
    }

    private record Target(PciFunction function, int offset, int size) {}
}
