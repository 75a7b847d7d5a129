package io.membacking.error;

import org.jspecify.annotations.Nullable;

/** A hypervisor backend refused: no device, no permission, too many slots, a call that failed. */
public final class BackendException extends MembackingException {
    private static final long serialVersionUID = 1L;

    public BackendException(Failure failure) {
        this(failure, null);
    }

    public BackendException(Failure failure, @Nullable Throwable cause) {
        super(failure, cause);
    }
}
