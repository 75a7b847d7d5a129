package io.membacking.machine.internal;

import io.membacking.inspect.Inspection;
import io.membacking.partition.Exit;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.LongAdder;

/** Counts exits by kind, ports by number, and what nobody claimed. Thread-safe. */
final class ExitCounters {
    private final Map<String, LongAdder> kinds = new ConcurrentHashMap<>();
    private final Map<Integer, LongAdder> ports = new ConcurrentHashMap<>();
    private final Map<Integer, LongAdder> unclaimedPorts = new ConcurrentHashMap<>();
    private final LongAdder unclaimedMmio = new LongAdder();

    void count(Exit exit) {
        add(kinds, exit.getClass().getSimpleName());
        if (exit instanceof Exit.PortIo io) {
            add(ports, io.port());
        }
    }

    void countUnclaimedPort(int port) {
        add(unclaimedPorts, port);
    }

    void countUnclaimedMmio() {
        unclaimedMmio.increment();
    }

    long ofKind(Class<? extends Exit> kind) {
        LongAdder count = kinds.get(kind.getSimpleName());
        return count == null ? 0 : count.sum();
    }

    void inspect(Inspection inspection) {
        kinds.forEach((kind, count) -> inspection.counter(kind, count.sum()));
        inspection.counter("unclaimed Mmio", unclaimedMmio.sum());
        inspection.child("ports", child -> show(ports, child));
        inspection.child("unclaimed ports", child -> show(unclaimedPorts, child));
    }

    private static void show(Map<Integer, LongAdder> counts, Inspection inspection) {
        counts.forEach((port, count) -> inspection.counter("0x" + Integer.toHexString(port), count.sum()));
    }

    private static <K> void add(Map<K, LongAdder> counts, K key) {
        counts.computeIfAbsent(key, k -> new LongAdder()).increment();
    }
}
