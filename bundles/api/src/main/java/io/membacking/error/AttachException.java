package io.membacking.error;

import org.jspecify.annotations.Nullable;

/** A partition or DMA target could not be attached, or failed in a commit. {@link #stage()} tells whose failure it was. */
public final class AttachException extends MembackingException {
    private static final long serialVersionUID = 1L;

    /** Where it failed. */
    public enum Stage {
        /** Before anything was done: the request cannot be. */
        REQUEST,
        /** In the host's address space. */
        VA_SPACE,
        /** In the partition. */
        PARTITION,
        /** In a DMA target. */
        DMA_TARGET
    }

    private final Stage stage;
    private final String consumer;

    /** @param consumer the name of the attachment or DMA target */
    public AttachException(Stage stage, String consumer, Failure failure, @Nullable Throwable cause) {
        super(failure, cause);
        this.stage = stage;
        this.consumer = consumer;
    }

    public Stage stage() {
        return stage;
    }

    public String consumer() {
        return consumer;
    }
}
