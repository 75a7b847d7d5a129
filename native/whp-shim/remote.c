/*
 * Memory of another process, for WHvMapGpaRange2. KVM takes memory of this process only, so what is mapped there is mapped here
 * too: the maps of the process in /proc name the file and the offset behind an address, and the file is opened through map_files
 * (which the system allows the superuser), or through any descriptor of it that can be found. Private memory has no file: refused.
 */
#define _GNU_SOURCE
#include "shim.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

struct piece {
    uint64_t start, end, offset, inode;
    unsigned major, minor;
    char access[5];
};

/* The mapping that an address of the process lies in. */
static int piece_at(FILE *maps, uint64_t address, struct piece *piece) {
    char line[4352];
    rewind(maps);
    while (fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64, &piece->start, &piece->end, piece->access,
                &piece->offset, &piece->major, &piece->minor, &piece->inode) == 7
                && piece->start <= address && address < piece->end)
            return 1;
    }
    return 0;
}

static int is_file_of(int fd, const struct piece *piece) {
    struct stat status;
    return fstat(fd, &status) == 0 && status.st_ino == piece->inode && major(status.st_dev) == piece->major
        && minor(status.st_dev) == piece->minor;
}

/* A descriptor of the file among those of a process. */
static int file_among(const char *process, const struct piece *piece) {
    char path[320];
    snprintf(path, sizeof path, "/proc/%s/fd", process);
    DIR *all = opendir(path);
    int found = -1;
    for (struct dirent *entry; all && found < 0 && (entry = readdir(all));) {
        struct stat status;
        snprintf(path, sizeof path, "/proc/%s/fd/%s", process, entry->d_name);
        if (stat(path, &status) < 0 || !S_ISREG(status.st_mode) || status.st_ino != piece->inode) continue;
        found = open(path, O_RDWR | O_CLOEXEC);
        if (found >= 0 && !is_file_of(found, piece)) {
            close(found);
            found = -1;
        }
    }
    if (all) closedir(all);
    return found;
}

static int file_of(int process, const struct piece *piece) {
    char path[320];
    snprintf(path, sizeof path, "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, process, piece->start, piece->end);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd >= 0) return fd;
    snprintf(path, sizeof path, "%d", process);
    if ((fd = file_among(path, piece)) >= 0 || (fd = file_among("self", piece)) >= 0) return fd;
    DIR *all = opendir("/proc");
    for (struct dirent *entry; all && fd < 0 && (entry = readdir(all));)
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9') fd = file_among(entry->d_name, piece);
    if (all) closedir(all);
    return fd;
}

HRESULT view_of(int process, uint64_t address, uint64_t size, struct view **view) {
    char path[64];
    if (!size || address % PAGE || size % PAGE || address + size < address) return E_INVALIDARG;
    snprintf(path, sizeof path, "/proc/%d/maps", process);
    FILE *maps = fopen(path, "re");
    if (!maps) return errno == EACCES ? E_ACCESSDENIED : E_HANDLE;
    struct view *made = calloc(1, sizeof *made);
    uint8_t *at = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    HRESULT result = made && at != MAP_FAILED ? S_OK : E_OUTOFMEMORY;
    for (uint64_t done = 0, part; result == S_OK && done < size; done += part) {
        struct piece piece;
        if (!piece_at(maps, address + done, &piece) || piece.access[3] != 's' || !piece.inode) {
            result = E_INVALIDARG;
            break;
        }
        part = piece.end - (address + done);
        if (part > size - done) part = size - done;
        int fd = file_of(process, &piece);
        if (fd < 0 || mmap(at + done, part, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
                piece.offset + (address + done - piece.start)) == MAP_FAILED)
            result = fd < 0 ? E_ACCESSDENIED : E_INVALIDARG;
        if (fd >= 0) close(fd);
    }
    fclose(maps);
    if (result != S_OK) {
        if (at != MAP_FAILED) munmap(at, size);
        free(made);
        return result;
    }
    *made = (struct view){at, size, 1};
    __atomic_fetch_add(&live_views, 1, __ATOMIC_RELAXED);
    *view = made;
    return S_OK;
}
