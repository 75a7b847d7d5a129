package io.membacking.partition.reference;

import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

/** Configuration of the reference backend, PID {@code io.membacking.partition.reference}. Editing it never ends a guest. */
@ObjectClassDefinition(name = "Membacking reference backend", description = "Runs guests in Java, slowly, anywhere")
@interface ReferenceConfiguration {
    /** Property {@code service.ranking}: by default it is chosen where there is no other. */
    @AttributeDefinition(
            name = "Ranking",
            description = "Among the usable backends that a guest admits, the one with the highest ranking is chosen")
    int service_ranking() default -1000;
}
