package io.membacking.itests.felix;

import org.ops4j.pax.exam.Configuration;
import org.ops4j.pax.exam.Option;
import org.ops4j.pax.exam.spi.reactors.ExamReactorStrategy;
import org.ops4j.pax.exam.spi.reactors.PerClass;

/** {@link Moves} where who wants backends was there before the backend: the bundles are installed the other way round. */
@ExamReactorStrategy(PerClass.class)
public class MoveInReverseIT extends Moves {
    @Configuration
    public Option[] container() {
        return FelixContainer.optionsInReverse();
    }
}
