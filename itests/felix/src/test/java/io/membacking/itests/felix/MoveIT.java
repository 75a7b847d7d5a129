package io.membacking.itests.felix;

import org.ops4j.pax.exam.Configuration;
import org.ops4j.pax.exam.Option;
import org.ops4j.pax.exam.spi.reactors.ExamReactorStrategy;
import org.ops4j.pax.exam.spi.reactors.PerClass;

/** {@link Moves} with the bundles in the order of their names. */
@ExamReactorStrategy(PerClass.class)
public class MoveIT extends Moves {
    @Configuration
    public Option[] container() {
        return FelixContainer.options();
    }
}
