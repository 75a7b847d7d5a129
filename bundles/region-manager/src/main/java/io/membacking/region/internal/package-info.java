/**
 * Regions, the flat view they give, and the changes of both.
 *
 * <p>What decides is pure and calls nobody: {@code Draft} applies operations to the {@code RegionTable}, {@code FlatView} renders
 * what shows, {@code Difference}, {@code VaChanges}, {@code Run} and {@code PartitionPlan} say what that means for readers, the VA
 * space and each consumer, and {@code Planner} puts the steps in order. All state is one immutable value ({@code GuestState} over
 * {@code RangeTree}s, which share what did not change), so a change that fails leaves the state before it in place, a dry run is
 * the same code without the last part, and readers need no lock. What acts is {@code Execution}: steps in order, undone in
 * reverse. {@code GuestRegionManager} lets one change pass at a time.
 *
 * <p>Rules of this bundle, beyond those of the design:
 *
 * <ul>
 *   <li>A mapped region wins or loses as a whole. Where the winner has no mapping, accesses exit and what is beneath stays hidden:
 *       what a device unmaps from its memory must not show RAM that happens to lie under it.
 *   <li>The VA space holds what shows, and what has shown until other memory takes its place or no region has a mapping for it
 *       there any more. Memory that never showed is not held.
 *   <li>Each page of private memory has one place: one mapping of one region. It is never moved or displaced with contents.
 *   <li>A partition that follows what the host address holds gets one mapping for neighbouring pieces of one region with one
 *       access; others, and DMA targets, get one for each run of one backing. So what a consumer holds is a function of the flat
 *       view, and the same after any history.
 *   <li>Processors are held when their partition would see more than one step, or one that is not atomic, and never otherwise.
 *   <li>A change that changes nothing is not journalled. A refused one is, with an empty plan.
 *   <li>If the host cannot put back what a failed change replaced, that part of the VA space is emptied, readers get no access
 *       there, and the partitions and targets mapped over it are detached; mapping the region anew, or attaching, fills it again.
 * </ul>
 *
 * <p>What may come in: the API. Never: JNA, another provider, a reference to a consumer in a plan or a journal entry.
 */
@org.jspecify.annotations.NullMarked
package io.membacking.region.internal;
