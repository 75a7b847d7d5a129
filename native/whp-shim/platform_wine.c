/*
 * Under Wine a process has a number of Windows' and one of the system's, and nothing public tells one from the other. So a mark is
 * left in the process by its handle (which wants the rights that WHvMapGpaRange2 wants on Windows), and looked for in all.
 */
#define _GNU_SOURCE
#include "shim.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

WINAPI uint32_t GetCurrentProcessId(void);
WINAPI uint32_t GetProcessId(HANDLE);
WINAPI int GetProcessTimes(HANDLE, uint64_t *, uint64_t *, uint64_t *, uint64_t *);
WINAPI void *VirtualAllocEx(HANDLE, void *, size_t, uint32_t, uint32_t);
WINAPI int VirtualFreeEx(HANDLE, void *, size_t, uint32_t);
WINAPI int WriteProcessMemory(HANDLE, void *, const void *, size_t, size_t *);

WINAPI int GetModuleHandleExW(uint32_t, const void *, HANDLE *);

enum { PROCESS_ATTACH = 1, PIN_THE_ONE_AT = 1 | 4 };

/* Never unloaded, for it has a signal handler. "-z nodelete" will not do: Wine fixes a library's tables up in place, at each loading. */
WINAPI int DllMain(HANDLE module, uint32_t reason, void *reserved) {
    HANDLE pinned;
    (void)module;
    (void)reserved;
    return reason != PROCESS_ATTACH || GetModuleHandleExW(PIN_THE_ONE_AT, (const void *)(uintptr_t)DllMain, &pinned);
}

enum { RESERVE_AND_COMMIT = 0x3000, RELEASE = 0x8000, READ_WRITE = 4, KNOWN = 16 };

static int find_mark(void *at, const uint8_t *mark, size_t size) {
    DIR *all = opendir("/proc");
    int found = -1;
    for (struct dirent *entry; all && found < 0 && (entry = readdir(all));) {
        char path[300];
        uint8_t there[32];
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
        snprintf(path, sizeof path, "/proc/%s/mem", entry->d_name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) continue;
        if (pread(fd, there, size, (off_t)(uintptr_t)at) == (ssize_t)size && !memcmp(there, mark, size)) found = atoi(entry->d_name);
        close(fd);
    }
    if (all) closedir(all);
    return found;
}

int process_of(HANDLE handle) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static struct { uint32_t id; uint64_t created; int number; } known[KNOWN];
    static int next;
    uint64_t created = 0, others[3];
    uint32_t id = GetProcessId(handle);
    if (!id) return -1;
    if (id == GetCurrentProcessId()) return 0;
    if (!GetProcessTimes(handle, &created, &others[0], &others[1], &others[2])) return -1;
    pthread_mutex_lock(&lock);
    int number = -1;
    for (int i = 0; i < KNOWN; i++)
        if (known[i].id == id && known[i].created == created) number = known[i].number;
    if (number < 0) {
        uint8_t mark[32];
        void *at = getrandom(mark, sizeof mark, 0) == sizeof mark ? VirtualAllocEx(handle, NULL, PAGE, RESERVE_AND_COMMIT, READ_WRITE) : NULL;
        if (at && WriteProcessMemory(handle, at, mark, sizeof mark, NULL)) number = find_mark(at, mark, sizeof mark);
        if (at) VirtualFreeEx(handle, at, 0, RELEASE);
        if (number >= 0) {
            known[next % KNOWN].id = id;
            known[next % KNOWN].created = created;
            known[next++ % KNOWN].number = number;
        }
    }
    pthread_mutex_unlock(&lock);
    return number;
}
