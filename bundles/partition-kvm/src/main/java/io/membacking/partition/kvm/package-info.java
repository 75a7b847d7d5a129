/**
 * The KVM backend: partitions, memory slots and processors by way of {@code /dev/kvm}.
 *
 * <p>What lives here: the kernel's interface as numbers ({@link io.membacking.partition.kvm.KvmAbi}), the system calls behind one
 * seam ({@link io.membacking.partition.kvm.Syscalls}), the book of memory slots, the translation of exits and registers. Nothing
 * comes in but the API and JNA. No thread is made here, no JNA Structure or Callback is subclassed, and nothing outlives the
 * backend but the disposition of one real-time signal, whose handler is libc's own.
 */
@NullMarked
@Requirement(namespace = "osgi.native", filter = "(osgi.native.osname~=linux)")
package io.membacking.partition.kvm;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Requirement;
