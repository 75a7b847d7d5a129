/** A small PC: its devices, its images and its exit handler. */
@org.jspecify.annotations.NullMarked
package io.membacking.machine.internal;
