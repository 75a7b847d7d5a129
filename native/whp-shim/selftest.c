/*
 * What the API must do, checked on whatever implements it: the shim on Linux, the shim under Wine, or Windows itself.
 *
 *   selftest          all checks; one line each, "ok ..." or "FAILED ..."; exit status 1 when one failed, 2 without a hypervisor
 *
 * Checks of switches and faults run where the library has WHvShimSet.
 */
#ifdef _WIN32
#include <windows.h>
#include <winhvplatform.h>
#else
#define _GNU_SOURCE
#include "whp.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#endif
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RWX (WHvMapGpaRangeFlagRead | WHvMapGpaRangeFlagWrite | WHvMapGpaRangeFlagExecute)
#define RX (WHvMapGpaRangeFlagRead | WHvMapGpaRangeFlagExecute)
enum { PAGE_BYTES = 4096, RAM = 0x200000, CODE = 0x8000, TABLES = 0x1000, ROM = 0xd0000 };
#define NOWHERE 0x40000000ull
#define THE_END (NOWHERE + 0x100000)

#ifndef _WIN32
#undef WINAPI
#define WINAPI
#endif
typedef HRESULT (WINAPI *shim_set)(const char *, int);
typedef HRESULT (WINAPI *shim_fail)(const char *, int, HRESULT);
typedef int64_t (WINAPI *shim_count)(const char *);
static shim_set set;
static shim_fail fail;
static shim_count count;
static int failed;

static int check(int good, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    printf("%s ", good ? "ok" : "FAILED");
    vprintf(format, arguments);
    putchar('\n');
    fflush(stdout);
    va_end(arguments);
    failed |= !good;
    return good;
}

static void must(HRESULT result, const char *what) {
    if (result == 0) return;
    printf("FAILED %s: 0x%08x\n", what, (unsigned)result);
    exit(1);
}

