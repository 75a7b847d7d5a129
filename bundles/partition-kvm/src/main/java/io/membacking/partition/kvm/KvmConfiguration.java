package io.membacking.partition.kvm;

import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

/** Configuration of the KVM backend, PID {@code io.membacking.partition.kvm}. Editing it never ends a guest. */
@ObjectClassDefinition(name = "Membacking KVM backend", description = "Runs guests with the kernel's KVM")
@interface KvmConfiguration {
    /** Property {@code service.ranking}. */
    @AttributeDefinition(
            name = "Ranking",
            description = "Among the usable backends that a guest admits, the one with the highest ranking is chosen")
    int service_ranking() default 0;
}
