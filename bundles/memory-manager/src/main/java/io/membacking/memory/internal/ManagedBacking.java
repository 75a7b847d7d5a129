package io.membacking.memory.internal;

import io.membacking.host.Backing;
import io.membacking.memory.BackingChoice;

/** A backing that holds RAM of a guest, which owns this handle and the claim. */
record ManagedBacking(Backing backing, Backing.Claim claim, BackingChoice choice) {}
