package io.membacking.itests.windows;

import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;
import java.io.IOException;

/** A process of Windows that a test gives memory to: a command line that waits for commands and gets none. */
final class OtherProcess implements AutoCloseable {
    /** To map, unmap and read memory there, and to be told that it has ended. */
    private static final int RIGHTS = 0x8 | 0x10 | 0x20 | 0x400 | 0x100000;

    private final Process process;
    private final long handle;

    private OtherProcess(Process process, long handle) {
        this.process = process;
        this.handle = handle;
    }

    static OtherProcess start() throws IOException {
        Process process = new ProcessBuilder("cmd.exe", "/q").start();
        long handle = Kernel.OpenProcess(RIGHTS, 0, (int) process.pid());
        if (handle == 0) {
            process.destroyForcibly();
            throw new IOException("OpenProcess: error " + Native.getLastError());
        }
        return new OtherProcess(process, handle);
    }

    long handle() {
        return handle;
    }

    /** Returns when it has ended. */
    void end() {
        process.destroyForcibly().onExit().join();
    }

    @Override
    public void close() {
        end();
        Kernel.CloseHandle(handle);
    }

    /** Bound for as long as the container runs. Handles are the test's own, closed once. */
    private static final class Kernel {
        static {
            Native.register(Kernel.class, NativeLibrary.getInstance("kernel32"));
        }

        static native long OpenProcess(int rights, int inherit, int pid);

        static native int CloseHandle(long handle);
    }
}
