/**
 * The builder and the manager of one guest's memory.
 *
 * <p>{@link io.membacking.memory.internal.BuildPlanner} decides what a guest is made of and refuses what cannot be; it is pure.
 * {@link io.membacking.memory.internal.Assembly} carries the plan out, whole or not at all, and what comes of it is an {@link
 * io.membacking.memory.internal.AssembledMemory}. {@link io.membacking.memory.internal.GuestMemories} keeps them, without a
 * framework; {@link io.membacking.memory.internal.MemoryManagersComponent} and {@link
 * io.membacking.memory.internal.ConfiguredGuest} wire it into one.
 *
 * <p>Choices that are refused together are refused for each backing by itself: private memory or huge pages for RAM high up go
 * with x86 legacy support, as long as the RAM that is split has a backing of its own.
 *
 * <p>No native call and no decision about what the guest sees lives here: the first is the host's, the second the region
 * manager's.
 */
@org.jspecify.annotations.NullMarked
package io.membacking.memory.internal;
