/**
 * Virtual machines on whatever hypervisor backend is installed: the only place that knows backends.
 *
 * <p>A {@link io.membacking.vm.internal.GuestVirtualMachine} has at most one {@link io.membacking.vm.internal.Engagement}: a
 * partition of one backend, its processors, and the attachment that gives it the guest's memory. Engagements come and go with
 * backends; the virtual machine and the memory stay. A {@link io.membacking.vm.internal.GuestRun} runs the processors of one
 * engagement, each on its own thread, through a {@link io.membacking.vm.internal.Gate} that commits close.
 *
 * <p>Locks, outermost first: a machine's lifecycle lock, the region manager's change lock, a gate's monitor. A thread that runs a
 * processor never holds the first, and the gate calls nobody while it is held but {@code cancel}.
 *
 * <p>What never comes in: a hypervisor's own names, guest memory access, devices.
 */
@NullMarked
package io.membacking.vm.internal;

import org.jspecify.annotations.NullMarked;
