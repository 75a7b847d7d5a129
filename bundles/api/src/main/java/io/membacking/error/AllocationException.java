package io.membacking.error;

import org.jspecify.annotations.Nullable;

/** The host could not give, adopt, claim or hand over what was to hold the bytes. */
public final class AllocationException extends MembackingException {
    private static final long serialVersionUID = 1L;

    public AllocationException(Failure failure) {
        this(failure, null);
    }

    public AllocationException(Failure failure, @Nullable Throwable cause) {
        super(failure, cause);
    }
}
