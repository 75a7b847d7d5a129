package io.membacking.runner;

/**
 * The exit statuses of the runnable jar. All are even: a guest that ends itself at its exit port gives {@code (value << 1) | 1}, and
 * the low 8 bits of that, odd, are the status then. {@code help.txt} has the same table for users.
 */
enum ExitStatus {
    /** The firmware found nothing to boot, or the guest halted or switched itself off. */
    DONE(0),
    GUEST_RESET(2),
    /** Triple fault. */
    GUEST_CRASHED(4),
    /** The hypervisor could not carry on: an instruction it cannot emulate, memory it could not have, its bundle went. */
    HYPERVISOR_FAILED(6),
    /** Regions, VA space and partition do not agree. */
    DRIFT(8),
    /** It asked for device memory or for a move, and that could not be done. */
    GUEST_NOT_SERVED(10),
    USAGE(64),
    NO_IMAGE(66),
    BAD_IMAGE(68),
    /** Used by the launcher. */
    NOT_STARTED(70),
    NO_HYPERVISOR(72),
    NO_PERMISSION(74),
    BAD_MEMORY_SIZE(76),
    NO_MEMORY(78),
    /** As timeout(1) has it. */
    TIMEOUT(124);

    private final int code;

    ExitStatus(int code) {
        this.code = code;
    }

    int code() {
        return code;
    }
}
