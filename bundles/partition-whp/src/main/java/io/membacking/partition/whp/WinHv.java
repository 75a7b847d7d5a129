package io.membacking.partition.whp;

import com.sun.jna.Library;
import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Pointer;
import com.sun.jna.SymbolProvider;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The native methods of WinHvPlatform, mapped directly with the default calling convention: x64 Windows has one. Registered from the
 * first {@link #acquire} to the last {@link #release()}, for as long as any backend lives: JNA holds the class, and with it the
 * bundle's class loader, meanwhile.
 *
 * <p>Those that came with later versions of Windows may be called only where {@link #has} says that they are there.
 */
final class WinHv {
    static final String MAP_OF_PROCESS = "WHvMapGpaRange2";
    static final String ADVISE = "WHvAdviseGpaRange";
    static final String DIRTY_PAGES = "WHvQueryGpaRangeDirtyBitmap";
    static final String GET_XSAVE = "WHvGetVirtualProcessorXsaveState";
    static final String SET_XSAVE = "WHvSetVirtualProcessorXsaveState";

    private static final Set<String> OPTIONAL = Set.of(MAP_OF_PROCESS, ADVISE, DIRTY_PAGES, GET_XSAVE, SET_XSAVE);

    private static int users;
    private static Set<String> missing = Set.of();
    private static boolean shim;

    private WinHv() {}

    /**
     * @param library a name or a file
     * @throws UnsatisfiedLinkError if there is none, or it lacks a function that every version has
     */
    static synchronized void acquire(String library) {
        if (users == 0) {
            Symbols symbols = new Symbols();
            NativeLibrary loaded = NativeLibrary.getInstance(library, Map.of(Library.OPTION_SYMBOL_PROVIDER, symbols));
            try {
                Native.register(WinHv.class, loaded);
            } catch (UnsatisfiedLinkError e) {
                forget();
                throw e;
            }
            missing = Set.copyOf(symbols.missing);
            shim = isThere(loaded, "WHvShimSet");
        }
        users++;
    }

    /** No thread may be inside a native method when the last user lets go: JNA frees the code it runs through. */
    static synchronized void release() {
        users--;
        if (users == 0) {
            forget();
            Native.unregister(WinHv.class);
        }
    }

    /** Unregistering alone leaves the class in JNA's table of options, as a registration that fails does. */
    private static void forget() {
        Map<String, Object> options = Native.getLibraryOptions(WinHv.class);
        if (options != null) {
            options.clear();
        }
    }

    private static boolean isThere(NativeLibrary library, String function) {
        try {
            library.getGlobalVariableAddress(function);
            return true;
        } catch (UnsatisfiedLinkError e) {
            return false;
        }
    }

    /** Whether it is the library for tests. */
    static synchronized boolean isShim() {
        return shim;
    }

    /** Whether the library has one of those that not every version has. */
    static synchronized boolean has(String function) {
        return !missing.contains(function);
    }

    private static final class Symbols implements SymbolProvider {
        final Set<String> missing = new HashSet<>();

        @Override
        public long getSymbolAddress(long handle, String name, SymbolProvider parent) {
            try {
                return parent.getSymbolAddress(handle, name, parent);
            } catch (UnsatisfiedLinkError e) {
                if (!OPTIONAL.contains(name)) {
                    throw e;
                }
                missing.add(name);
                // JNA binds all methods of a class or none: any function will do, for this one is never called.
                return parent.getSymbolAddress(handle, "WHvGetCapability", parent);
            }
        }
    }

    // Safe throughout: every pointer is a Memory of the size that WhpAbi states, or 0; a handle is one that the
    // platform gave and
    // has not taken back, which WhpPartition sees to; memory mapped stays until it is unmapped, which the caller of map
    // promises.

    static native int WHvGetCapability(int code, Pointer buffer, int size, Pointer written);

    static native int WHvCreatePartition(Pointer handle);

    static native int WHvSetupPartition(long partition);

    static native int WHvDeletePartition(long partition);

    static native int WHvSetPartitionProperty(long partition, int code, Pointer buffer, int size);

    static native int WHvMapGpaRange(long partition, long address, long gpa, long bytes, int flags);

    static native int WHvUnmapGpaRange(long partition, long gpa, long bytes);

    static native int WHvTranslateGva(long partition, int processor, long gva, int flags, Pointer result, Pointer gpa);

    static native int WHvCreateVirtualProcessor(long partition, int index, int flags);

    static native int WHvDeleteVirtualProcessor(long partition, int index);

    static native int WHvRunVirtualProcessor(long partition, int index, Pointer exitContext, int size);

    static native int WHvCancelRunVirtualProcessor(long partition, int index, int flags);

    static native int WHvGetVirtualProcessorRegisters(
            long partition, int index, Pointer names, int count, Pointer values);

    static native int WHvSetVirtualProcessorRegisters(
            long partition, int index, Pointer names, int count, Pointer values);

    // From here on, those that not every version has.

    static native int WHvMapGpaRange2(long partition, long process, long address, long gpa, long bytes, int flags);

    static native int WHvAdviseGpaRange(
            long partition, Pointer ranges, int count, int advice, @Nullable Pointer buffer, int size);

    static native int WHvQueryGpaRangeDirtyBitmap(long partition, long gpa, long bytes, Pointer bitmap, int size);

    static native int WHvGetVirtualProcessorXsaveState(
            long partition, int index, Pointer buffer, int size, Pointer written);

    static native int WHvSetVirtualProcessorXsaveState(long partition, int index, Pointer buffer, int size);
}
