package io.membacking.host.windows;

import static java.util.Map.entry;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Sizes, offsets and constants against what the headers of mingw-w64 say (native/windows-abi). */
class WindowsAbiTest {
    private static final Map<String, Number> HERE = Map.ofEntries(
            entry("size void *", Long.BYTES),
            entry("size HANDLE", Long.BYTES),
            entry("size SIZE_T", Long.BYTES),
            entry("size BOOL", Integer.BYTES),
            entry("size DWORD", Integer.BYTES),
            entry("size MEM_EXTENDED_PARAMETER", Win32.SIZE_OF_EXTENDED_PARAMETER),
            entry("offset MEM_EXTENDED_PARAMETER.Pointer", Win32.EXTENDED_PARAMETER_VALUE),
            entry("offset MEM_EXTENDED_PARAMETER.ULong64", Win32.EXTENDED_PARAMETER_VALUE),
            entry("size MEM_ADDRESS_REQUIREMENTS", Win32.SIZE_OF_ADDRESS_REQUIREMENTS),
            entry("offset MEM_ADDRESS_REQUIREMENTS.Alignment", Win32.ADDRESS_REQUIREMENTS_ALIGNMENT),
            entry("size MEMORY_BASIC_INFORMATION", Win32.SIZE_OF_BASIC_INFORMATION),
            entry("offset MEMORY_BASIC_INFORMATION.BaseAddress", Win32.BASIC_INFORMATION_BASE),
            entry("offset MEMORY_BASIC_INFORMATION.AllocationBase", Win32.BASIC_INFORMATION_ALLOCATION_BASE),
            entry("offset MEMORY_BASIC_INFORMATION.RegionSize", Win32.BASIC_INFORMATION_REGION_SIZE),
            entry("offset MEMORY_BASIC_INFORMATION.State", Win32.BASIC_INFORMATION_STATE),
            entry("offset MEMORY_BASIC_INFORMATION.Type", Win32.BASIC_INFORMATION_TYPE),
            entry("size WIN32_MEMORY_RANGE_ENTRY", Win32.SIZE_OF_RANGE_ENTRY),
            entry("offset WIN32_MEMORY_RANGE_ENTRY.VirtualAddress", 0),
            entry("offset WIN32_MEMORY_RANGE_ENTRY.NumberOfBytes", Win32.RANGE_ENTRY_BYTES),
            entry("size SYSTEM_INFO", Win32.SIZE_OF_SYSTEM_INFO),
            entry("offset SYSTEM_INFO.dwPageSize", Win32.SYSTEM_INFO_PAGE_SIZE),
            entry("offset SYSTEM_INFO.lpMaximumApplicationAddress", Win32.SYSTEM_INFO_HIGHEST_ADDRESS),
            entry("offset SYSTEM_INFO.dwAllocationGranularity", Win32.SYSTEM_INFO_GRANULARITY),
            entry("size MEMORYSTATUSEX", Win32.SIZE_OF_MEMORY_STATUS),
            entry("offset MEMORYSTATUSEX.ullTotalPhys", Win32.MEMORY_STATUS_TOTAL_PHYSICAL),
            entry("offset MEMORYSTATUSEX.ullTotalPageFile", Win32.MEMORY_STATUS_COMMIT_LIMIT),
            entry("offset MEMORYSTATUSEX.ullAvailPageFile", Win32.MEMORY_STATUS_COMMIT_LEFT),
            entry("size UNICODE_STRING", 16),
            entry("offset UNICODE_STRING.Buffer", Win32.UNICODE_STRING_BUFFER),
            entry("size LUID_AND_ATTRIBUTES", Win32.SIZE_OF_LUID_AND_ATTRIBUTES),
            entry("offset LUID_AND_ATTRIBUTES.Attributes", Long.BYTES),
            entry("offset TOKEN_PRIVILEGES.Privileges", Win32.TOKEN_PRIVILEGES_FIRST),
            entry("value PAGE_NOACCESS", Win32.PAGE_NOACCESS),
            entry("value PAGE_READWRITE", Win32.PAGE_READWRITE),
            entry("value MEM_COMMIT", Win32.MEM_COMMIT),
            entry("value MEM_RESERVE", Win32.MEM_RESERVE),
            entry("value MEM_LARGE_PAGES", Win32.MEM_LARGE_PAGES),
            entry("value MEM_REPLACE_PLACEHOLDER", Win32.MEM_REPLACE_PLACEHOLDER),
            entry("value MEM_RESERVE_PLACEHOLDER", Win32.MEM_RESERVE_PLACEHOLDER),
            entry("value MEM_COALESCE_PLACEHOLDERS", Win32.MEM_COALESCE_PLACEHOLDERS),
            entry("value MEM_PRESERVE_PLACEHOLDER", Win32.MEM_PRESERVE_PLACEHOLDER),
            entry("value MEM_DECOMMIT", Win32.MEM_DECOMMIT),
            entry("value MEM_RELEASE", Win32.MEM_RELEASE),
            entry("value MEM_FREE", Win32.MEM_FREE),
            entry("value MEM_MAPPED", Win32.MEM_MAPPED),
            entry("value SEC_FILE", Win32.SEC_FILE),
            entry("value SEC_COMMIT", Win32.SEC_COMMIT),
            entry("value SEC_LARGE_PAGES", Win32.SEC_LARGE_PAGES),
            entry("value FILE_MAP_WRITE", Win32.FILE_MAP_WRITE),
            entry("value FILE_MAP_READ", Win32.FILE_MAP_READ),
            entry("value MemExtendedParameterAddressRequirements", Win32.MEM_EXTENDED_PARAMETER_ADDRESS_REQUIREMENTS),
            entry("value MemExtendedParameterNumaNode", Win32.MEM_EXTENDED_PARAMETER_NUMA_NODE),
            entry("value PROCESS_DUP_HANDLE", Win32.PROCESS_DUP_HANDLE),
            entry("value DUPLICATE_SAME_ACCESS", Win32.DUPLICATE_SAME_ACCESS),
            entry("value TOKEN_QUERY", Win32.TOKEN_QUERY),
            entry("value TOKEN_ADJUST_PRIVILEGES", Win32.TOKEN_ADJUST_PRIVILEGES),
            entry("value TokenPrivileges", Win32.TOKEN_PRIVILEGES_CLASS),
            entry("value SE_PRIVILEGE_ENABLED", Win32.SE_PRIVILEGE_ENABLED),
            entry("value ERROR_ACCESS_DENIED", WindowsError.ACCESS_DENIED),
            entry("value ERROR_INVALID_PARAMETER", WindowsError.INVALID_PARAMETER),
            entry("value ERROR_ALREADY_EXISTS", WindowsError.ALREADY_EXISTS),
            entry("value ERROR_INVALID_ADDRESS", WindowsError.INVALID_ADDRESS),
            entry("value ERROR_NOT_ALL_ASSIGNED", WindowsError.NOT_ALL_ASSIGNED),
            entry("value ERROR_WORKING_SET_QUOTA", WindowsError.WORKING_SET_QUOTA),
            entry("value ERROR_COMMITMENT_LIMIT", WindowsError.COMMITMENT_LIMIT));

