package io.membacking.host.linux;

import io.membacking.error.NativeError;
import io.membacking.host.Backing;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/** A backing that a reservation of this host can hold. */
sealed interface LinuxBacking extends Backing permits DescriptorBacking, PrivateBacking {
    /** Where every backing's id comes from, whichever host memory made it. */
    AtomicLong IDS = new AtomicLong();

    /**
     * Puts a piece in the place of whatever is at these addresses.
     *
     * @return null, or what the kernel answered; what was there is there still then
     * @throws IllegalStateException after close
     */
    @Nullable
    NativeError place(long address, long length, long offset);

    /** What the kernel's list of mappings shows for it. */
    FileId file();
}