#ifdef _WIN32
static void *memory(size_t size) {
    return VirtualAlloc(NULL, size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
}

static void free_memory(void *at, size_t size) {
    (void)size;
    VirtualFree(at, 0, MEM_RELEASE);
}

static void pause_briefly(void) {
    Sleep(5);
}

typedef HANDLE thread;
static DWORD WINAPI start_thread(void *argument);
#define START(t, argument) (t = CreateThread(NULL, 0, start_thread, argument, 0, NULL))
#define JOIN(t) (WaitForSingleObject(t, INFINITE), CloseHandle(t))
#else
static void *memory(size_t size) {
    return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static void free_memory(void *at, size_t size) {
    munmap(at, size);
}

static void pause_briefly(void) {
    usleep(5000);
}

typedef pthread_t thread;
static void *start_thread(void *argument);
#define START(t, argument) pthread_create(&t, NULL, start_thread, argument)
#define JOIN(t) pthread_join(t, NULL)
#endif

/* ---- a machine: RAM at 0, one processor ---- */

enum mode { REAL, PROTECTED, LONG_MODE, LONG_MODE_USER };

struct machine {
    WHV_PARTITION_HANDLE partition;
    unsigned index; /* of the processor meant */
    uint8_t *ram;
    WHV_RUN_VP_EXIT_CONTEXT exit;
};

static WHV_PARTITION_HANDLE new_partition(unsigned processors) {
    WHV_PARTITION_HANDLE partition;
    WHV_PARTITION_PROPERTY property;
    memset(&property, 0, sizeof property);
    must(WHvCreatePartition(&partition), "WHvCreatePartition");
    property.ProcessorCount = processors;
    must(WHvSetPartitionProperty(partition, WHvPartitionPropertyCodeProcessorCount, &property, 4), "ProcessorCount");
    must(WHvSetupPartition(partition), "WHvSetupPartition");
    return partition;
}

static struct machine new_machine(void) {
    struct machine m = {.partition = new_partition(1), .ram = memory(RAM)};
    must(WHvMapGpaRange(m.partition, m.ram, 0, RAM, RWX), "WHvMapGpaRange");
    must(WHvCreateVirtualProcessor(m.partition, 0, 0), "WHvCreateVirtualProcessor");
    return m;
}

static void end(struct machine *m) {
    must(WHvDeletePartition(m->partition), "WHvDeletePartition");
    free_memory(m->ram, RAM);
}

static void put(struct machine *m, WHV_REGISTER_NAME name, uint64_t value) {
    WHV_REGISTER_VALUE v;
    memset(&v, 0, sizeof v);
    v.Reg64 = value;
    must(WHvSetVirtualProcessorRegisters(m->partition, m->index, &name, 1, &v), "set register");
}

static uint64_t get(struct machine *m, WHV_REGISTER_NAME name) {
    WHV_REGISTER_VALUE v;
    must(WHvGetVirtualProcessorRegisters(m->partition, m->index, &name, 1, &v), "get register");
    return v.Reg64;
}

static void put_segment(struct machine *m, WHV_REGISTER_NAME name, uint64_t base, uint32_t limit, int selector, int attributes) {
    WHV_REGISTER_VALUE v;
    memset(&v, 0, sizeof v);
    v.Segment.Base = base;
    v.Segment.Limit = limit;
    v.Segment.Selector = selector;
    v.Segment.Attributes = attributes;
    must(WHvSetVirtualProcessorRegisters(m->partition, m->index, &name, 1, &v), "set segment");
}

/* Loads code and makes the processor ready to run it; the first two GiB are mapped to themselves in long mode. */
static void load(struct machine *m, enum mode mode, const void *code, size_t size) {
    static const WHV_REGISTER_NAME data[] = {WHvX64RegisterDs, WHvX64RegisterEs, WHvX64RegisterFs, WHvX64RegisterGs, WHvX64RegisterSs};
    static const int code_attributes[] = {0x9b, 0xc09b, 0xa09b, 0xa0fb}, data_attributes[] = {0x93, 0xc093, 0xc093, 0xc0f3};
    memset(m->ram + CODE, 0xf4, 64);
    memcpy(m->ram + CODE, code, size);
    int selector = mode == REAL ? 0 : mode == LONG_MODE_USER ? 0x33 : 8, data_selector = mode == REAL ? 0 : mode == LONG_MODE_USER ? 0x2b : 0x10;
    uint32_t limit = mode == REAL ? 0xffff : 0xffffffff;
    put_segment(m, WHvX64RegisterCs, 0, limit, selector, code_attributes[mode]);
    for (int i = 0; i < 5; i++) put_segment(m, data[i], 0, limit, data_selector, data_attributes[mode]);
    if (mode == PROTECTED) put(m, WHvX64RegisterCr0, 0x31);
    if (mode == LONG_MODE || mode == LONG_MODE_USER) {
        uint64_t *tables = (uint64_t *)(m->ram + TABLES);
        memset(tables, 0, 0x4000);
        tables[0] = (TABLES + 0x1000) | 7;
        tables[512] = (TABLES + 0x2000) | 7;
        tables[513] = (TABLES + 0x3000) | 7;
        for (uint64_t i = 0; i < 1024; i++) tables[1024 + i] = i << 21 | 0x87;
        put_segment(m, WHvX64RegisterTr, 0, 0x67, 0x18, 0x8b);
        put(m, WHvX64RegisterCr3, TABLES);
        put(m, WHvX64RegisterCr4, 0x620);
        put(m, WHvX64RegisterEfer, 0x500);
        put(m, WHvX64RegisterCr0, 0x80010033);
    }
    put(m, WHvX64RegisterRip, CODE);
    put(m, WHvX64RegisterRflags, 2);
    put(m, WHvX64RegisterRsp, 0x7000);
}

static int run(struct machine *m) {
    memset(&m->exit, 0xcc, sizeof m->exit);
    must(WHvRunVirtualProcessor(m->partition, m->index, &m->exit, sizeof m->exit), "run");
    return m->exit.ExitReason;
}

static int is_memory(struct machine *m, unsigned info, uint64_t gpa, uint64_t rip) {
    int good = m->exit.ExitReason == WHvRunVpExitReasonMemoryAccess && (m->exit.MemoryAccess.AccessInfo.AsUINT32 & 7) == info
        && m->exit.MemoryAccess.Gpa == gpa && m->exit.VpContext.Rip == rip && get(m, WHvX64RegisterRip) == rip;
    if (!good)
        printf("  exit 0x%x info %u gpa 0x%llx rip 0x%llx (0x%llx)\n", m->exit.ExitReason, m->exit.MemoryAccess.AccessInfo.AsUINT32,
            (unsigned long long)m->exit.MemoryAccess.Gpa, (unsigned long long)m->exit.VpContext.Rip,
            (unsigned long long)get(m, WHvX64RegisterRip));
    if (!good && m->exit.ExitReason == WHvRunVpExitReasonUnsupportedFeature)
        printf("  parameter 0x%llx\n", (unsigned long long)m->exit.UnsupportedFeature.FeatureParameter);
    return good;
}

#define LOAD(m, mode, ...) \
    do { \
        static const uint8_t code_bytes[] = {__VA_ARGS__}; \
        load(m, mode, code_bytes, sizeof code_bytes); \
    } while (0)

enum { READ_UNMAPPED = 4, WRITE_UNMAPPED = 5, WRITE_MAPPED = 1, EXECUTE_UNMAPPED = 6, READ_MAPPED = 0 };

/* ---- checks ---- */

static void ports(void) {
    struct machine m = new_machine();
    LOAD(&m, REAL, 0xba, 0x10, 0x00, 0xb0, 'A', 0xee, 0xb0, 'B', 0xee, 0xe6, 0x42, 0x66, 0xef, 0xed, 0xf4);
    int good = run(&m) == WHvRunVpExitReasonX64IoPortAccess && m.exit.IoPortAccess.PortNumber == 0x10
        && m.exit.IoPortAccess.AccessInfo.AsUINT32 == 3 && (uint8_t)m.exit.IoPortAccess.Rax == 'A' && m.exit.VpContext.Rip == CODE + 5
        && m.exit.VpContext.InstructionLength == 1 && m.exit.IoPortAccess.InstructionBytes[0] == 0xee;
    check(good, "OUT DX exits at the instruction");
    check(run(&m) == WHvRunVpExitReasonX64IoPortAccess && m.exit.VpContext.Rip == CODE + 5, "and again, as long as RIP stays");
    put(&m, WHvX64RegisterRip, CODE + 6);
    good = run(&m) == WHvRunVpExitReasonX64IoPortAccess && (uint8_t)m.exit.IoPortAccess.Rax == 'B' && m.exit.VpContext.Rip == CODE + 8;
    put(&m, WHvX64RegisterRip, CODE + 9);
    check(good && run(&m) == WHvRunVpExitReasonX64IoPortAccess && m.exit.IoPortAccess.PortNumber == 0x42
            && m.exit.VpContext.InstructionLength == 2 && m.exit.VpContext.Rip == CODE + 9, "OUT imm8");
    put(&m, WHvX64RegisterRip, CODE + 11);
    check(run(&m) == WHvRunVpExitReasonX64IoPortAccess && m.exit.IoPortAccess.AccessInfo.AsUINT32 == 9
            && m.exit.VpContext.InstructionLength == 2, "OUT of 4 bytes with a prefix");
    put(&m, WHvX64RegisterRip, CODE + 13);
    put(&m, WHvX64RegisterRax, 0x12345678);
    good = run(&m) == WHvRunVpExitReasonX64IoPortAccess && m.exit.IoPortAccess.AccessInfo.AsUINT32 == 4 && m.exit.VpContext.Rip == CODE + 13
        && get(&m, WHvX64RegisterRax) == 0x12345678;
    check(good, "IN leaves the register alone");
    put(&m, WHvX64RegisterRip, CODE + 14);
    check(run(&m) == WHvRunVpExitReasonX64Halt && get(&m, WHvX64RegisterRip) == CODE + 15, "HLT exits after the instruction");

    LOAD(&m, REAL, 0xf3, 0x6e, 0xf4);
    memcpy(m.ram + 0x9000, "text", 4);
    put(&m, WHvX64RegisterRdx, 0x10);
    put(&m, WHvX64RegisterRcx, 4);
    put(&m, WHvX64RegisterRsi, 0x9000);
    for (int i = 0; i < 4; i++) {
        good = run(&m) == WHvRunVpExitReasonX64IoPortAccess && m.exit.IoPortAccess.AccessInfo.AsUINT32 == 0x33 && m.exit.VpContext.Rip == CODE
            && m.exit.IoPortAccess.Rcx == (unsigned)(4 - i) && m.exit.IoPortAccess.Rsi == 0x9000u + i;
        if (!check(good, "REP OUTS, item %d of 4", i)) break;
        put(&m, WHvX64RegisterRcx, 3 - i);
        put(&m, WHvX64RegisterRsi, 0x9001 + i);
        if (i == 3) put(&m, WHvX64RegisterRip, CODE + 2);
    }
    check(run(&m) == WHvRunVpExitReasonX64Halt, "and ends");

    LOAD(&m, REAL, 0xf3, 0x6c, 0xf4);
    memset(m.ram + 0x9000, 0x77, 64);
    put(&m, WHvX64RegisterRdx, 0x10);
    put(&m, WHvX64RegisterRcx, 20);
    put(&m, WHvX64RegisterRdi, 0x9000);
    good = run(&m) == WHvRunVpExitReasonX64IoPortAccess && m.exit.IoPortAccess.AccessInfo.AsUINT32 == 0x32 && m.exit.IoPortAccess.Rcx == 20;
    for (int i = 0; i < 64; i++) good &= m.ram[0x9000 + i] == 0x77;
    check(good && get(&m, WHvX64RegisterRcx) == 20 && get(&m, WHvX64RegisterRdi) == 0x9000, "REP INS leaves memory and registers alone");
    put(&m, WHvX64RegisterRcx, 0);
    put(&m, WHvX64RegisterRip, CODE + 2);
    check(run(&m) == WHvRunVpExitReasonX64Halt, "and is left by RIP");
    end(&m);
}

static void memory_exits(void) {
    for (enum mode mode = REAL; mode <= LONG_MODE_USER; mode++) {
        static const char *const names[] = {"real", "protected", "long", "long, CPL3"};
        struct machine m = new_machine();
        uint64_t away = mode == REAL ? 0xe0000 : NOWHERE;
        must(WHvUnmapGpaRange(m.partition, 0xd0000, 0x20000), "unmap");
        must(WHvMapGpaRange(m.partition, m.ram + ROM, ROM, 0x1000, RX), "map read-only");
        *(uint32_t *)(m.ram + ROM + 4) = 0x5a5a5a5a;

        /* mov [bx], al or mov [rbx], eax; then the other way; then a string move of 4 */
        if (mode == REAL) LOAD(&m, mode, 0x66, 0x89, 0x07, 0x66, 0x8b, 0x07, 0xf3, 0x66, 0xa5, 0xf4); /* mov [bx], eax */
        else LOAD(&m, mode, 0x90, 0x89, 0x03, 0x8b, 0x03, 0xf3, 0xa5, 0xf4);
        uint64_t store = mode == REAL ? CODE : CODE + 1, fetch = CODE + 3, move = mode == REAL ? CODE + 6 : CODE + 5;
        if (mode == REAL) put_segment(&m, WHvX64RegisterDs, ROM, 0xffff, ROM >> 4, 0x93);
        put(&m, WHvX64RegisterRbx, mode == REAL ? 4 : ROM + 4);
        put(&m, WHvX64RegisterRax, 0xa1b2c3d4);
        run(&m);
        check(is_memory(&m, WRITE_MAPPED, ROM + 4, store) && m.exit.MemoryAccess.InstructionBytes[mode == REAL] == 0x89
                && m.exit.MemoryAccess.InstructionByteCount > 2 && *(uint32_t *)(m.ram + ROM + 4) == 0x5a5a5a5a,
            "%s: a write to a read-only range exits before the instruction", names[mode]);
        check(m.exit.MemoryAccess.AccessInfo.AsUINT32 >> 3 == 1 && m.exit.MemoryAccess.Gva == ROM + 4, "%s: with its address", names[mode]);
        put(&m, WHvX64RegisterRip, store + (mode == REAL ? 3 : 2));
        put(&m, WHvX64RegisterRdi, 0x9000);
        put(&m, WHvX64RegisterRcx, 3);
        if (mode == REAL) put_segment(&m, WHvX64RegisterDs, 0xe0000, 0xffff, 0xe000, 0x93);
        put(&m, WHvX64RegisterRbx, mode == REAL ? 8 : away + 8);
        put(&m, WHvX64RegisterRsi, mode == REAL ? 8 : away + 8);
        run(&m);
        check(is_memory(&m, READ_UNMAPPED, away + 8, fetch) && get(&m, WHvX64RegisterRax) == 0xa1b2c3d4,
            "%s: a read of nothing exits before the instruction", names[mode]);
        put(&m, WHvX64RegisterRip, move);
        memset(m.ram + 0x9000, 0x77, 12);
        run(&m);
        check(is_memory(&m, READ_UNMAPPED, away + 8, move) && *(uint32_t *)(m.ram + 0x9000) == 0x77777777
                && get(&m, WHvX64RegisterRcx) == 3 && get(&m, WHvX64RegisterRdi) == 0x9000 && (uint32_t)get(&m, WHvX64RegisterRsi) == (uint32_t)(mode == REAL ? 8 : away + 8),
            "%s: a string move from nothing leaves memory and registers alone", names[mode]);

        uint8_t *page = memory(PAGE_BYTES);
        memcpy(page + 8, "on-demand..\0", 12);
        must(WHvMapGpaRange(m.partition, page, away, PAGE_BYTES, RWX), "map on demand");
        put(&m, WHvX64RegisterRip, fetch);
        int exit = run(&m);
        if (mode == LONG_MODE_USER) exit = m.exit.ExitReason == WHvRunVpExitReasonX64Halt || get(&m, WHvX64RegisterRip) == move + 2 ? WHvRunVpExitReasonX64Halt : exit;
        check(exit == WHvRunVpExitReasonX64Halt || mode == LONG_MODE_USER, "%s: it goes on when memory is mapped there", names[mode]);
        check(!memcmp(m.ram + 0x9000, "on-demand..", 12) && (uint32_t)get(&m, WHvX64RegisterRax) == *(uint32_t *)"on-d",
            "%s: and reads it", names[mode]);

        if (mode != REAL) { /* rep stosd to nothing: each item its own exit */
            must(WHvUnmapGpaRange(m.partition, away, PAGE_BYTES), "unmap");
            LOAD(&m, mode, 0xf3, 0xab, 0xf4);
            put(&m, WHvX64RegisterRdi, away + 0x10);
            put(&m, WHvX64RegisterRcx, 2);
            put(&m, WHvX64RegisterRax, 7);
            run(&m);
            int good = is_memory(&m, WRITE_UNMAPPED, away + 0x10, CODE) && get(&m, WHvX64RegisterRcx) == 2 && get(&m, WHvX64RegisterRdi) == away + 0x10;
            put(&m, WHvX64RegisterRcx, 1);
            put(&m, WHvX64RegisterRdi, away + 0x14);
            run(&m);
            check(good && is_memory(&m, WRITE_UNMAPPED, away + 0x14, CODE) && get(&m, WHvX64RegisterRcx) == 1
                    && get(&m, WHvX64RegisterRdi) == away + 0x14, "%s: REP STOS to nothing", names[mode]);
        }
        end(&m);
        free_memory(page, PAGE_BYTES);
    }
}

static void effects(void) {
    struct machine m = new_machine();
    must(WHvUnmapGpaRange(m.partition, ROM, 0x1000), "unmap");
    must(WHvMapGpaRange(m.partition, m.ram + ROM, ROM, 0x1000, RX), "map read-only");
    uint64_t *word = (uint64_t *)(m.ram + ROM), fs_base = 0;
    *word = 100;
#define TO_ROM(what, rax, flags, ...) \
    do { \
        LOAD(&m, LONG_MODE, 0x90, __VA_ARGS__); \
        put(&m, WHvX64RegisterRbx, ROM); \
        put(&m, WHvX64RegisterRax, rax); \
        put(&m, WHvX64RegisterRcx, 0x55); \
        put(&m, WHvX64RegisterRflags, flags); \
        if (fs_base) put_segment(&m, WHvX64RegisterFs, fs_base, 0xffffffff, 0x10, 0xc093); \
        run(&m); \
        check(is_memory(&m, WRITE_MAPPED, m.exit.MemoryAccess.Gpa, CODE + 1) && (m.exit.MemoryAccess.Gpa & ~7ull) == ROM \
                && get(&m, WHvX64RegisterRax) == (uint64_t)(rax) && get(&m, WHvX64RegisterRcx) == 0x55 && *word == 100 \
                && get(&m, WHvX64RegisterRbx) == ROM && get(&m, WHvX64RegisterRsp) == 0x7000, "undone: " what); \
    } while (0)
    TO_ROM("add [rbx], rax", 5, 2, 0x48, 0x01, 0x03);
    TO_ROM("adc [rbx], eax with carry", 5, 3, 0x11, 0x03);
    check(get(&m, WHvX64RegisterRflags) & 1, "the carry is back");
    TO_ROM("sbb dword [rbx], 7 without carry", 5, 2, 0x83, 0x1b, 0x07);
    check(!(get(&m, WHvX64RegisterRflags) & 1), "and no carry where there was none");
    TO_ROM("xchg [rbx], rax", 0x1234, 2, 0x48, 0x87, 0x03);
    TO_ROM("lock xadd [rbx], rax", 9, 2, 0xf0, 0x48, 0x0f, 0xc1, 0x03);
    TO_ROM("inc word [rbx]", 9, 2, 0x66, 0xff, 0x03);
    TO_ROM("mov byte [rbx+3], 200", 9, 2, 0xc6, 0x43, 0x03, 200);
    TO_ROM("mov [rbx], ah", 0xaa00, 2, 0x88, 0x23);
    TO_ROM("mov [rip+x], eax", 9, 2, 0x89, 0x05, 0xf9, 0x7f, 0x0c, 0x00); /* 0x8007 + 0xc7ff9 = ROM */
    TO_ROM("mov [abs], al", 9, 2, 0xa2, 0x00, 0x00, 0x0d, 0x00, 0x00, 0x00, 0x00, 0x00);
    TO_ROM("movnti [rbx], rax", 9, 2, 0x48, 0x0f, 0xc3, 0x03);
    fs_base = 0x1000;
    TO_ROM("fs: mov [rbx-0x1000], cx", 9, 2, 0x64, 0x66, 0x89, 0x8b, 0x00, 0xf0, 0xff, 0xff);
    end(&m);
}

static void fetches(void) {
    struct machine m = new_machine();
    LOAD(&m, PROTECTED, 0xb8, 0x00, 0x00, 0x00, 0x40, 0xff, 0xe0); /* jmp eax */
    run(&m);
    check(is_memory(&m, EXECUTE_UNMAPPED, NOWHERE, NOWHERE), "running into nothing is an execute access");
    uint8_t *page = memory(PAGE_BYTES);
    page[0] = 0xf4;
    must(WHvMapGpaRange(m.partition, page, NOWHERE, PAGE_BYTES, RWX), "map");
    check(run(&m) == WHvRunVpExitReasonX64Halt, "and goes on when memory is mapped there");
    end(&m);
    free_memory(page, PAGE_BYTES);

    m.partition = new_partition(1);
    must(WHvCreateVirtualProcessor(m.partition, 0, 0), "processor");
    run(&m);
    check(is_memory(&m, EXECUTE_UNMAPPED, 0xfffffff0, 0xfff0), "a partition without memory exits at the reset vector");
    must(WHvDeletePartition(m.partition), "delete");
}

static void faults(void) {
    struct machine m = new_machine();
    LOAD(&m, LONG_MODE, 0x0f, 0x0b); /* ud2 without IDT */
    WHV_REGISTER_VALUE none;
    WHV_REGISTER_NAME idt = WHvX64RegisterIdtr;
    memset(&none, 0, sizeof none);
    must(WHvSetVirtualProcessorRegisters(m.partition, 0, &idt, 1, &none), "idt");
    check(run(&m) == WHvRunVpExitReasonUnrecoverableException, "a triple fault is an unrecoverable exception (0x%x)", m.exit.ExitReason);
    put(&m, WHvX64RegisterCr4, 0);
    check(run(&m) == WHvRunVpExitReasonInvalidVpRegisterValue, "long mode without PAE is an invalid register value (0x%x)", m.exit.ExitReason);
    end(&m);
}

static void dirty_pages(void) {
    struct machine m = new_machine();
    uint64_t bits[8];
    uint8_t *more = memory(0x10000);
    must(WHvMapGpaRange(m.partition, more, NOWHERE, 0x10000, RWX | WHvMapGpaRangeFlagTrackDirtyPages), "map tracked");
    LOAD(&m, PROTECTED, 0xc6, 0x05, 0x00, 0x20, 0x00, 0x40, 1, 0xc6, 0x05, 0xff, 0x5f, 0x00, 0x40, 1, 0xf4);
    run(&m);
    check(WHvQueryGpaRangeDirtyBitmap(m.partition, NOWHERE + 0x1000, 0x8000, bits, 8) == 0 && bits[0] == 0x12, "written pages are dirty, from the address on");
    check(WHvQueryGpaRangeDirtyBitmap(m.partition, NOWHERE, 0x10000, bits, 8) == 0 && bits[0] == 0, "asking clears");
    put(&m, WHvX64RegisterRip, CODE);
    run(&m);
    check(WHvQueryGpaRangeDirtyBitmap(m.partition, NOWHERE, 0x3000, NULL, 0) == 0, "clearing without asking");
    check(WHvQueryGpaRangeDirtyBitmap(m.partition, NOWHERE, 0x10000, bits, 8) == 0 && bits[0] == 0x20, "clears those alone");
    check(WHvQueryGpaRangeDirtyBitmap(m.partition, 0, 0x1000, bits, 8) == (HRESULT)0x80370305, "not tracked: range not found");
    check(WHvQueryGpaRangeDirtyBitmap(m.partition, NOWHERE, 0x20000, bits, 8) == (HRESULT)0x80370305, "not mapped: range not found");
    end(&m);
    free_memory(more, 0x10000);
}

static uint64_t random_state;

static uint64_t random_bits(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * 0x2545f4914f6cdd1d;
}

static unsigned below(unsigned n) {
    return (random_bits() >> 33) % n;
}

static struct machine spinning;
static int spin_exit;
static void (*doing)(struct machine *);

#ifdef _WIN32
static DWORD WINAPI start_thread(void *argument) {
    if (argument) doing(argument);
    else spin_exit = run(&spinning);
    return 0;
}
#else
static void *start_thread(void *argument) {
    if (argument) doing(argument);
    else spin_exit = run(&spinning);
    return argument;
}
#endif

static void cancel(void) {
    for (int i = 0; i < 2; i++) {
        thread runner;
        spinning = new_machine();
        LOAD(&spinning, i ? LONG_MODE_USER : REAL, 0xeb, 0xfe);
        START(runner, NULL);
        pause_briefly();
        WHV_REGISTER_NAME name = WHvX64RegisterRip;
        WHV_REGISTER_VALUE value;
        check(WHvGetVirtualProcessorRegisters(spinning.partition, 0, &name, 1, &value) == (HRESULT)0x80370308, "registers of a running processor: invalid state");
        must(WHvCancelRunVirtualProcessor(spinning.partition, 0, 0), "cancel");
        JOIN(runner);
        check(spin_exit == WHvRunVpExitReasonCanceled && spinning.exit.VpContext.Rip == CODE, "a spinning processor is cancelled, %s", i ? "long, CPL3" : "real");
        must(WHvCancelRunVirtualProcessor(spinning.partition, 0, 0), "cancel");
        check(run(&spinning) == WHvRunVpExitReasonCanceled, "a cancel before the run counts");
        LOAD(&spinning, i ? LONG_MODE : REAL, 0xf4);
        check(run(&spinning) == WHvRunVpExitReasonX64Halt, "and counts once");
        end(&spinning);
    }
}

/* A processor reads a page without pause while the page is mapped over: it must see one or the other, and no hole. */
static void replaced_while_running(void) {
    thread runner;
    spinning = new_machine();
    uint8_t *page = memory(2 * PAGE_BYTES);
    memset(page, 0x11, PAGE_BYTES);
    memset(page + PAGE_BYTES, 0x22, PAGE_BYTES);
    must(WHvMapGpaRange(spinning.partition, page, NOWHERE, PAGE_BYTES, RWX), "map");
    LOAD(&spinning, PROTECTED, 0x8b, 0x03, 0x39, 0xc8, 0x74, 0xfa, 0x39, 0xd0, 0x74, 0xf6, 0xf4); /* until it is neither ecx nor edx */
    put(&spinning, WHvX64RegisterRbx, NOWHERE);
    put(&spinning, WHvX64RegisterRcx, 0x11111111);
    put(&spinning, WHvX64RegisterRdx, 0x22222222);
    START(runner, NULL);
    for (int i = 0; i < 500; i++)
        must(WHvMapGpaRange(spinning.partition, page + (i + 1) % 2 * PAGE_BYTES, NOWHERE, PAGE_BYTES, i % 3 ? RWX : RX), "map over");
    must(WHvCancelRunVirtualProcessor(spinning.partition, 0, 0), "cancel");
    JOIN(runner);
    check(spin_exit == WHvRunVpExitReasonCanceled, "mapped over under a running processor, 500 times (0x%x)", spin_exit);
    end(&spinning);
    free_memory(page, 2 * PAGE_BYTES);
}

static uint8_t *shared_page;
static int worked, wrong;

/*
 * A processor reads two words, writes one that nobody has, and says so through a port; its handler maps the page over, now read-only,
 * now not: from within the exit of one processor while the others run.
 */
static void work(struct machine *m) {
    for (int i = 0; i < 400; i++) {
        run(m);
        unsigned info = m->exit.MemoryAccess.AccessInfo.AsUINT32 & 7;
        uint64_t rip = m->exit.VpContext.Rip;
        if (m->exit.ExitReason == WHvRunVpExitReasonMemoryAccess && info == WRITE_UNMAPPED && m->exit.MemoryAccess.Gpa == THE_END + 4 * m->index) {
            if (get(m, WHvX64RegisterRax) != 0x11111111 && get(m, WHvX64RegisterRax) != 0x22222222) wrong++;
            put(m, WHvX64RegisterRip, rip + 2);
        } else if (m->exit.ExitReason == WHvRunVpExitReasonX64IoPortAccess && m->exit.IoPortAccess.PortNumber == 0x30) {
            put(m, WHvX64RegisterRip, rip + 2);
            must(WHvMapGpaRange(m->partition, shared_page + below(2) * PAGE_BYTES, NOWHERE, PAGE_BYTES, below(2) ? RX : RWX), "map over");
        } else wrong++;
    }
    __atomic_fetch_add(&worked, 1, __ATOMIC_SEQ_CST);
}

static void several_processors(void) {
    enum { COUNT = 3 };
    struct machine all[COUNT];
    thread threads[COUNT];
    uint8_t *ram = memory(RAM);
    WHV_PARTITION_HANDLE p = new_partition(COUNT);
    random_state = 5;
    doing = work;
    shared_page = memory(2 * PAGE_BYTES);
    memset(shared_page, 0x11, PAGE_BYTES);
    memset(shared_page + PAGE_BYTES, 0x22, PAGE_BYTES);
    must(WHvMapGpaRange(p, ram, 0, RAM, RWX), "map");
    must(WHvMapGpaRange(p, shared_page, NOWHERE, PAGE_BYTES, RWX), "map");
    for (int i = 0; i < COUNT; i++) {
        all[i] = (struct machine){.partition = p, .index = i, .ram = ram};
        must(WHvCreateVirtualProcessor(p, i, 0), "processor");
        LOAD(&all[i], PROTECTED, 0x8b, 0x03, 0x89, 0x01, 0xe6, 0x30, 0xeb, 0xf8); /* eax = [ebx]; [ecx] = eax; out 0x30, al; again */
        put(&all[i], WHvX64RegisterRbx, NOWHERE + 8 * i);
        put(&all[i], WHvX64RegisterRcx, THE_END + 4 * i);
    }
    for (int i = 0; i < COUNT; i++) START(threads[i], &all[i]);
    for (int i = 0; i < COUNT; i++) JOIN(threads[i]);
    check(worked == COUNT && !wrong, "%d processors whose handlers map over what the others read (%d wrong)", COUNT, wrong);
    must(WHvDeletePartition(p), "delete");
    free_memory(ram, RAM);
    free_memory(shared_page, 2 * PAGE_BYTES);
}

/* Several processors change the same word of a page that is not there, or read-only, and each maps it when its access exits. */
static void meet(struct machine *m) {
    do {
        run(m);
        if (m->exit.ExitReason == WHvRunVpExitReasonMemoryAccess && m->exit.MemoryAccess.Gpa == NOWHERE)
            must(WHvMapGpaRange(m->partition, shared_page, NOWHERE, PAGE_BYTES, RWX), "map");
        else break;
    } while (1);
    if (m->exit.ExitReason != WHvRunVpExitReasonMemoryAccess || m->exit.MemoryAccess.Gpa != THE_END) wrong++;
    __atomic_fetch_add(&worked, 1, __ATOMIC_SEQ_CST);
}

static void meetings(void) {
    enum { COUNT = 3, ROUNDS = 120 };
    int good = 0;
    shared_page = memory(PAGE_BYTES);
    wrong = 0;
    doing = meet;
    for (int mode = LONG_MODE; mode <= LONG_MODE_USER; mode++)
        for (int round = 0; round < ROUNDS / 2; round++) {
            struct machine all[COUNT];
            thread threads[COUNT];
            WHV_PARTITION_HANDLE p = new_partition(COUNT);
            uint8_t *ram = memory(RAM);
            must(WHvMapGpaRange(p, ram, 0, RAM, RWX), "map");
            *(uint32_t *)shared_page = 0;
            if (round % 2) must(WHvMapGpaRange(p, shared_page, NOWHERE, PAGE_BYTES, RX), "map read-only");
            for (int i = 0; i < COUNT; i++) {
                all[i] = (struct machine){.partition = p, .index = i, .ram = ram};
                must(WHvCreateVirtualProcessor(p, i, 0), "processor");
                LOAD(&all[i], mode, 0xf0, 0xff, 0x03, 0x89, 0x01); /* lock inc dword [rbx]; mov [rcx], eax */
                put(&all[i], WHvX64RegisterRbx, NOWHERE);
                put(&all[i], WHvX64RegisterRcx, THE_END);
            }
            for (int i = 0; i < COUNT; i++) START(threads[i], &all[i]);
            for (int i = 0; i < COUNT; i++) JOIN(threads[i]);
            good += *(uint32_t *)shared_page == COUNT;
            must(WHvDeletePartition(p), "delete");
            free_memory(ram, RAM);
        }
    check(good == ROUNDS && !wrong, "%d of %d times a page that several processors map on demand has all their changes", good, ROUNDS);
    free_memory(shared_page, PAGE_BYTES);
}

static void registers(void) {
    struct machine m = new_machine();
    static const WHV_REGISTER_NAME names[] = {WHvX64RegisterRax, WHvX64RegisterR15, WHvX64RegisterDr0, WHvX64RegisterDr3,
        WHvX64RegisterKernelGsBase, WHvX64RegisterPat, WHvX64RegisterSysenterCs, WHvX64RegisterSysenterEip, WHvX64RegisterStar,
        WHvX64RegisterLstar, WHvX64RegisterSfmask, WHvX64RegisterCr2, WHvX64RegisterCr8, WHvX64RegisterTscAux,
        WHvX64RegisterMsrMtrrDefType, WHvX64RegisterMsrMtrrFix4kC0000, WHvRegisterInterruptState, WHvX64RegisterXCr0};
    static const uint64_t values[] = {0x123456789abcdef0, ~0ull, 0x1000, 0x2000, 0xffff800000001000, 0x0007040600070406, 0x10,
        0x1234, 0x0023001000000000, 0x5678, 0x200, 0xdead000, 5, 3, 0xc06, 0x0606060606060606, 0, 7};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        put(&m, names[i], values[i]);
        check(get(&m, names[i]) == values[i], "register 0x%x keeps 0x%llx (0x%llx)", (unsigned)names[i], (unsigned long long)values[i],
            (unsigned long long)get(&m, names[i]));
    }
    WHV_REGISTER_NAME four[] = {WHvX64RegisterXmm0, WHvX64RegisterXmm15, WHvX64RegisterFpMmx0, WHvX64RegisterGdtr};
    WHV_REGISTER_VALUE in[4], out[4];
    memset(in, 0, sizeof in);
    for (int i = 0; i < 3; i++) memset(&in[i], 0x31 + i, i == 2 ? 10 : 16);
    in[3].Table.Base = 0x123000;
    in[3].Table.Limit = 0x7f;
    must(WHvSetVirtualProcessorRegisters(m.partition, 0, four, 4, in), "set");
    must(WHvGetVirtualProcessorRegisters(m.partition, 0, four, 4, out), "get");
    check(!memcmp(in, out, sizeof in), "XMM, x87 and table registers");
    put_segment(&m, WHvX64RegisterFs, 0x12340, 0xfffff, 0x1234, 0x0093);
    WHV_REGISTER_NAME fs = WHvX64RegisterFs;
    must(WHvGetVirtualProcessorRegisters(m.partition, 0, &fs, 1, out), "get");
    check(out[0].Segment.Base == 0x12340 && out[0].Segment.Limit == 0xfffff && out[0].Segment.Selector == 0x1234 && out[0].Segment.Attributes == 0x93, "segment register");
    WHV_REGISTER_NAME bad[] = {WHvX64RegisterRax, (WHV_REGISTER_NAME)0x7777};
    memset(in, 0, sizeof in);
    check(WHvSetVirtualProcessorRegisters(m.partition, 0, bad, 2, in) == (HRESULT)0x80370309 && get(&m, WHvX64RegisterRax) == values[0],
        "an unknown name is refused, and nothing set");

    static uint8_t xsave[16384], again[16384];
    UINT32 size = 0, size2 = 0;
    HRESULT result = WHvGetVirtualProcessorXsaveState(m.partition, 0, xsave, 16, &size);
    check(result == (HRESULT)0x80370301 && size >= 576, "XSAVE tells its size: %u", size);
    must(WHvGetVirtualProcessorXsaveState(m.partition, 0, xsave, sizeof xsave, &size), "get XSAVE");
    check(xsave[160] == 0x31 && xsave[160 + 240] == 0x32, "XSAVE has the XMM registers");
    for (int i = 160; i < 416; i++) xsave[i] = i;
    must(WHvSetVirtualProcessorXsaveState(m.partition, 0, xsave, size), "set XSAVE");
    must(WHvGetVirtualProcessorXsaveState(m.partition, 0, again, sizeof again, &size2), "get XSAVE");
    check(size == size2 && !memcmp(xsave, again, 416), "XSAVE goes around");
    end(&m);
}

static void interrupts(void) {
    struct machine m = new_machine();
    LOAD(&m, REAL, 0x90, 0xf4, 0x90, 0xf4);
    m.ram[0x30 * 4 + 1] = 0x90; /* vector 0x30 at 0:0x9000 */
    m.ram[0x30 * 4] = m.ram[0x30 * 4 + 2] = m.ram[0x30 * 4 + 3] = 0;
    memcpy(m.ram + 0x9000, "\xe6\x55\xcf", 3); /* out 0x55, al; iret */
    put(&m, WHvRegisterPendingInterruption, 1 | 0x30 << 16);
    check(get(&m, WHvRegisterPendingInterruption) == (1 | 0x30 << 16), "a pending interruption is kept");
    int good = run(&m) == WHvRunVpExitReasonX64IoPortAccess && m.exit.VpContext.Rip == 0x9000 && !get(&m, WHvRegisterPendingInterruption);
    check(good, "and delivered (0x%x at 0x%llx)", m.exit.ExitReason, (unsigned long long)m.exit.VpContext.Rip);
    put(&m, WHvX64RegisterRip, 0x9002);
    check(run(&m) == WHvRunVpExitReasonX64Halt && get(&m, WHvX64RegisterRip) == CODE + 2, "and returned from");
    put(&m, WHvX64RegisterDeliverabilityNotifications, 2);
    LOAD(&m, REAL, 0x90, 0xfb, 0x90, 0x90, 0xf4); /* sti */
    put(&m, WHvX64RegisterDeliverabilityNotifications, 2);
    check(run(&m) == WHvRunVpExitReasonX64InterruptWindow, "an interrupt window exits when interrupts are enabled (0x%x)", m.exit.ExitReason);
    LOAD(&m, REAL, 0x90, 0xf4, 0xfb, 0x90, 0x90, 0xf4);
    put(&m, WHvRegisterPendingEvent, 1 | 5 << 1 | 0x30 << 8);
    check(run(&m) == WHvRunVpExitReasonX64Halt && get(&m, WHvX64RegisterRip) == CODE + 2, "a pending event waits while interrupts are disabled");
    check(run(&m) == WHvRunVpExitReasonX64IoPortAccess && m.exit.VpContext.Rip == 0x9000, "and comes when they are enabled");
    end(&m);
}

static void results(void) {
    WHV_PARTITION_HANDLE p;
    WHV_CAPABILITY capability;
    UINT32 written = 0;
    uint8_t *page = memory(4 * PAGE_BYTES);
    check(WHvGetCapability((WHV_CAPABILITY_CODE)0x7777, &capability, sizeof capability, &written) == (HRESULT)0x80370300, "unknown capability");
    check(WHvGetCapability(WHvCapabilityCodeFeatures, &capability, 4, &written) == (HRESULT)0x80370301 && written == 8, "insufficient buffer");
    must(WHvCreatePartition(&p), "create");
    check(WHvSetupPartition(p) == (HRESULT)0x80370304, "set up without a processor count: invalid configuration");
    check(WHvSetPartitionProperty(p, (WHV_PARTITION_PROPERTY_CODE)0x7777, &capability, 8) == (HRESULT)0x80370302, "unknown property");
    must(WHvDeletePartition(p), "delete");
    check(WHvUnmapGpaRange(p, 0, PAGE_BYTES) == (HRESULT)0x80070006, "a deleted partition: bad handle");
    p = new_partition(2);
    check(WHvUnmapGpaRange(p, 0, PAGE_BYTES) == (HRESULT)0x80370305, "unmapping nothing: range not found");
    check(WHvMapGpaRange(p, page, 1, PAGE_BYTES, RWX) == (HRESULT)0x80070057, "unaligned address: bad argument");
    check(WHvMapGpaRange(p, page, 0, 0, RWX) == (HRESULT)0x80070057, "no length: bad argument");
    check(WHvMapGpaRange(p, page, 1ull << 52, PAGE_BYTES, RWX) == (HRESULT)0x80070057, "beyond the address width: bad argument");
    check(WHvMapGpaRange(p, page, 0, 4 * PAGE_BYTES, RWX) == 0 && WHvUnmapGpaRange(p, PAGE_BYTES, PAGE_BYTES) == 0, "unmapping a part");
    check(WHvUnmapGpaRange(p, 0, 4 * PAGE_BYTES) == (HRESULT)0x80370305, "the whole is no longer there");
    check(WHvUnmapGpaRange(p, 0, PAGE_BYTES) == 0 && WHvUnmapGpaRange(p, 2 * PAGE_BYTES, 2 * PAGE_BYTES) == 0, "the rest is");
    must(WHvCreateVirtualProcessor(p, 0, 0), "processor");
    check(WHvCreateVirtualProcessor(p, 0, 0) == (HRESULT)0x80370306, "processor exists");
    check(WHvCreateVirtualProcessor(p, 2, 0) == (HRESULT)0x80070057, "processor index beyond the count: bad argument");
    check(WHvDeleteVirtualProcessor(p, 1) == (HRESULT)0x80370307, "processor does not exist");
    check(WHvDeleteVirtualProcessor(p, 0) == 0 && WHvCreateVirtualProcessor(p, 0, 0) == 0, "processor deleted and made again");
    must(WHvDeletePartition(p), "delete");
    free_memory(page, 4 * PAGE_BYTES);
}

static void translation(void) {
    struct machine m = new_machine();
    WHV_TRANSLATE_GVA_RESULT result;
    WHV_GUEST_PHYSICAL_ADDRESS gpa;
    LOAD(&m, LONG_MODE, 0xf4);
    must(WHvTranslateGva(m.partition, 0, 0x123456, WHvTranslateGvaFlagValidateRead, &result, &gpa), "translate");
    check(result.ResultCode == WHvTranslateGvaResultSuccess && gpa == 0x123000, "translated by large pages");
    must(WHvTranslateGva(m.partition, 0, 0x8000000000, WHvTranslateGvaFlagValidateRead, &result, &gpa), "translate");
    check(result.ResultCode == WHvTranslateGvaResultPageNotPresent, "page not present");
    must(WHvTranslateGva(m.partition, 0, NOWHERE, WHvTranslateGvaFlagValidateRead, &result, &gpa), "translate");
    check(result.ResultCode == WHvTranslateGvaResultGpaUnmapped, "nothing behind the page");
    end(&m);
}

#ifdef _WIN32
static void forbid(void *at, int forbidden) {
    DWORD old;
    VirtualProtect(at, PAGE_BYTES, forbidden ? PAGE_NOACCESS : PAGE_READWRITE, &old);
}
#else
static void forbid(void *at, int forbidden) {
    mprotect(at, PAGE_BYTES, forbidden ? PROT_NONE : PROT_READ | PROT_WRITE);
}
#endif

/* The host takes the memory behind a mapping away. */
static void missing_memory(void) {
    for (int mode = LONG_MODE; mode <= LONG_MODE_USER; mode++) {
        struct machine m = new_machine();
        LOAD(&m, mode, 0x90, 0x8b, 0x03, 0x89, 0x03, 0xf4); /* mov eax, [rbx]; mov [rbx], eax */
        put(&m, WHvX64RegisterRbx, 0x100004);
        *(uint32_t *)(m.ram + 0x100004) = 42;
        forbid(m.ram + 0x100000, 1);
        run(&m);
        check(is_memory(&m, READ_MAPPED, 0x100004, CODE + 1), "%s: memory that the host took away exits as mapped", mode == LONG_MODE ? "long" : "long, CPL3");
        forbid(m.ram + 0x100000, 0);
        run(&m);
        check(get(&m, WHvX64RegisterRax) == 42 && get(&m, WHvX64RegisterRip) >= CODE + 5, "%s: and it goes on when it is back", mode == LONG_MODE ? "long" : "long, CPL3");
        end(&m);
    }
}

static void pins(void) {
    struct machine m = new_machine();
    WHV_MEMORY_RANGE_ENTRY entry = {0x10000, 0x4000}, nothing = {NOWHERE, 0x1000};
    check(WHvAdviseGpaRange(m.partition, &entry, 1, WHvAdviseGpaRangeCodePin, NULL, 0) == 0, "pinned");
    check(WHvAdviseGpaRange(m.partition, &nothing, 1, WHvAdviseGpaRangeCodePin, NULL, 0) == (HRESULT)0x80370305, "pinning nothing: range not found");
    if (count) check(count("pinned.pages") == 4, "pages are counted");
    must(WHvUnmapGpaRange(m.partition, 0x11000, 0x1000), "unmap");
    entry.SizeInBytes = 0x1000;
    must(WHvAdviseGpaRange(m.partition, &entry, 1, WHvAdviseGpaRangeCodeUnpin, NULL, 0), "unpin");
    if (count) check(count("pinned.pages") == 2, "and no longer when unpinned or unmapped");
    end(&m);
    if (count) check(count("pinned.pages") == 0, "or deleted");
}

/*
 * Random instructions, once with all memory there, and once with a page made available only when an access to it exits: both must come
 * to the same registers and memory.
 */
enum { WINDOW_PAGES = 8, WINDOW = WINDOW_PAGES * PAGE_BYTES, STEPS = 40, MOST_CODE = 2048 };
#define WINDOW_AT NOWHERE

struct program {
    uint8_t code[MOST_CODE];
    int length, bits;
};

static void emit(struct program *p, uint64_t bytes, int count) {
    memcpy(p->code + p->length, &bytes, count);
    p->length += count;
}

/* A register other than RBX, which holds the window's address, and RSP. */
static int some_register(const struct program *p) {
    static const int free_ones[] = {0, 1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return free_ones[below(p->bits == 64 ? 14 : 6)];
}

/* Prefixes, opcode and a ModRM for [rbx+disp32] or [ebx+disp32]. */
static void with_operand(struct program *p, int prefix, int size, int escape, int opcode, int reg, unsigned offset) {
    if (prefix) emit(p, prefix, 1);
    if (size == 2) emit(p, 0x66, 1);
    if (p->bits == 64) emit(p, 0x40 | (size == 8) << 3 | (reg >> 3) << 2, 1);
    if (escape) emit(p, 0x0f, 1);
    emit(p, opcode, 1);
    emit(p, 0x83 | (reg & 7) << 3, 1);
    emit(p, offset, 4);
}

static void load_address(struct program *p, int reg, unsigned offset) {
    if (p->bits == 64) emit(p, 0x48, 1);
    emit(p, 0xb8 | reg, 1);
    emit(p, WINDOW_AT + offset, p->bits / 8);
}

static struct program random_program(int bits) {
    struct program p = {.length = 0, .bits = bits};
    for (int i = 0; i < STEPS; i++) {
        int size = 1 << below(bits == 64 ? 4 : 3), wide = size > 1, reg = some_register(&p), immediate = size == 8 ? 4 : size;
        if (bits == 32 && size == 1) reg = (int[]){0, 1, 2, 4, 5, 6}[below(6)]; /* without BL and BH */
        unsigned offset = below(WINDOW - 64), whole = offset & ~(size - 1u);
        switch (below(17)) {
            case 0: case 1: with_operand(&p, 0, size, 0, 0x88 | wide, reg, offset); break;
            case 2: case 3: with_operand(&p, 0, size, 0, 0x8a | wide, reg, offset); break;
            case 4: with_operand(&p, 0, size, 0, 0xc6 | wide, 0, offset); emit(&p, random_bits(), immediate); break;
            case 5: case 6: with_operand(&p, 0, size, 0, below(8) << 3 | wide, reg, whole); break;
            case 7: with_operand(&p, 0, size, 0, below(8) << 3 | 2 | wide, reg, offset); break;
            case 8: with_operand(&p, 0, size, 0, 0x80 | wide, below(8), whole); emit(&p, random_bits(), immediate); break;
            case 9: with_operand(&p, 0, size, 0, 0xfe | wide, below(2), whole); break;
            case 10: with_operand(&p, 0, size, 0, 0xf6 | wide, 2 + below(2), whole); break;
            case 11: with_operand(&p, 0, size, 0, 0x86 | wide, reg, whole); break;
            case 12: with_operand(&p, 0xf0, size, 1, 0xc0 | wide, reg, whole); break;
            case 13: with_operand(&p, below(2) ? 0xf0 : 0, size, 1, 0xb0 | wide, reg, whole); break;
            case 14: with_operand(&p, 0, 1, 1, 0x90 | below(16), 0, offset); break;
            case 15: { /* a string instruction of a few items, forward or backward */
                static const int operations[] = {0xa4, 0xaa, 0xac};
                int operation = operations[below(3)] | wide, backward = below(4) == 0;
                load_address(&p, 6, 64 + below(WINDOW - 256));
                load_address(&p, 7, 64 + below(WINDOW - 256));
                emit(&p, 0xb9, 1); /* mov ecx */
                emit(&p, 1 + below(5), 4);
                if (backward) emit(&p, 0xfd, 1);
                if (below(3)) emit(&p, 0xf3, 1);
                if (size == 2) emit(&p, 0x66, 1);
                if (size == 8) emit(&p, 0x48, 1);
                emit(&p, operation, 1);
                if (backward) emit(&p, 0xfc, 1);
                break;
            }
            default: /* a stack in the window */
                load_address(&p, 4, 64 + below(WINDOW - 256));
                emit(&p, 0x50 | below(8), 1);
                with_operand(&p, 0, 4, 0, 0xff, 6, offset); /* push [rbx+offset] */
                with_operand(&p, 0, 4, 0, 0x8f, 0, below(WINDOW - 64)); /* pop [rbx+offset] */
                emit(&p, 0x5d, 1);
        }
    }
    emit(&p, 0xa2, 1); /* mov [end], al */
    emit(&p, THE_END, bits / 8);
    return p;
}

/* Runs the program to its end; returns how often it exited, or -1. pages: 0 for all there, 1 for none, 2 for read-only ones. */
static int run_random(const struct program *p, enum mode mode, int pages, uint8_t *window, uint64_t *registers, uint64_t seed) {
    struct machine m = new_machine();
    load(&m, mode, p->code, p->length);
    random_state = seed;
    for (int i = 0; i < WINDOW / 8; i++) ((uint64_t *)window)[i] = random_bits();
    for (int i = 0; i < 16; i++) put(&m, WHvX64RegisterRax + i, random_bits() & (p->bits == 64 ? ~0ull : i < 8 ? 0xffffffff : 0));
    put(&m, WHvX64RegisterRbx, WINDOW_AT);
    put(&m, WHvX64RegisterRsp, WINDOW_AT + 128);
    if (pages != 1) must(WHvMapGpaRange(m.partition, window, WINDOW_AT, WINDOW, pages ? RX : RWX), "map");
    int exits = 0;
    for (; exits < 10000; exits++) {
        run(&m);
        uint64_t gpa = m.exit.MemoryAccess.Gpa;
        unsigned info = m.exit.MemoryAccess.AccessInfo.AsUINT32 & 7;
        if (m.exit.ExitReason != WHvRunVpExitReasonMemoryAccess) {
            printf("  exit 0x%x at 0x%llx: ", m.exit.ExitReason, (unsigned long long)m.exit.VpContext.Rip);
            for (int i = 0; i < 12; i++) printf("%02x ", p->code[m.exit.VpContext.Rip - CODE + i]);
            printf("\n");
            exits = -1;
            break;
        }
        if (gpa == THE_END) break;
        if (gpa < WINDOW_AT || gpa >= WINDOW_AT + WINDOW || (pages == 2 && info != WRITE_MAPPED)) {
            printf("  gpa 0x%llx info %u at 0x%llx\n", (unsigned long long)gpa, info, (unsigned long long)m.exit.VpContext.Rip);
            exits = -1;
            break;
        }
        gpa &= ~(PAGE_BYTES - 1ull);
        must(WHvMapGpaRange(m.partition, window + (gpa - WINDOW_AT), gpa, PAGE_BYTES, RWX), "map a page");
    }
    for (int i = 0; i < 18; i++) registers[i] = get(&m, WHvX64RegisterRax + i);
    end(&m);
    return exits;
}

static void random_instructions(void) {
    static uint8_t *windows[3];
    uint64_t registers[3][18], seed = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 0) : 0x9e3779b97f4a7c15;
    int rounds = getenv("ROUNDS") ? atoi(getenv("ROUNDS")) : 60;
    for (int i = 0; i < 3; i++) windows[i] = memory(WINDOW);
    for (int mode = PROTECTED; mode <= LONG_MODE_USER; mode++) {
        int good = 0, total = 0;
        for (int round = 0; round < rounds; round++) {
            random_state = seed + round;
            for (int i = 0; i < 8; i++) random_bits();
            struct program p = random_program(mode == PROTECTED ? 32 : 64);
            int same = 1;
            for (int pages = 0; pages < 3; pages++) {
                int exits = run_random(&p, mode, pages, windows[pages], registers[pages], seed + round);
                if (exits < 0) same = 0;
                else total += exits;
                if (!pages) continue;
                for (int i = 0; i < 18; i++)
                    if (registers[0][i] != registers[pages][i]) {
                        printf("  register 0x%x: 0x%llx instead of 0x%llx\n", i, (unsigned long long)registers[pages][i], (unsigned long long)registers[0][i]);
                        same = 0;
                    }
                if (memcmp(windows[0], windows[pages], WINDOW)) {
                    printf("  memory\n");
                    same = 0;
                }
            }
            if (!same) printf("  with SEED=0x%llx\n", (unsigned long long)(seed + round));
            good += same;
        }
        check(good == rounds, "%d of %d random programs end the same when pages come on demand, %s, %d exits", good, rounds,
            mode == PROTECTED ? "protected" : mode == LONG_MODE ? "long" : "long, CPL3", total);
    }
    for (int i = 0; i < 3; i++) free_memory(windows[i], WINDOW);
}

/* ---- the shim's switches ---- */

static int maps_over(void) {
    WHV_PARTITION_HANDLE p = new_partition(1);
    uint8_t *page = memory(4 * PAGE_BYTES);
    must(WHvMapGpaRange(p, page, 0, 4 * PAGE_BYTES, RWX), "map");
    HRESULT result = WHvMapGpaRange(p, page, PAGE_BYTES, PAGE_BYTES, RX);
    must(WHvDeletePartition(p), "delete");
    free_memory(page, 4 * PAGE_BYTES);
    return result == 0;
}

static void modes(void) {
    WHV_CAPABILITY capability;
    UINT32 written;
    check(maps_over(), "overlap=1: mapping over");
    set("overlap", 0);
    check(!maps_over(), "overlap=0: refused");
    set("overlap", 1);

    set("partial.unmap", 0);
    struct machine m = new_machine();
    WHvGetCapability(WHvCapabilityCodeFeatures, &capability, sizeof capability, &written);
    check(!(capability.Features.AsUINT64 & 1) && WHvUnmapGpaRange(m.partition, 0, PAGE_BYTES) == (HRESULT)0x80370305
            && WHvUnmapGpaRange(m.partition, 0, RAM) == 0, "partial.unmap=0: only the whole");
    set("partial.unmap", 1);
    end(&m);

    set("one.mapped.partition", 1);
    m = new_machine();
    WHV_PARTITION_HANDLE second = new_partition(1);
    check(WHvMapGpaRange(second, m.ram, 0, RAM, RWX) == (HRESULT)0xc0370008, "one.mapped.partition=1: the second is refused");
    end(&m);
    m.ram = memory(RAM);
    check(WHvMapGpaRange(second, m.ram, 0, RAM, RWX) == 0, "and has its place when the first is gone");
    WHvDeletePartition(second);
    free_memory(m.ram, RAM);
    set("one.mapped.partition", 0);

    set("lazy", 1);
    m = new_machine();
    LOAD(&m, PROTECTED, 0xb8, 0x00, 0x00, 0x18, 0x00, 0xff, 0xe0); /* jmp eax to 1.5 MiB */
    run(&m);
    check(is_memory(&m, 2, 0x180000, 0x180000), "lazy=1: running into a page that nobody touched exits as mapped");
    m.ram[0x180000] = 0xf4;
    check(run(&m) == WHvRunVpExitReasonX64Halt, "and no longer when the host touched it");
    LOAD(&m, PROTECTED, 0xa1, 0x00, 0x00, 0x10, 0x00, 0xa3, 0x00, 0x10, 0x10, 0x00, 0xf4); /* eax = [1 MiB]; [1 MiB + 4 KiB] = eax */
    run(&m);
    check(is_memory(&m, READ_MAPPED, 0x100000, CODE), "lazy=1: a page that nobody touched exits as mapped");
    m.ram[0x100000] = 77;
    run(&m);
    check(is_memory(&m, WRITE_MAPPED, 0x101000, CODE + 5) && get(&m, WHvX64RegisterRax) == 77, "one that the host touched does not");
    WHV_MEMORY_RANGE_ENTRY entry = {0x100000, 0x100000};
    WHV_ADVISE_GPA_RANGE_POPULATE populate;
    memset(&populate, 0, sizeof populate);
    must(WHvAdviseGpaRange(m.partition, &entry, 1, WHvAdviseGpaRangeCodePopulate, &populate, sizeof populate), "populate");
    check(run(&m) == WHvRunVpExitReasonX64Halt && m.ram[0x101000] == 77, "nor one that is populated");
    end(&m);
    set("lazy", 0);

    set("address.width", 36);
    m = new_machine();
    WHvGetCapability((WHV_CAPABILITY_CODE)0x100a, &capability, sizeof capability, &written);
    check(*(UINT32 *)&capability == 36 && WHvMapGpaRange(m.partition, m.ram, 1ull << 36, PAGE_BYTES, RWX) == (HRESULT)0x80070057
            && WHvMapGpaRange(m.partition, m.ram, (1ull << 36) - PAGE_BYTES, PAGE_BYTES, RWX) == 0, "address.width=36");
    end(&m);
    set("address.width", 0);

    set("dirty.tracking", 0);
    m = new_machine();
    WHvGetCapability(WHvCapabilityCodeFeatures, &capability, sizeof capability, &written);
    check(!(capability.Features.AsUINT64 & 8) && WHvMapGpaRange(m.partition, m.ram, NOWHERE, PAGE_BYTES, RWX | WHvMapGpaRangeFlagTrackDirtyPages)
            == (HRESULT)0x80070057, "dirty.tracking=0");
    end(&m);
    set("dirty.tracking", 1);

    set("exact.rip", 0);
    m = new_machine();
    LOAD(&m, REAL, 0xe6, 0x10, 0xf4);
    check(run(&m) == WHvRunVpExitReasonX64IoPortAccess && m.exit.VpContext.Rip == CODE + 2, "exact.rip=0: RIP is after the instruction");
    check(run(&m) == WHvRunVpExitReasonX64Halt, "and goes on from there");
    end(&m);
    set("exact.rip", 1);

    m = new_machine();
    static uint8_t standard[16384], compacted[16384], again[16384];
    UINT32 size, compacted_size;
    must(WHvGetVirtualProcessorXsaveState(m.partition, 0, standard, sizeof standard, &size), "get XSAVE");
    for (int i = 160; i < 416; i++) standard[i] = i;
    for (int i = 576; i < 832; i++) standard[i] = 3 * i; /* the upper halves of the YMM registers, where there are any */
    standard[512] |= size >= 832 ? 7 : 3;
    must(WHvSetVirtualProcessorXsaveState(m.partition, 0, standard, size), "set XSAVE");
    set("xsave.compacted", 1);
    must(WHvGetVirtualProcessorXsaveState(m.partition, 0, compacted, sizeof compacted, &compacted_size), "get XSAVE");
    check(compacted[527] & 0x80 && compacted_size <= size && !memcmp(compacted + 160, standard + 160, 256), "xsave.compacted=1: %u bytes for %u", compacted_size, size);
    check(WHvSetVirtualProcessorXsaveState(m.partition, 0, standard, size) == (HRESULT)0x80070057, "the standard form is refused");
    end(&m);
    m = new_machine();
    must(WHvSetVirtualProcessorXsaveState(m.partition, 0, compacted, compacted_size), "set XSAVE");
    set("xsave.compacted", 0);
    must(WHvGetVirtualProcessorXsaveState(m.partition, 0, again, sizeof again, &size), "get XSAVE");
    check(!memcmp(again + 32, standard + 32, size - 32), "and the compacted one goes around");
    end(&m);

    set("hypervisor.present", 0);
    WHV_PARTITION_HANDLE p;
    check(WHvGetCapability(WHvCapabilityCodeHypervisorPresent, &capability, sizeof capability, &written) == 0 && !capability.HypervisorPresent
            && WHvCreatePartition(&p) != 0, "hypervisor.present=0");
    set("hypervisor.present", 1);

    m = new_machine();
    set("lazy", 1);
    fail("WHvMapGpaRange", 1, (HRESULT)0x8007000e);
    set("*", 0);
    check(count("lazy") == 0 && WHvMapGpaRange(m.partition, m.ram, NOWHERE, PAGE_BYTES, RWX) == 0
            && WHvUnmapGpaRange(m.partition, NOWHERE, PAGE_BYTES) == 0, "all switches and faults are put back");
    fail("WHvMapGpaRange", 2, (HRESULT)0x8007000e);
    check(WHvMapGpaRange(m.partition, m.ram, NOWHERE, PAGE_BYTES, RWX) == 0
            && WHvMapGpaRange(m.partition, m.ram, NOWHERE, PAGE_BYTES, RWX) == (HRESULT)0x8007000e
            && WHvMapGpaRange(m.partition, m.ram, NOWHERE, PAGE_BYTES, RWX) == 0, "the second call fails when told to");
    check(count("mappings") == 2 && count("partitions") == 1 && count("processors") == 1, "what is open is counted");
    end(&m);
}

#ifdef _WIN32
typedef LONG (WINAPI *map_view)(HANDLE, HANDLE, void **, ULONG_PTR, SIZE_T, LARGE_INTEGER *, SIZE_T *, ULONG, ULONG, ULONG);

/* A suspended process of this very program, with a section mapped into it. */
static void remote(void) {
    char name[MAX_PATH];
    STARTUPINFOA start;
    PROCESS_INFORMATION child;
    map_view map = (map_view)(void *)GetProcAddress(GetModuleHandleA("ntdll.dll"), "NtMapViewOfSection");
    memset(&start, 0, sizeof start);
    start.cb = sizeof start;
    GetModuleFileNameA(NULL, name, sizeof name);
    if (!CreateProcessA(name, NULL, NULL, NULL, FALSE, CREATE_SUSPENDED, NULL, NULL, &start, &child)) must(-1, "CreateProcess");
    HANDLE section = CreateFileMappingA(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE, 0, RAM + 0x10000, NULL);
    void *there = NULL, *own = NULL;
    LARGE_INTEGER offset;
    SIZE_T size = RAM;
    offset.QuadPart = 0x10000;
    must(map(section, child.hProcess, &there, 0, 0, &offset, &size, 2, 0, PAGE_READWRITE), "map into the process");
    own = VirtualAllocEx(child.hProcess, NULL, PAGE_BYTES, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
    uint8_t *here = MapViewOfFile(section, FILE_MAP_ALL_ACCESS, 0, 0x10000, RAM);
    struct machine m = {.partition = new_partition(1), .ram = here};
    check(WHvMapGpaRange2(m.partition, child.hProcess, there, 0, RAM, RWX) == 0, "memory of another process is mapped");
    must(WHvCreateVirtualProcessor(m.partition, 0, 0), "processor");
    LOAD(&m, REAL, 0xc6, 0x06, 0x00, 0x90, 0x42, 0xf4);
    check(run(&m) == WHvRunVpExitReasonX64Halt && here[0x9000] == 0x42, "and is the same memory");
    check(WHvMapGpaRange2(m.partition, GetCurrentProcess(), here, NOWHERE, RAM, RWX) == 0, "this process by its handle");
    if (set) {
        check(WHvMapGpaRange2(m.partition, child.hProcess, own, NOWHERE * 2, PAGE_BYTES, RWX) == (HRESULT)0x80070057, "private memory is refused");
        set("one.mapped.partition", 1);
        WHV_PARTITION_HANDLE one = new_partition(1), two = new_partition(1);
        check(WHvMapGpaRange(one, here, 0, RAM, RWX) == 0 && WHvMapGpaRange(two, here, 0, RAM, RWX) == (HRESULT)0xc0370008
                && WHvMapGpaRange2(two, child.hProcess, there, 0, RAM, RWX) == 0, "a second partition has its place in another process");
        set("one.mapped.partition", 0);
        must(WHvDeletePartition(one), "delete");
        must(WHvDeletePartition(two), "delete");
    }
    TerminateProcess(child.hProcess, 0);
    CloseHandle(child.hProcess);
    CloseHandle(child.hThread);
    must(WHvDeletePartition(m.partition), "delete");
    UnmapViewOfFile(here);
    CloseHandle(section);
    if (count) check(count("views") == 0, "nothing of it is left mapped");
}
#else
/* Another process on Linux: its number stands for the handle. */
static void remote(void) {
    int pipes[2];
    if (pipe(pipes) < 0) return;
    int fd = memfd_create("remote", 0);
    if (fd < 0 || ftruncate(fd, RAM + 0x10000) < 0) return;
    pid_t child = fork();
    if (child == 0) {
        uint8_t *at = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0x10000), byte;
        void *private = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        void *addresses[] = {at, private};
        if (write(pipes[1], addresses, sizeof addresses) < 0 || read(fd, &byte, 1) < 0) _exit(1);
        for (;;) sleep(1);
    }
    void *addresses[2];
    if (read(pipes[0], addresses, sizeof addresses) != sizeof addresses) return;
    uint8_t *here = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0x10000);
    struct machine m = {.partition = new_partition(1), .ram = here};
    HANDLE process = (HANDLE)(intptr_t)child;
    check(WHvMapGpaRange2(m.partition, process, addresses[0], 0, RAM, RWX) == 0, "memory of another process is mapped");
    must(WHvCreateVirtualProcessor(m.partition, 0, 0), "processor");
    LOAD(&m, REAL, 0xc6, 0x06, 0x00, 0x90, 0x42, 0xf4);
    check(run(&m) == WHvRunVpExitReasonX64Halt && here[0x9000] == 0x42, "and is the same memory");
    check(WHvMapGpaRange2(m.partition, process, addresses[1], NOWHERE, PAGE_BYTES, RWX) == (HRESULT)0x80070057, "private memory is refused");
    set("one.mapped.partition", 1);
    WHV_PARTITION_HANDLE one = new_partition(1), two = new_partition(1);
    check(WHvMapGpaRange(one, here, 0, RAM, RWX) == 0 && WHvMapGpaRange(two, here, 0, RAM, RWX) == (HRESULT)0xc0370008
            && WHvMapGpaRange2(two, process, addresses[0], 0, RAM, RWX) == 0, "a second partition has its place in another process");
    set("one.mapped.partition", 0);
    must(WHvDeletePartition(one), "delete");
    must(WHvDeletePartition(two), "delete");
    kill(child, 9);
    waitpid(child, NULL, 0);
    end(&m);
    check(count("views") == 0, "nothing of it is left mapped");
    close(fd);
    close(pipes[0]);
    close(pipes[1]);
}
#endif

