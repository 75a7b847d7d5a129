package io.membacking.vm;

/** What an exit handler decides. */
public sealed interface Outcome {
    /** Goes on in the guest. */
    static Outcome resume() {
        return Resume.INSTANCE;
    }

    /**
     * Does what is usual: port and MMIO reads see all ones and writes are dropped; a halt waits for the other processors to halt
     * too and then ends the run; every other exit ends the run with the result that names it.
     */
    static Outcome unhandled() {
        return Unhandled.INSTANCE;
    }

    /** Ends the run of all processors with {@link RunResult.Kind#STOPPED}. */
    static Outcome stop(int code, String reason) {
        return new Stop(code, reason);
    }

    enum Resume implements Outcome {
        INSTANCE
    }

    enum Unhandled implements Outcome {
        INSTANCE
    }

    record Stop(int code, String reason) implements Outcome {}
}
