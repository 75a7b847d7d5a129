package io.membacking.partition.whp;

import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Platform;
import java.nio.file.Files;
import java.nio.file.Path;

/** The library for tests, with its switches, faults and counters. */
final class Shim {
    private static final Path BUILT = Path.of("../../native/target/whp-shim/libWinHvPlatform.so");

    /**
     * Whether its functions are bound. They stay so: Wine 8 cannot load a library of its own kind again that was unloaded, as JNA does
     * with one that nobody holds.
     */
    private static boolean bound;

    private Shim() {}

    /** Makes backends find it, where it is there; without it they say that they cannot be used. */
    static synchronized void find() {
        if (!Platform.isWindows() && System.getProperty(WinHvCalls.SHIM) == null && Files.exists(BUILT)) {
            System.setProperty(
                    WinHvCalls.SHIM, BUILT.toAbsolutePath().normalize().toString());
        }
        if (!bound) {
            String file = System.getProperty(WinHvCalls.SHIM);
            try {
                Native.register(Shim.class, NativeLibrary.getInstance(file != null ? file : "WinHvPlatform"));
                bound = true;
            } catch (UnsatisfiedLinkError e) {
                // The backend says so.
            }
        }
    }

    static boolean isThere() {
        try (WinHvCalls calls = new WinHvCalls()) {
            return calls.isShim();
        }
    }

    static void set(String name, int value) {
        check(WHvShimSet(name, value), name);
    }

    /** The n-th call from now fails; 0 takes it back. */
    static void fail(String function, int n, int result) {
        check(WHvShimFail(function, n, result), function);
    }

    static long count(String name) {
        return WHvShimCount(name);
    }

    private static void check(int result, String name) {
        if (result < 0) {
            throw new IllegalArgumentException(name + ": 0x" + Integer.toHexString(result));
        }
    }

    private static native int WHvShimSet(String name, int value);

    private static native int WHvShimFail(String function, int n, int result);

    private static native long WHvShimCount(String name);
}
