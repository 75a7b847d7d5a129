package io.membacking.error;

import org.jspecify.annotations.Nullable;

/** The family of what the world can do wrong. The message names operation, range, cause and remedy; {@link #failure()} has them as values. */
public abstract sealed class MembackingException extends Exception
        permits AllocationException,
                AttachException,
                BackendException,
                BuildException,
                HostMappingException,
                LayoutException,
                VisibilityException {
    private static final long serialVersionUID = 1L;

    private final transient Failure failure;

    MembackingException(Failure failure, @Nullable Throwable cause) {
        super(failure.toString(), cause);
        this.failure = failure;
    }

    public final Failure failure() {
        return failure;
    }
}
