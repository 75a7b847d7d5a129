package io.membacking.error;

import org.jspecify.annotations.Nullable;

/** The host could not reserve, map, populate or lock addresses, or readers did not leave a range in time. */
public final class HostMappingException extends MembackingException {
    private static final long serialVersionUID = 1L;

    public HostMappingException(Failure failure) {
        this(failure, null);
    }

    public HostMappingException(Failure failure, @Nullable Throwable cause) {
        super(failure, cause);
    }
}
