package io.membacking.region.internal;

/**
 * An end that no region may reach beyond.
 *
 * @param end the first guest-physical address beyond
 * @param what whose limit it is, as the rest of a sentence: {@code "the VA space of guest 'a'"}
 */
record AddressLimit(long end, String what) {}
