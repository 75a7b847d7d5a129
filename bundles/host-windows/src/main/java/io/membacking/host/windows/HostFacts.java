package io.membacking.host.windows;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import io.membacking.host.HostCapabilities;
import java.util.Set;
import java.util.TreeSet;

/**
 * What Windows tells about the host.
 *
 * @param capabilities for consumers
 * @param placeholders whether addresses can be kept by placeholders, and views be aligned to pages alone
 * @param granularity bytes that addresses of allocations are multiples of, and those and offsets of views where there are no
 *     placeholders
 * @param highestAddress the last one that a program may have
 * @param processBarrier whether FlushProcessWriteBuffers does what it says
 * @param largePage bytes of a large page; 0 where the processor has none
 */
record HostFacts(
        HostCapabilities capabilities,
        boolean placeholders,
        long granularity,
        long highestAddress,
        boolean processBarrier,
        long largePage) {
    /** Windows tells nobody the width of a physical address; backends know the processor's. This is what most have or exceed. */
    private static final int ADDRESS_BITS = 48;

    static HostFacts read() {
        try (Memory system = new Memory(Win32.SIZE_OF_SYSTEM_INFO)) {
            Win32.GetSystemInfo(system);
            long granularity = Integer.toUnsignedLong(system.getInt(Win32.SYSTEM_INFO_GRANULARITY));
            long page = Integer.toUnsignedLong(system.getInt(Win32.SYSTEM_INFO_PAGE_SIZE));
            boolean placeholders = Placeholders.available(granularity);
            long largePage = Win32.GetLargePageMinimum();
            return new HostFacts(
                    new HostCapabilities(
                            "windows",
                            page,
                            placeholders ? page : granularity,
                            largePage > 0 && LockPagesPrivilege.held() ? Set.of(largePage) : Set.of(),
                            nodes(),
                            memoryStatus(Win32.MEMORY_STATUS_TOTAL_PHYSICAL),
                            ADDRESS_BITS,
                            false,
                            false),
                    placeholders,
                    granularity,
                    system.getLong(Win32.SYSTEM_INFO_HIGHEST_ADDRESS),
                    // Wine, at least to version 10, has the function do nothing.
                    Win32.has("FlushProcessWriteBuffers") && !Win32.has("wine_get_version"),
                    largePage);
        }
    }

    /** As a Windows without placeholders is. */
    HostFacts withoutPlaceholders() {
        HostCapabilities with = capabilities;
        return new HostFacts(
                new HostCapabilities(
                        with.system(),
                        with.pageSize(),
                        granularity,
                        with.hugePageSizes(),
                        with.numaNodes(),
                        with.physicalMemory(),
                        with.addressBits(),
                        with.replacesInPlace(),
                        with.transparentHugePages()),
                false,
                granularity,
                highestAddress,
                processBarrier,
                largePage);
    }

    private static Set<Integer> nodes() {
        Set<Integer> nodes = new TreeSet<>();
        try (Memory answer = new Memory(8)) {
            answer.clear();
            int highest = Win32.GetNumaHighestNodeNumber(answer) != 0 ? answer.getInt(0) : 0;
            for (int node = 0; node <= highest && Win32.has("GetNumaAvailableMemoryNodeEx"); node++) {
                if (Win32.GetNumaAvailableMemoryNodeEx((short) node, answer) != 0) {
                    nodes.add(node);
                }
            }
        }
        // Wine knows of no nodes.
        return nodes.isEmpty() ? Set.of(0) : nodes;
    }

    /** A field of MEMORYSTATUSEX, now; bytes. */
    static long memoryStatus(int field) {
        try (Memory status = new Memory(Win32.SIZE_OF_MEMORY_STATUS)) {
            status.clear();
            status.setInt(0, Win32.SIZE_OF_MEMORY_STATUS);
            return Win32.GlobalMemoryStatusEx(status) != 0 ? status.getLong(field) : 0;
        }
    }

    /** What large pages need: "Lock pages in memory", which no account has unless it was given. */
    static final class LockPagesPrivilege {
        static final String NAME = "SeLockMemoryPrivilege";

        private LockPagesPrivilege() {}

        /** Whether the process has it, enabled or not. */
        static boolean held() {
            return withToken((token, privilege) -> {
                try (Memory all = new Memory(4096);
                        Memory needed = new Memory(8)) {
                    if (Win32.GetTokenInformation(token, Win32.TOKEN_PRIVILEGES_CLASS, all, (int) all.size(), needed)
                            == 0) {
                        return false;
                    }
                    for (int i = 0; i < all.getInt(0); i++) {
                        if (all.getLong(Win32.TOKEN_PRIVILEGES_FIRST + (long) i * Win32.SIZE_OF_LUID_AND_ATTRIBUTES)
                                == privilege) {
                            return true;
                        }
                    }
                    return false;
                }
            });
        }

        /** Enables it for the process. @return whether it has it */
        static boolean enable() {
            return held()
                    && withToken((token, privilege) -> {
                        try (Memory one =
                                new Memory(Win32.TOKEN_PRIVILEGES_FIRST + Win32.SIZE_OF_LUID_AND_ATTRIBUTES)) {
                            one.setInt(0, 1);
                            one.setLong(Win32.TOKEN_PRIVILEGES_FIRST, privilege);
                            one.setInt(Win32.TOKEN_PRIVILEGES_FIRST + Long.BYTES, Win32.SE_PRIVILEGE_ENABLED);
                            return Win32.AdjustTokenPrivileges(token, 0, one, 0, Pointer.NULL, Pointer.NULL) != 0;
                        }
                    });
        }

        private interface TokenUse {
            boolean use(long token, long privilege);
        }

        private static boolean withToken(TokenUse use) {
            try (Memory answer = new Memory(8);
                    Memory name = Win32.string(NAME)) {
                if (Win32.LookupPrivilegeValueW(Pointer.NULL, name, answer) == 0) {
                    return false;
                }
                long privilege = answer.getLong(0);
                if (Win32.OpenProcessToken(
                                Win32.CURRENT_PROCESS, Win32.TOKEN_QUERY | Win32.TOKEN_ADJUST_PRIVILEGES, answer)
                        == 0) {
                    return false;
                }
                long token = answer.getLong(0);
                try {
                    return use.use(token, privilege);
                } finally {
                    Win32.CloseHandle(token);
                }
            }
        }
    }
}
