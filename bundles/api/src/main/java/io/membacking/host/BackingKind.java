package io.membacking.host;

/** What holds the bytes. */
public enum BackingKind {
    /** Memory with a descriptor that can be mapped many times and shared: a memfd or a section. */
    SHARED,
    /** Anonymous memory that lives in one VA space and nowhere else; it has no descriptor. */
    PRIVATE,
    /** Huge pages from a pool, with a descriptor. */
    HUGETLB
}
