/**
 * The provider of {@link io.membacking.mapping.MappingManagers}: what the VA space of a guest holds, the snapshot its readers
 * check against, and access to its memory that cannot end the JVM.
 *
 * <p>The way of an access: announce (Epochs), load the snapshot, check, touch (RawMemory), leave. The way of a change: publish the
 * pieces in transition, wait for who announced before, touch the VA space, publish the new access. What decides (Snapshot,
 * Holdings) knows nothing of memory or threads; one class, RawMemory, touches memory by address. No native call is made here:
 * host memory comes as a service.
 */
@NullMarked
package io.membacking.mapping.internal;

import org.jspecify.annotations.NullMarked;
