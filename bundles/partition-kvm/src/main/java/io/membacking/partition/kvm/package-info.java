/** The KVM backend: partitions, memory slots and processors over /dev/kvm. */
@org.jspecify.annotations.NullMarked
package io.membacking.partition.kvm;
