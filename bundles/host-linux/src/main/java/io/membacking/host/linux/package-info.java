/**
 * Host memory on Linux: address space, memfd and anonymous backings, sealing and sharing.
 *
 * <p>Everything that the kernel is asked lives here, in {@code Libc} and the classes that use it; nothing here reads or writes a
 * guest's memory by its address, decides what is mapped, or knows of regions.
 *
 * <p>Known holes:
 *
 * <ul>
 *   <li>The seals forbid shrinking, not punching holes: who receives a backing of huge pages is trusted not to punch any, since
 *       a page that the pool does not have afterwards is a fault.
 *   <li>Ordinary memory is committed at its first touch, as always on Linux unless overcommit is strict.
 *   <li>Private memory is charged where it is mapped; that it would be given is tried when it is allocated.
 *   <li>The kernel cuts no huge page: mapping over a part of one is refused by name, releasing a part of one with
 *       IllegalArgumentException.
 *   <li>Close to the limit on mappings, when what {@code MappingBudget} keeps for releasing is used up too, what is released may
 *       stay mapped until a later change; it is observed as still there.
 * </ul>
 */
@org.jspecify.annotations.NullMarked
package io.membacking.host.linux;
