package io.membacking.region.internal;

import io.membacking.mapping.HeldMemory;
import io.membacking.mapping.MappingManager;

/** A VA space that a test can look into. */
interface TestSpace extends MappingManager {
    /** What a page holds, or null. */
    HeldMemory page(long gpa);

    boolean isLocked(long gpa);

    boolean inTransition();
}
