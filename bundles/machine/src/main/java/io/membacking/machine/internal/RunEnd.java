package io.membacking.machine.internal;

import io.membacking.vm.Outcome;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;

/** Where a device asks for the end of the run. The first wish stands until the run is over. Thread-safe. */
final class RunEnd {
    /** The code of a run that the guest ended by switching itself off. Codes of the exit port are odd. */
    static final int POWER_OFF = 0;

    /** The code of a run that the guest ended by asking for a reset. */
    static final int RESET = 2;

    private final AtomicReference<Outcome> wish = new AtomicReference<>();

    void ask(int code, String reason) {
        wish.compareAndSet(null, Outcome.stop(code, reason));
    }

    Optional<Outcome> wish() {
        return Optional.ofNullable(wish.get());
    }

    void clear() {
        wish.set(null);
    }
}
