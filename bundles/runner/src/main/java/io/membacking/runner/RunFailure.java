package io.membacking.runner;

/** Why the job cannot be done, in one line for the user, with the remedy. */
final class RunFailure extends Exception {
    private static final long serialVersionUID = 1L;

    private final ExitStatus status;

    RunFailure(ExitStatus status, String message) {
        super(message);
        this.status = status;
    }

    ExitStatus status() {
        return status;
    }
}
