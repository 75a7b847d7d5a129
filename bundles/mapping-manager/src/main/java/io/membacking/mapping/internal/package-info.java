/** The VA space of a guest, its snapshot and checked access to its bytes. */
@org.jspecify.annotations.NullMarked
package io.membacking.mapping.internal;
