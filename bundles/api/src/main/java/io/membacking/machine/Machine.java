package io.membacking.machine;

import io.membacking.error.MembackingException;
import io.membacking.memory.GuestMemoryManager;
import io.membacking.vm.Run;
import io.membacking.vm.VirtualMachine;

/** A small PC. Thread-safe. Also a service, with {@code guest.name}. */
public interface Machine extends AutoCloseable {
    String name();

    MachineConfig config();

    GuestMemoryManager memory();

    VirtualMachine vm();

    /**
     * Boots it: loads the image anew, puts devices and processors into their reset state, runs. RAM keeps what it held elsewhere.
     *
     * <p>A guest that ends itself does so with {@link io.membacking.vm.RunResult.Kind#STOPPED}: through its exit port with code
     * {@code (value << 1) | 1}, by switching itself off with 0, by asking for a reset with 2.
     *
     * @throws IllegalStateException if it runs already or has no backend; the message says why
     */
    Run start() throws MembackingException;

    /** Ends the run and frees everything. Cannot fail; closing twice does nothing. */
    @Override
    void close();
}
