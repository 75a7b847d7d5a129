package io.membacking.partition.reference;

import io.membacking.partition.Exit;

/** The processor cannot go on without its monitor. */
final class ExitRequest extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final transient Exit exit;

    ExitRequest(Exit exit) {
        super(exit.toString(), null, false, false);
        this.exit = exit;
    }

    Exit exit() {
        return exit;
    }
}
