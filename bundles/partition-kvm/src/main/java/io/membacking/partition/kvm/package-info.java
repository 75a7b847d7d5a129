/**
 * The KVM backend: partitions, memory slots and processors by way of {@code /dev/kvm}.
 *
 * <p>What lives here: the kernel's interface as numbers ({@link io.membacking.partition.kvm.KvmAbi}), the system calls behind one
 * seam ({@link io.membacking.partition.kvm.Syscalls}), the book of memory slots, the translation of exits and registers. Nothing
 * comes in but the API and JNA. No thread is made here, no JNA Structure or Callback is subclassed, and nothing outlives the
 * backend but the disposition of one real-time signal, whose handler is libc's own.
 *
 * <p>State that moves with a guest: {@link io.membacking.partition.kvm.RawState} has that of a processor as KVM's structures, and says
 * in which order they are set; {@link io.membacking.partition.kvm.Devices} that of interrupt controllers, timer and clock. What other
 * hypervisors have no place for goes into a platform state, whose parts {@link io.membacking.partition.kvm.StateParts} names and
 * versions. A guest stands still while its state is read and set: memory for it is allocated when a processor is made, and both are
 * done once then, so that classes are loaded; what a refused state is undone with is known beforehand.
 *
 * <p>Known limits: KVM may show a guest more features of the host than the model asked for has, where the host's processors cannot
 * trap CPUID; a guest cannot have a hypervisor of its own, since that one's state would not move; the log of dirty pages ends with its mapping; the in-kernel timer begins its period anew where it arrives.
 */
@NullMarked
@Requirement(namespace = "osgi.native", filter = "(osgi.native.osname~=linux)")
package io.membacking.partition.kvm;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Requirement;