#ifndef _WIN32
static int descriptors(void) {
    int open = 0;
    for (int i = 0; i < 1024; i++) open += fcntl(i, F_GETFD) >= 0;
    return open;
}
#endif

int main(void) {
    WHV_CAPABILITY capability;
    UINT32 written;
#ifdef _WIN32
    HMODULE library = GetModuleHandleA("WinHvPlatform.dll");
    set = (shim_set)(void *)GetProcAddress(library, "WHvShimSet");
    fail = (shim_fail)(void *)GetProcAddress(library, "WHvShimFail");
    count = (shim_count)(void *)GetProcAddress(library, "WHvShimCount");
#else
    set = WHvShimSet, fail = WHvShimFail, count = WHvShimCount;
#endif
    must(WHvGetCapability(WHvCapabilityCodeHypervisorPresent, &capability, sizeof capability, &written), "WHvGetCapability");
    if (!capability.HypervisorPresent) {
        printf("there is no hypervisor\n");
        return 2;
    }
#ifndef _WIN32
    int open_before = descriptors();
#endif
    results();
    ports();
    memory_exits();
    effects();
    fetches();
    faults();
    dirty_pages();
    cancel();
    replaced_while_running();
    several_processors();
    meetings();
    registers();
    interrupts();
    translation();
    pins();
    missing_memory();
    random_instructions();
    if (set) modes();
    remote();
    if (count) check(count("partitions") == 0 && count("mappings") == 0 && count("processors") == 0 && count("views") == 0, "nothing is left");
#ifndef _WIN32
    check(descriptors() == open_before, "no descriptor is left");
#endif
    return failed;
}
