package io.membacking.error;

import org.jspecify.annotations.Nullable;

/** Choices for a guest's memory that exclude each other or that this host cannot satisfy. */
public final class BuildException extends MembackingException {
    private static final long serialVersionUID = 1L;

    public BuildException(Failure failure) {
        this(failure, null);
    }

    public BuildException(Failure failure, @Nullable Throwable cause) {
        super(failure, cause);
    }
}
