package io.membacking.vm;

/** Where a virtual machine stands. */
public enum VmState {
    /** No usable backend and no processors yet: memory is kept, and it attaches when one comes. */
    WAITING,
    /** Attached, its processors in their reset state or as they were set; not running. */
    READY,
    RUNNING,
    /**
     * No backend, but the state of its processors and its memory; a run under way has no end. It goes on, running or ready, when a
     * backend comes that will have it.
     */
    PARKED,
    CLOSED
}
