package io.membacking.vm.internal;

import io.membacking.error.BackendException;
import io.membacking.error.Failure;
import io.membacking.partition.Partition;
import java.util.BitSet;
import org.jspecify.annotations.Nullable;

/**
 * The lines of a guest's interrupt controllers: a hypervisor does not tell which are raised, and none may be lost while the guest
 * is between two of them. Thread-safe.
 */
final class InterruptLines {
    /** Global system interrupts of one I/O APIC. */
    private static final int LINES = 24;

    private final String machine;
    private final boolean controllers;
    private final BitSet raised = new BitSet();
    /** Raised, if only for a moment, since {@link #save}. */
    private final BitSet pulsed = new BitSet();

    private @Nullable Partition partition;
    private boolean saved;

    /** @param controllers whether the guest has interrupt controllers at all */
    InterruptLines(String machine, boolean controllers) {
        this.machine = machine;
        this.controllers = controllers;
    }

    /** Refused here, so that nothing is remembered that no partition would take. */
    private void check(int line) throws BackendException {
        if (!controllers || line < 0 || line >= LINES) {
            throw new BackendException(Failure.of(
                    "move interrupt line " + line + " of '" + machine + "'",
                    null,
                    controllers ? "there is no such line" : "it has no interrupt controllers",
                    controllers ? "use 0 to " + (LINES - 1) : "ask for them when it is created"));
        }
    }

    synchronized void set(int line, boolean level) throws BackendException {
        check(line);
        Partition current = partition;
        if (current != null) {
            try {
                current.setInterruptLine(line, level);
            } catch (IllegalStateException e) {
                // Its backend departed meanwhile: there is no line to move.
                if (!current.isClosed()) {
                    throw e;
                }
            }
        } else if (!saved) {
            return;
        }
        raised.set(line, level);
        if (saved && level) {
            pulsed.set(line);
        }
    }

    /** @return whether the edge was taken; one that comes between two partitions is not, and is its giver's to keep */
    synchronized boolean pulse(int line) throws BackendException {
        check(line);
        Partition current = partition;
        if (current == null) {
            return false;
        }
        try {
            return current.pulseInterruptLine(line);
        } catch (IllegalStateException e) {
            // Its backend departed meanwhile.
            if (!current.isClosed()) {
                throw e;
            }
            return false;
        }
    }

    /** The lines that are raised now. What changes from here on is kept for the next partition. */
    synchronized BitSet save() {
        partition = null;
        saved = true;
        pulsed.clear();
        return (BitSet) raised.clone();
    }

    /**
     * Goes on with a partition, and tells it what changed since {@link #save}.
     *
     * @param before what it was told already
     */
    synchronized void restore(Partition next, BitSet before) throws BackendException {
        for (int line = pulsed.nextSetBit(0); line >= 0; line = pulsed.nextSetBit(line + 1)) {
            if (before.get(line)) {
                next.setInterruptLine(line, false); // or there would be no edge
            }
            next.setInterruptLine(line, true);
            before.set(line);
        }
        before.xor(raised);
        for (int line = before.nextSetBit(0); line >= 0; line = before.nextSetBit(line + 1)) {
            next.setInterruptLine(line, raised.get(line));
        }
        partition = next;
        saved = false;
        pulsed.clear();
    }

    /** Goes on with a partition in whatever state its lines are: what cannot be told to it is lost. */
    synchronized void adopt(Partition current) {
        partition = current;
        saved = false;
        pulsed.clear();
    }

    /** Begins anew with every line lowered. @param next null while there is none */
    synchronized void reset(@Nullable Partition next) {
        partition = next;
        saved = false;
        raised.clear();
        pulsed.clear();
    }
}
