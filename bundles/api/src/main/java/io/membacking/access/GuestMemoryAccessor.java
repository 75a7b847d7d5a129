package io.membacking.access;

/** {@link GuestMemory} for one thread: see {@link GuestMemory#accessor()}. Not thread-safe. */
public interface GuestMemoryAccessor extends GuestMemory, AutoCloseable {
    /** Gives the slot back; later calls throw {@link IllegalStateException}. Closing twice does nothing. */
    @Override
    void close();
}
