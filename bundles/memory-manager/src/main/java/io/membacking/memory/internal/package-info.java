/** Building and managing the memory of one guest. */
@org.jspecify.annotations.NullMarked
package io.membacking.memory.internal;
