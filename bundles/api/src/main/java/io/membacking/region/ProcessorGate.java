package io.membacking.region;

import io.membacking.error.BackendException;
import java.time.Duration;
import org.osgi.annotation.versioning.ConsumerType;

/**
 * Keeps the processors of one attachment out of the guest for the moment a change takes. Implemented by who runs them. The
 * region manager calls it for one commit at a time.
 */
@ConsumerType
public interface ProcessorGate {
    /** For a partition whose processors nobody runs. */
    ProcessorGate NONE = new ProcessorGate() {
        @Override
        public void hold(Duration deadline) {}

        @Override
        public void release() {}

        @Override
        public void detached(String reason) {}
    };

    /**
     * Returns when no processor is inside the guest and none can enter. It does not wait for exit handlers: the caller may be
     * one.
     *
     * @throws BackendException if a processor did not leave in time; none is held then
     */
    void hold(Duration deadline) throws BackendException;

    /** Lets them enter again; cannot fail. */
    void release();

    /** The partition has lost its memory and is not used any more: its processors' run ends with this reason. They are held. */
    void detached(String reason);
}
