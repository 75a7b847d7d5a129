/*
 * One state of the vector registers in both forms, by the processor itself.
 *
 *   xsave layout            CPUID leaf 0xd: lines "INDEX EAX EBX ECX EDX"
 *   xsave make SEED ROUNDS  random states: for each a line "STANDARD COMPACTED", the areas in hexadecimal, as XSAVE and XSAVEC store them
 *   xsave load              loads the compacted area on each line of the input by XRSTOR; writes the standard one that XSAVE stores then
 *
 * Ends with 2, and says why, where the processor or the kernel does not let it.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { AREA = 16384, MXCSR = 24, XSTATE_BV = 512, XCOMP_BV = 520, HEADER_END = 576, PKRU = 9, TILE_CONFIG = 17, TILE_DATA = 18,
    ARCH_REQ_XCOMP_PERM = 0x1023 };

struct leaf {
    uint32_t eax, ebx, ecx, edx;
};

static uint8_t given[AREA] __attribute__((aligned(64))), standard[AREA] __attribute__((aligned(64))),
    compacted[AREA] __attribute__((aligned(64))), before[AREA] __attribute__((aligned(64)));
static uint64_t enabled;
static uint32_t standard_size;

static struct leaf leaf(uint32_t index) {
    struct leaf l;
    __cpuid_count(0xd, index, l.eax, l.ebx, l.ecx, l.edx);
    return l;
}

static uint64_t state;

static uint64_t next(void) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state * 0x2545f4914f6cdd1dull;
}

static void no(const char *why) {
    fprintf(stderr, "xsave: %s\n", why);
    exit(2);
}

static void begin(void) {
    uint32_t a, b, c, d;
    __cpuid(1, a, b, c, d);
    if (!(c & bit_OSXSAVE)) no("no XSAVE");
    if (!(leaf(1).eax & 2)) no("no XSAVEC");
    syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA);
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    enabled = low | (uint64_t)high << 32;
    /* Without the permission, which it may have refused, tiles fault. */
    uint64_t permitted = 0;
    if (syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM - 1, &permitted) == 0) enabled &= permitted;
    else enabled &= ~(1ull << TILE_DATA);
    standard_size = HEADER_END;
    for (int i = 2; i < 63; i++) {
        struct leaf l = leaf(i);
        if (enabled >> i & 1 && !(l.ecx & 1) && l.ebx + l.eax > standard_size) standard_size = l.ebx + l.eax;
    }
    if (standard_size > AREA) no("an area larger than this program knows");
}

/* With no compiled code in between, which might use the registers. */
static void exchange(int compact) {
    uint32_t low = enabled, high = enabled >> 32;
    memset(standard, 0, AREA);
    memset(compacted, 0, AREA);
    memset(before, 0, AREA);
    if (compact)
        __asm__ volatile("xsave64 %0\n xrstor64 %3\n xsave64 %1\n xsavec64 %2\n xrstor64 %0"
            : "+m"(before), "+m"(standard), "+m"(compacted) : "m"(given), "a"(low), "d"(high) : "memory");
    else
        __asm__ volatile("xsave64 %0\n xrstor64 %2\n xsave64 %1\n xrstor64 %0"
            : "+m"(before), "+m"(standard) : "m"(given), "a"(low), "d"(high) : "memory");
}

static void print(const uint8_t *area, uint32_t size, char end) {
    for (uint32_t i = 0; i < size; i++) printf("%02x", area[i]);
    putchar(end);
}

static uint32_t compacted_size(const uint8_t *area) {
    uint64_t form;
    uint32_t at = HEADER_END;
    memcpy(&form, area + XCOMP_BV, 8);
    for (int i = 2; i < 63; i++) {
        if (!(form >> i & 1)) continue;
        struct leaf l = leaf(i);
        at = (l.ecx & 2 ? (at + 63) & ~63u : at) + l.eax;
    }
    return at;
}

static void make(int rounds) {
    while (rounds-- > 0) {
        uint64_t present = next() & enabled & ~(1ull << TILE_CONFIG | 1ull << TILE_DATA);
        /* Tiles without a configuration are nothing. */
        if (next() & 1) present |= enabled & (1ull << TILE_CONFIG | 1ull << TILE_DATA);
        memset(given, 0, AREA);
        for (uint32_t i = 32; i < standard_size; i++)
            if (i < 416 || i >= HEADER_END) given[i] = next();
        for (int i = 0; i < 8; i++) memset(given + 32 + 16 * i + 10, 0, 6); /* of 80-bit registers */
        given[0] = 0x7f, given[1] = 3 | (next() & 3) << 2; /* exceptions masked, any rounding */
        given[3] = (next() & 7) << 3;
        given[4] = next();
        uint32_t mxcsr = 0x1f80 | (next() & 3) << 13;
        memcpy(given + MXCSR, &mxcsr, 4);
        if (present >> PKRU & 1) given[leaf(PKRU).ebx] &= ~3; /* this program's own memory */
        if (present >> TILE_CONFIG & 1) {
            uint8_t *tiles = given + leaf(TILE_CONFIG).ebx;
            memset(tiles, 0, 64);
            tiles[0] = 1; /* the palette */
            for (int i = 0; i < 8; i++) tiles[16 + 2 * i] = 64, tiles[48 + i] = 16;
        }
        memcpy(given + XSTATE_BV, &present, 8);
        exchange(1);
        print(standard, standard_size, ' ');
        print(compacted, compacted_size(compacted), '\n');
    }
}

static void load(void) {
    static char line[2 * AREA + 2];
    while (fgets(line, sizeof line, stdin)) {
        memset(given, 0, AREA);
        for (int i = 0; line[2 * i] && line[2 * i] != '\n' && i < AREA; i++) {
            unsigned byte;
            if (sscanf(line + 2 * i, "%2x", &byte) != 1) no("not hexadecimal");
            given[i] = byte;
        }
        exchange(0);
        print(standard, standard_size, '\n');
    }
}

int main(int count, char **arguments) {
    begin();
    if (count == 2 && !strcmp(arguments[1], "layout"))
        for (int i = 0; i < 63; i++) {
            struct leaf l = leaf(i);
            printf("%d %u %u %u %u\n", i, l.eax, l.ebx, l.ecx, l.edx);
        }
    else if (count == 4 && !strcmp(arguments[1], "make")) {
        state = strtoull(arguments[2], NULL, 0) * 2 + 1;
        make(atoi(arguments[3]));
    } else if (count == 2 && !strcmp(arguments[1], "load")) load();
    else no("layout | make SEED ROUNDS | load");
    return 0;
}
