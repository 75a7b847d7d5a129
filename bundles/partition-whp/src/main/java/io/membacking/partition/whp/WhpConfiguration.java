package io.membacking.partition.whp;

import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

/** Configuration of the WHP backend, PID {@code io.membacking.partition.whp}. Editing it never ends a guest. */
@ObjectClassDefinition(
        name = "Membacking WHP backend",
        description = "Runs guests with the Windows Hypervisor Platform")
@interface WhpConfiguration {
    /** Property {@code service.ranking}. */
    @AttributeDefinition(
            name = "Ranking",
            description = "Among the usable backends that a guest admits, the one with the highest ranking is chosen")
    int service_ranking() default 0;
}
