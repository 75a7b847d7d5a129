package io.membacking.region.internal;

import io.membacking.error.BackendException;
import io.membacking.region.ProcessorGate;
import java.time.Duration;

/** A gate that remembers. */
final class RecordingGate implements ProcessorGate {
    private final Faults faults;
    private final String name;
    private boolean held;
    private int holds;
    private String detached = "";
    private Duration lastDeadline = Duration.ZERO;
    private Runnable onDetached = () -> {};

    RecordingGate(Faults faults, String name) {
        this.faults = faults;
        this.name = name;
    }

    boolean isHeld() {
        return held;
    }

    int holds() {
        return holds;
    }

    String detached() {
        return detached;
    }

    Duration lastDeadline() {
        return lastDeadline;
    }

    void onDetached(Runnable action) {
        onDetached = action;
    }

    @Override
    public void hold(Duration deadline) throws BackendException {
        lastDeadline = deadline;
        if (held) {
            throw faults.violated(name + " is held twice");
        }
        if (faults.fails(name + " hold")) {
            throw new BackendException(Faults.failure("hold"));
        }
        held = true;
        holds++;
    }

    @Override
    public void release() {
        if (!held) {
            throw faults.violated(name + " is not held");
        }
        held = false;
    }

    @Override
    public void detached(String reason) {
        detached = reason;
        held = true;
        onDetached.run();
    }
}
