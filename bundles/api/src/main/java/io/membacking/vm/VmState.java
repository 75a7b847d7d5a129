package io.membacking.vm;

/** Where a virtual machine stands. */
public enum VmState {
    /** No usable backend: memory is kept, and it attaches when one comes. */
    WAITING,
    /** Attached, its processors in their reset state or as they were set; not running. */
    READY,
    RUNNING,
    CLOSED
}
