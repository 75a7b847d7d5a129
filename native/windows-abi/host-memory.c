/*
 * Prints what bundles/host-windows takes for granted of the Windows ABI, from the headers of mingw-w64: lines "size STRUCT bytes",
 * "offset STRUCT.FIELD bytes", "value NAME 0x...". host-memory.txt is its output (make windows-abi); the bundle's WindowsAbiTest
 * compares.
 *
 * The flags of placeholders came to mingw-w64 after version 10; with those headers they are missing in the output, and a run under
 * a Wine that has placeholders is what stands for them.
 */
#define _WIN32_WINNT 0x0A00
#define NTDDI_VERSION 0x0A000006
#include <stddef.h>
#include <stdio.h>
#include <windows.h>
#include <winternl.h>

#define SIZE(type) printf("size %s %u\n", #type, (unsigned)sizeof(type))
#define OFFSET(type, field) printf("offset %s.%s %u\n", #type, #field, (unsigned)offsetof(type, field))
#define VALUE(name) printf("value %s 0x%x\n", #name, (unsigned)(name))

int main(void) {
    SIZE(void *);
    SIZE(HANDLE);
    SIZE(SIZE_T);
    SIZE(BOOL);
    SIZE(DWORD);
    SIZE(MEM_EXTENDED_PARAMETER);
    OFFSET(MEM_EXTENDED_PARAMETER, Pointer);
    OFFSET(MEM_EXTENDED_PARAMETER, ULong64);
    SIZE(MEM_ADDRESS_REQUIREMENTS);
    OFFSET(MEM_ADDRESS_REQUIREMENTS, Alignment);
    SIZE(MEMORY_BASIC_INFORMATION);
    OFFSET(MEMORY_BASIC_INFORMATION, BaseAddress);
    OFFSET(MEMORY_BASIC_INFORMATION, AllocationBase);
    OFFSET(MEMORY_BASIC_INFORMATION, RegionSize);
    OFFSET(MEMORY_BASIC_INFORMATION, State);
    OFFSET(MEMORY_BASIC_INFORMATION, Type);
    SIZE(WIN32_MEMORY_RANGE_ENTRY);
    OFFSET(WIN32_MEMORY_RANGE_ENTRY, VirtualAddress);
    OFFSET(WIN32_MEMORY_RANGE_ENTRY, NumberOfBytes);
    SIZE(SYSTEM_INFO);
    OFFSET(SYSTEM_INFO, dwPageSize);
    OFFSET(SYSTEM_INFO, lpMaximumApplicationAddress);
    OFFSET(SYSTEM_INFO, dwAllocationGranularity);
    SIZE(MEMORYSTATUSEX);
    OFFSET(MEMORYSTATUSEX, ullTotalPhys);
    OFFSET(MEMORYSTATUSEX, ullTotalPageFile);
    OFFSET(MEMORYSTATUSEX, ullAvailPageFile);
    SIZE(UNICODE_STRING);
    OFFSET(UNICODE_STRING, Buffer);
    SIZE(LUID_AND_ATTRIBUTES);
    OFFSET(LUID_AND_ATTRIBUTES, Attributes);
    OFFSET(TOKEN_PRIVILEGES, Privileges);

    VALUE(PAGE_NOACCESS);
    VALUE(PAGE_READWRITE);
    VALUE(MEM_COMMIT);
    VALUE(MEM_RESERVE);
    VALUE(MEM_LARGE_PAGES);
#ifdef MEM_REPLACE_PLACEHOLDER
    VALUE(MEM_REPLACE_PLACEHOLDER);
    VALUE(MEM_RESERVE_PLACEHOLDER);
    VALUE(MEM_COALESCE_PLACEHOLDERS);
    VALUE(MEM_PRESERVE_PLACEHOLDER);
#endif
    VALUE(MEM_DECOMMIT);
    VALUE(MEM_RELEASE);
    VALUE(MEM_FREE);
    VALUE(MEM_MAPPED);
    VALUE(SEC_FILE);
    VALUE(SEC_COMMIT);
    VALUE(SEC_LARGE_PAGES);
    VALUE(FILE_MAP_WRITE);
    VALUE(FILE_MAP_READ);
    VALUE(MemExtendedParameterAddressRequirements);
    VALUE(MemExtendedParameterNumaNode);
    VALUE(PROCESS_DUP_HANDLE);
    VALUE(DUPLICATE_SAME_ACCESS);
    VALUE(TOKEN_QUERY);
    VALUE(TOKEN_ADJUST_PRIVILEGES);
    VALUE(TokenPrivileges);
    VALUE(SE_PRIVILEGE_ENABLED);
    VALUE(ERROR_ACCESS_DENIED);
    VALUE(ERROR_INVALID_PARAMETER);
    VALUE(ERROR_ALREADY_EXISTS);
    VALUE(ERROR_INVALID_ADDRESS);
    VALUE(ERROR_NOT_ALL_ASSIGNED);
    VALUE(ERROR_WORKING_SET_QUOTA);
    VALUE(ERROR_COMMITMENT_LIMIT);
    return 0;
}
