/*
 * Guest memory touched from plain C: the other side of the access benchmarks.
 *
 *   gcc -O2 -Wall -Wextra -o access access.c && ./access [-t SECONDS] [ROW...]      (1 second a row and every row by default)
 *
 * One row a line, "c ROW ns VALUE", nanoseconds an operation: the median of as many runs of 0.25 to 0.5 ms as fit into the time,
 * after a fifth of it for warming up. Runs are short so that on a machine with other work most are not interrupted.
 *
 * What is measured, the same in rustvmm/ and to be the same wherever else a row is measured:
 *
 * - The memory is a memfd, mapped shared, and every page that is touched was written before.
 * - read8, write8: 8 bytes at an offset that steps by 0x4f1b8 within a window of 32 KiB (it stays in the cache), wrapping, in a loop that is not inlined. A run goes
 *   on where the last one ended.
 * - read8_64MiB, write8_64MiB: the same steps within 64 MiB (it does not).
 * - copy_out_*, copy_in_*: from guest memory to a buffer and back; 4 KiB at one of 16 neighbouring pages in turn, 1 MiB at one of 16 neighbouring ones in turn.
 * - lookup_read8_N: N regions of 64 MiB, at equal distances in 1 TiB; each of 4,096 addresses in turn is looked up and 8 bytes are
 *   read there. The addresses come from xorshift64 (13, 7, 17; seed 0x9e3779b97f4a7c15): for each x, region (x >> 32) mod N, offset x mod 64 MiB, rounded down to 8.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { MOST_RUNS = 100000, ADDRESSES = 4096 };
#define KIB 1024ull
#define MIB (1024 * KIB)
#define TIB (1024 * 1024 * MIB)
#define REGION (64 * MIB)
#define STEP 0x4f1b8ull

struct region {
    uint64_t start, end;
    uint8_t *host;
};

static uint8_t *memory; /* 64 MiB */
static uint8_t buffer[1048576];
static uint64_t window, position;
static size_t copy_size;
static struct region regions[1024];
static size_t region_count;
static uint64_t addresses[ADDRESSES];
static volatile uint64_t sink;
static double duration = 1;
static char **wanted;

static void fail(const char *what) {
    perror(what);
    exit(2);
}

static __attribute__((noinline)) void read8(uint64_t count) {
    uint64_t offset = position, mask = window - 8, sum = 0;
    for (uint64_t i = 0; i < count; i++) {
        sum += *(volatile uint64_t *)(memory + offset);
        offset = (offset + STEP) & mask;
    }
    position = offset;
    sink = sum;
}

static __attribute__((noinline)) void write8(uint64_t count) {
    uint64_t offset = position, mask = window - 8;
    for (uint64_t i = 0; i < count; i++) {
        *(volatile uint64_t *)(memory + offset) = i;
        offset = (offset + STEP) & mask;
    }
    position = offset;
}

/* Keeps a copy whose result nobody reads. */
static void used(void *pointer) {
    __asm__ volatile("" : : "r"(pointer) : "memory");
}

static __attribute__((noinline)) void copy_out(uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        memcpy(buffer, memory + (i & 15) * copy_size, copy_size);
        used(buffer);
    }
}

static __attribute__((noinline)) void copy_in(uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        memcpy(memory + (i & 15) * copy_size, buffer, copy_size);
        used(memory);
    }
}

static inline const struct region *find(uint64_t gpa) {
    size_t low = 0, high = region_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (regions[middle].end <= gpa) low = middle + 1;
        else high = middle;
    }
    return low < region_count && regions[low].start <= gpa ? &regions[low] : NULL;
}

static __attribute__((noinline)) void lookup_read8(uint64_t count) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t gpa = addresses[i % ADDRESSES];
        const struct region *region = find(gpa);
        if (!region || region->end - gpa < 8) abort();
        sum += *(volatile uint64_t *)(region->host + (gpa - region->start));
    }
    sink = sum;
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int asked(const char *name) {
    for (char **row = wanted; *row; row++)
        if (!strcmp(*row, name)) return 1;
    return !*wanted;
}

static void row(const char *name, void (*operation)(uint64_t)) {
    static double results[MOST_RUNS];
    uint64_t count = 16;
    if (!asked(name)) return;
    for (;;) {
        double start = seconds();
        operation(count);
        if (seconds() - start > 0.25e-3) break;
        count *= 2;
    }
    for (double start = seconds(); seconds() - start < duration / 5;) operation(count);
    int runs = 0;
    for (double start = seconds(); runs < MOST_RUNS && (runs < 9 || seconds() - start < duration); runs++) {
        double began = seconds();
        operation(count);
        results[runs] = (seconds() - began) * 1e9 / count;
    }
    qsort(results, runs, sizeof *results, by_value);
    printf("c %s ns %.2f\n", name, results[runs / 2]);
    fflush(stdout);
}

static void lookup(const char *name, size_t count) {
    if (!asked(name)) return;
    int memfd = memfd_create("regions", 0);
    if (memfd < 0 || ftruncate(memfd, count * REGION) < 0) fail("memfd");
    region_count = count;
    for (size_t i = 0; i < count; i++) {
        regions[i].start = i * (TIB / count);
        regions[i].end = regions[i].start + REGION;
        regions[i].host = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, memfd, i * REGION);
        if (regions[i].host == MAP_FAILED) fail("mmap");
    }
    uint64_t x = 0x9e3779b97f4a7c15;
    for (int i = 0; i < ADDRESSES; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        uint64_t offset = x % REGION & ~7ull;
        struct region *region = &regions[(x >> 32) % count];
        addresses[i] = region->start + offset;
        *(uint64_t *)(region->host + offset) = x;
    }
    row(name, lookup_read8);
    for (size_t i = 0; i < count; i++) munmap(regions[i].host, REGION);
    close(memfd);
}

int main(int argc, char **argv) {
    wanted = argv + 1;
    if (argc > 2 && !strcmp(argv[1], "-t")) {
        duration = atof(argv[2]);
        wanted += 2;
    }
    int memfd = memfd_create("memory", 0);
    if (memfd < 0 || ftruncate(memfd, 64 * MIB) < 0) fail("memfd");
    memory = mmap(NULL, 64 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
    if (memory == MAP_FAILED) fail("mmap");
    memset(memory, 1, 64 * MIB);
    window = 32 * KIB;
    row("read8", read8);
    row("write8", write8);
    window = 64 * MIB;
    row("read8_64MiB", read8);
    row("write8_64MiB", write8);
    copy_size = 4 * KIB;
    row("copy_out_4KiB", copy_out);
    row("copy_in_4KiB", copy_in);
    copy_size = MIB;
    row("copy_out_1MiB", copy_out);
    row("copy_in_1MiB", copy_in);
    lookup("lookup_read8_16", 16);
    lookup("lookup_read8_1024", 1024);
    return 0;
}
