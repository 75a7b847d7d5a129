package io.membacking.error;

import org.jspecify.annotations.Nullable;

/** A layout, or a region or mapping asked for later, that cannot be: ranges that clash or lie outside the VA space. */
public final class LayoutException extends MembackingException {
    private static final long serialVersionUID = 1L;

    public LayoutException(Failure failure) {
        this(failure, null);
    }

    public LayoutException(Failure failure, @Nullable Throwable cause) {
        super(failure, cause);
    }
}
