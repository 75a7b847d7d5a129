package io.membacking.inspect;

/** How far a value may travel. */
public enum Sensitivity {
    /** May be shown to anyone. */
    SAFE,
    /** Nobody has said. */
    UNSPECIFIED,
    /** Host addresses and the like. */
    SENSITIVE
}
