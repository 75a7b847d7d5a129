package io.membacking.host.windows;

import com.sun.jna.Library;
import com.sun.jna.Memory;
import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Platform;
import com.sun.jna.Pointer;
import com.sun.jna.SymbolProvider;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * Windows, as far as this bundle needs it, mapped directly with the default calling convention, which is the only one of 64-bit
 * Windows. Calls return what Windows returns; where that says failure the reason is {@link WindowsError#last()} of the same
 * thread, but for those that return an NTSTATUS.
 *
 * <p>A function is looked for in several libraries, because the newer ones are in kernelbase alone. Those that not every Windows
 * has may be called only where {@link #has} says that they are there.
 *
 * <p>Constants are those of winnt.h, winbase.h, memoryapi.h and winerror.h; handles, addresses and sizes have 64 bits.
 */
final class Win32 {
    static final long NULL = 0;
    static final long CURRENT_PROCESS = -1;
    static final long INVALID_HANDLE = -1;

    static final int PAGE_NOACCESS = 0x01;
    static final int PAGE_READWRITE = 0x04;
    static final int MEM_COMMIT = 0x1000;
    static final int MEM_RESERVE = 0x2000;
    static final int MEM_REPLACE_PLACEHOLDER = 0x4000;
    static final int MEM_RESERVE_PLACEHOLDER = 0x40000;
    static final int MEM_LARGE_PAGES = 0x20000000;
    static final int MEM_COALESCE_PLACEHOLDERS = 0x1;
    static final int MEM_PRESERVE_PLACEHOLDER = 0x2;
    static final int MEM_DECOMMIT = 0x4000;
    static final int MEM_RELEASE = 0x8000;
    static final int MEM_FREE = 0x10000;
    static final int MEM_MAPPED = 0x40000;

    static final int SEC_FILE = 0x800000;
    static final int SEC_COMMIT = 0x8000000;
    static final int SEC_LARGE_PAGES = 0x80000000;
    static final int FILE_MAP_WRITE = 0x2;
    static final int FILE_MAP_READ = 0x4;

    static final int MEM_EXTENDED_PARAMETER_ADDRESS_REQUIREMENTS = 1;
    static final int MEM_EXTENDED_PARAMETER_NUMA_NODE = 2;
    static final int SIZE_OF_EXTENDED_PARAMETER = 16;
    static final int EXTENDED_PARAMETER_VALUE = 8;
    static final int SIZE_OF_ADDRESS_REQUIREMENTS = 24;
    static final int ADDRESS_REQUIREMENTS_ALIGNMENT = 16;

    static final int SIZE_OF_BASIC_INFORMATION = 48;
    static final int BASIC_INFORMATION_BASE = 0;
    static final int BASIC_INFORMATION_ALLOCATION_BASE = 8;
    static final int BASIC_INFORMATION_REGION_SIZE = 24;
    static final int BASIC_INFORMATION_STATE = 32;
    static final int BASIC_INFORMATION_TYPE = 40;

    static final int SIZE_OF_RANGE_ENTRY = 16;
    static final int RANGE_ENTRY_BYTES = 8;

    static final int SIZE_OF_SYSTEM_INFO = 48;
    static final int SYSTEM_INFO_PAGE_SIZE = 4;
    static final int SYSTEM_INFO_HIGHEST_ADDRESS = 16;
    static final int SYSTEM_INFO_GRANULARITY = 40;

    static final int SIZE_OF_MEMORY_STATUS = 64;
    static final int MEMORY_STATUS_TOTAL_PHYSICAL = 8;
    static final int MEMORY_STATUS_COMMIT_LIMIT = 24;
    static final int MEMORY_STATUS_COMMIT_LEFT = 32;

    /** SECTION_BASIC_INFORMATION (ntifs.h, not in mingw's headers): base 0, attributes 8, size 16. */
    static final int SIZE_OF_SECTION_INFORMATION = 24;

    static final int SECTION_INFORMATION_ATTRIBUTES = 8;
    static final int SECTION_INFORMATION_SIZE = 16;
    static final int SECTION_BASIC_INFORMATION = 0;
    static final int OBJECT_NAME_INFORMATION = 1;
    static final int UNICODE_STRING_BUFFER = 8;

    static final int PROCESS_DUP_HANDLE = 0x40;
    static final int DUPLICATE_SAME_ACCESS = 0x2;

    static final int TOKEN_QUERY = 0x8;
    static final int TOKEN_ADJUST_PRIVILEGES = 0x20;
    static final int TOKEN_PRIVILEGES_CLASS = 3;
    static final int SE_PRIVILEGE_ENABLED = 0x2;
    static final int TOKEN_PRIVILEGES_FIRST = 4;
    static final int SIZE_OF_LUID_AND_ATTRIBUTES = 12;

    /** NtMapViewOfSection: a child process does not inherit the view. */
    static final int VIEW_UNMAP = 2;

    /** What not every Windows has, or not every Wine. */
    private static final Set<String> OPTIONAL = Set.of(
            "VirtualAlloc2",
            "MapViewOfFile3",
            "UnmapViewOfFile2",
            "PrefetchVirtualMemory",
            "FlushProcessWriteBuffers",
            "CreateFileMappingNumaW",
            "GetNumaAvailableMemoryNodeEx",
            "wine_get_version");

    private static final List<String> LIBRARIES = List.of("kernelbase", "ntdll", "advapi32");

    private static int users;
    private static Set<String> missing = Set.of();

    private Win32() {}

    /**
     * Binds the calls below for one more user. The binding is the class's, so it is counted; the last user's
     * {@link #release()} undoes it, or the class loader would stay for ever.
     */
    static synchronized void acquire() {
        if (users == 0) {
            if (!Platform.isWindows() || !Platform.is64Bit()) {
                throw new UnsupportedOperationException(
                        "host-windows knows 64-bit Windows, not " + Platform.RESOURCE_PREFIX);
            }
            Symbols symbols = new Symbols();
            Native.register(
                    Win32.class,
                    NativeLibrary.getInstance("kernel32", Map.of(Library.OPTION_SYMBOL_PROVIDER, symbols)));
            missing = Set.copyOf(symbols.missing);
        }
        users++;
    }

    /** No thread may be inside a call when the last user lets go: the JVM would end. */
    static synchronized void release() {
        if (--users == 0) {
            // Unregistering alone leaves the class in JNA's table of options.
            Map<String, Object> options = Native.getLibraryOptions(Win32.class);
            if (options != null) {
                options.clear();
            }
            Native.unregister(Win32.class);
        }
    }

    /** Whether this Windows has one of the functions that not every one has. */
    static synchronized boolean has(String function) {
        return !missing.contains(function);
    }

    /** Finds each function in the first library that has it. */
    private static final class Symbols implements SymbolProvider {
        final Set<String> missing = new TreeSet<>();

        @Override
        public long getSymbolAddress(long handle, String name, SymbolProvider parent) {
            Long address = find(handle, name, parent);
            if (address != null) {
                return address;
            }
            if (!OPTIONAL.contains(name)) {
                throw new UnsatisfiedLinkError(name + " is in none of kernel32, " + String.join(", ", LIBRARIES));
            }
            missing.add(name);
            // Any function will do: all of a class are bound or none, and this one is never called.
            return parent.getSymbolAddress(handle, "GetCurrentProcessId", parent);
        }

        private static @Nullable Long find(long handle, String name, SymbolProvider parent) {
            try {
                return parent.getSymbolAddress(handle, name, parent);
            } catch (UnsatisfiedLinkError notHere) {
                for (String library : LIBRARIES) {
                    try {
                        return Pointer.nativeValue(
                                NativeLibrary.getInstance(library).getGlobalVariableAddress(name));
                    } catch (UnsatisfiedLinkError norThere) {
                        // Perhaps in the next.
                    }
                }
                return null;
            }
        }
    }

    /** UTF-16 with a zero at the end. */
    static Memory string(String text) {
        byte[] bytes = (text + '\0').getBytes(StandardCharsets.UTF_16LE);
        Memory memory = new Memory(bytes.length);
        memory.write(0, bytes, 0, bytes.length);
        return memory;
    }

    // Address space. Safe because every address given is inside a reservation of this bundle, was returned by one of
    // these
    // calls, or is 0 for a place of Windows's choice; nothing else of a process is ever mapped over or unmapped.

    static native long VirtualAlloc2(
            long process, long address, long size, int type, int protection, Pointer parameters, int count);

    static native long MapViewOfFile3(
            long section,
            long process,
            long address,
            long offset,
            long size,
            int type,
            int protection,
            Pointer parameters,
            int count);

    static native int UnmapViewOfFile2(long process, long address, int flags);

    static native long VirtualAllocEx(long process, long address, long size, int type, int protection);

    static native int VirtualFreeEx(long process, long address, long size, int type);

    /** Fills MEMORY_BASIC_INFORMATION. */
    static native long VirtualQueryEx(long process, long address, Pointer information, long length);

    static native long MapViewOfFile(long section, int access, int offsetHigh, int offsetLow, long size);

    static native int UnmapViewOfFile(long address);

    /** An NTSTATUS. The view's address and size and the offset are read and written through pointers. */
    static native int NtMapViewOfSection(
            long section,
            long process,
            Pointer address,
            long zeroBits,
            long commit,
            Pointer offset,
            Pointer size,
            int inherit,
            int type,
            int protection);

    /** An NTSTATUS. */
    static native int NtUnmapViewOfSection(long process, long address);

    // Advice and locks keep contents as they are.

    static native int PrefetchVirtualMemory(long process, long count, Pointer ranges, int flags);

    static native int VirtualLock(long address, long size);

    static native int VirtualUnlock(long address, long size);

    static native int GetProcessWorkingSetSize(long process, Pointer least, Pointer most);

    static native int SetProcessWorkingSetSize(long process, long least, long most);

    // Copies between the memory of a process and a buffer of ours: a bad address is an error, not a fault.

    static native int ReadProcessMemory(long process, long address, Pointer buffer, long size, Pointer done);

    static native int WriteProcessMemory(long process, long address, Pointer buffer, long size, Pointer done);

    // Handles. Safe because a handle is used under the lock of its owner, who alone closes it, so that its number
    // cannot have
    // become another object's; buffers are JNA memory that the caller holds for the time of the call.

    static native long CreateFileMappingW(
            long file, Pointer security, int protection, int sizeHigh, int sizeLow, Pointer name);

    static native long CreateFileMappingNumaW(
            long file, Pointer security, int protection, int sizeHigh, int sizeLow, Pointer name, int node);

    static native long CreateEventW(Pointer security, int manual, int set, Pointer name);

    static native int DuplicateHandle(
            long fromProcess, long handle, long toProcess, Pointer duplicate, int access, int inherit, int options);

    static native long OpenProcess(int access, int inherit, int process);

    static native int CloseHandle(long handle);

    /** An NTSTATUS. */
    static native int NtQueryObject(long handle, int what, Pointer buffer, int length, Pointer needed);

    /** An NTSTATUS. */
    static native int NtQuerySection(long section, int what, Pointer buffer, long length, Pointer needed);

    static native int OpenProcessToken(long process, int access, Pointer token);

    static native int LookupPrivilegeValueW(Pointer system, Pointer name, Pointer luid);

    static native int GetTokenInformation(long token, int what, Pointer buffer, int length, Pointer needed);

    static native int AdjustTokenPrivileges(
            long token, int disableAll, Pointer privileges, int length, Pointer before, Pointer beforeLength);

    // Facts and the barrier. Safe: they fill a structure of the size that is given, or take nothing.

    static native void GetSystemInfo(Pointer information);

    static native int GlobalMemoryStatusEx(Pointer status);

    static native long GetLargePageMinimum();

    static native int GetNumaHighestNodeNumber(Pointer node);

    static native int GetNumaAvailableMemoryNodeEx(short node, Pointer bytes);

    static native int GetCurrentProcessId();

    static native void FlushProcessWriteBuffers();

    /** The error number that an NTSTATUS is known by elsewhere. */
    static native int RtlNtStatusToDosError(int status);

    /** Wine's alone: that it is there tells Wine from Windows. */
    static native long wine_get_version();
}
