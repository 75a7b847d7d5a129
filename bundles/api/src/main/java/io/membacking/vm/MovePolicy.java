package io.membacking.vm;

/** When a virtual machine moves by itself from one backend to another. */
public enum MovePolicy {
    /** When its backend departs, to the best other that will have it. */
    WHEN_BACKEND_DEPARTS,
    /** That, and when a better one comes. */
    TO_BETTER_BACKEND,
    /** Never, and not on request: when its backend departs it is parked, until a backend of the same name comes. */
    PINNED
}