    @Test
    void everyNumberIsThatOfTheHeaders() throws IOException {
        Map<String, Long> headers = new TreeMap<>();
        for (String line : Files.readAllLines(table())) {
            int space = line.lastIndexOf(' ');
            headers.put(line.substring(0, space), Long.decode(line.substring(space + 1)));
        }
        Map<String, Long> here = new TreeMap<>();
        headers.keySet().forEach(name -> {
            Number number = HERE.get(name);
            here.put(name, number == null ? null : Integer.toUnsignedLong(number.intValue()));
        });
        assertEquals(headers, here);
        long missing = HERE.keySet().stream()
                .filter(name ->
                        !headers.containsKey(name) && !name.endsWith("_PLACEHOLDER") && !name.endsWith("_PLACEHOLDERS"))
                .count();
        assertEquals(0, missing, "the table lacks numbers that are used here: make windows-abi");
    }

    /** Beside the bundles, whichever folder the tests run in. */
    private static Path table() {
        return Stream.of("../../native", "native")
                .map(folder -> Path.of(folder, "windows-abi", "host-memory.txt"))
                .filter(Files::exists)
                .findFirst()
                .orElseThrow(() -> new AssertionError("no native/windows-abi/host-memory.txt from "
                        + Path.of("").toAbsolutePath()));
    }
}
