package io.membacking.machine.internal;

import io.membacking.error.MembackingException;
import io.membacking.partition.Exit;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.IntPredicate;

/**
 * Carries port accesses to devices. An access that is wider than a device takes is split into bytes at ascending ports, as the
 * ISA bus does it. What nobody claims reads as all ones. Devices are attached before the guest runs; thread-safe from then on.
 */
final class PortBus {
    private final Map<Integer, Claim> fixed = new HashMap<>();
    private final List<Movable> movable = new ArrayList<>();

    /** @param widest the most bytes that {@code device} takes at once */
    void attach(int first, int last, int widest, PortDevice device) {
        for (int port = first; port <= last; port++) {
            Claim previous = fixed.put(port, new Claim(widest, device));
            if (previous != null) {
                throw new IllegalArgumentException("port 0x" + Integer.toHexString(port) + " has a device already");
            }
        }
    }

    /** A device whose ports the guest chooses. */
    void attachMovable(IntPredicate claims, int widest, PortDevice device) {
        movable.add(new Movable(claims, new Claim(widest, device)));
    }

    boolean claims(int port) {
        return find(port).isPresent();
    }

    /** Carries out every item of an exit, filling its data if it is for input. */
    void handle(Exit.PortIo exit) throws MembackingException {
        for (int i = 0; i < exit.count(); i++) {
            if (exit.input()) {
                exit.setValue(i, Integer.toUnsignedLong(read(exit.port(), exit.size())));
            } else {
                write(exit.port(), exit.size(), (int) exit.value(i));
            }
        }
    }

    int read(int port, int size) {
        Optional<Claim> claim = find(port);
        if (claim.isPresent() && size <= claim.get().widest()) {
            return claim.get().device().read(port, size) & ones(size);
        }
        if (size == 1) {
            return ones(1);
        }
        int value = 0;
        for (int i = size - 1; i >= 0; i--) {
            value = (value << 8) | read((port + i) & 0xffff, 1);
        }
        return value;
    }

    void write(int port, int size, int value) throws MembackingException {
        Optional<Claim> claim = find(port);
        if (claim.isPresent() && size <= claim.get().widest()) {
            claim.get().device().write(port, size, value & ones(size));
        } else if (size > 1) {
            for (int i = 0; i < size; i++) {
                write((port + i) & 0xffff, 1, (value >>> (8 * i)) & 0xff);
            }
        }
    }

    static int ones(int size) {
        return size == 4 ? -1 : (1 << (8 * size)) - 1;
    }

    private Optional<Claim> find(int port) {
        Claim claim = fixed.get(port);
        if (claim != null) {
            return Optional.of(claim);
        }
        return movable.stream()
                .filter(m -> m.claims().test(port))
                .map(Movable::claim)
                .findFirst();
    }

    private record Claim(int widest, PortDevice device) {}

    private record Movable(IntPredicate claims, Claim claim) {}
}
