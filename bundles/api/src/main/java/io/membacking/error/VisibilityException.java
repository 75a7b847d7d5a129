package io.membacking.error;

import org.jspecify.annotations.Nullable;

/** A RAM visibility asked for a range that is not exactly one RAM region. */
public final class VisibilityException extends MembackingException {
    private static final long serialVersionUID = 1L;

    public VisibilityException(Failure failure) {
        this(failure, null);
    }

    public VisibilityException(Failure failure, @Nullable Throwable cause) {
        super(failure, cause);
    }
}
