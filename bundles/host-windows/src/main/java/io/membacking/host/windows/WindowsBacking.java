package io.membacking.host.windows;

import io.membacking.host.Backing;
import java.util.concurrent.atomic.AtomicLong;

/** A backing that a reservation of this host can hold. */
sealed interface WindowsBacking extends Backing permits SectionBacking, PrivateBacking {
    /** Where every backing's id comes from, whichever host memory made it. */
    AtomicLong IDS = new AtomicLong();
}
