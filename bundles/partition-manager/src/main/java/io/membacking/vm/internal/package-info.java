/**
 * Virtual machines on whatever hypervisor backend is installed: the only place that knows backends.
 *
 * <p>A {@link io.membacking.vm.internal.GuestVirtualMachine} has at most one {@link io.membacking.vm.internal.Engagement}: a
 * partition of one backend, its processors, and the attachment that gives it the guest's memory. Engagements come and go with
 * backends; the virtual machine and the memory stay. A {@link io.membacking.vm.internal.GuestRun} runs the processors, each on its
 * own thread, through the machine's {@link io.membacking.vm.internal.Gate}, which commits close for a moment and moves for longer.
 *
 * <h2>Moving</h2>
 *
 * <p>While the guest runs on, a second engagement is made on the same memory: from then on changes go to both. What comes next is
 * rehearsed on a machine without memory, by {@link io.membacking.vm.internal.Rehearsal}. Then the gate gathers
 * the processors: they leave the guest, their handlers return, their last instruction is finished. The
 * {@link io.membacking.vm.internal.GuestState} is taken from the one and given to the other, on the thread of the processor that came
 * last, and the gate lets them go with their new processors. The drift check of the new attachment follows with the guest running; only then is the old engagement closed. Whatever
 * fails before that, the guest goes on where it was. How long it stands still depends on processors and handlers alone.
 *
 * <p>A backend that departs with no other to go to leaves a parked machine: the state as values, the threads of the run waiting at the
 * gate. It all happens inside the call that takes the service away, within three seconds; a run whose exit handler does not return in
 * that time ends, because the exit in its hands cannot be finished by another hypervisor.
 *
 * <p>Interrupt lines that devices move meanwhile are remembered by {@link io.membacking.vm.internal.InterruptLines}.
 *
 * <p>Locks, outermost first: a machine's lifecycle lock, the region manager's change lock, a run's monitor, a gate's monitor. A thread
 * that runs a processor never waits for the first: moves that it asks for run on the registry's own thread. The gate calls nobody
 * while its monitor is held but {@code cancel}.
 *
 * <p>What never comes in: a hypervisor's own names, guest memory access, devices.
 */
@NullMarked
package io.membacking.vm.internal;

import org.jspecify.annotations.NullMarked;
