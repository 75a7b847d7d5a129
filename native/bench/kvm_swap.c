/*
 * What it costs to move a running guest from one KVM virtual machine to another that was prepared while it ran: the bare system calls.
 *
 *   gcc -O2 -Wall -Wextra -pthread -o kvm_swap kvm_swap.c && ./kvm_swap [MOVES [SLOTS]]   (100 moves by default, fewer where there
 *   are thousands of slots; with SLOTS, with that many alone)
 *
 * One row a line, "kvm_swap slots=N moves=N kick_us=.. get_us=.. set_us=.. resume_us=.. standstill_us=.. gap_us=.. prepare_us=.. close_us=..",
 * the medians of the single moves: kick, from the signal until the processor is out of the guest with its last exit completed; get and
 * set, the whole state; resume, from there until the new processor is seen to count; standstill, all of these together; gap, how
 * long the guest itself finds that it did not run, by its time-stamp counter. Prepare and close are before and after, while the guest
 * runs.
 *
 * The guest is 64-bit user code that counts in memory, that of guests/flat/user-gap.s. Its memory is one slot of 2 MiB; the others
 * are 4 KiB each, every second page from 4 GiB on, on a memfd of their own, in both virtual machines. No interrupt controllers.
 *
 * Before each move it runs for a tenth of a second undisturbed. All else would compare caches: moved again at once, it goes on sooner
 * the less there is to prepare.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { UNDISTURBED_US = 100000 };
enum { PAGE = 4096, RAM = 2 << 20, CODE = 0x8000, COUNTER = 0x20000, MOST_SLOTS = 16384, MOST_MSRS = 256, XSAVE_ROOM = 16384 };
#define GIB (1ull << 30)

struct machine {
    int vm, cpu;
    struct kvm_run *run;
};

/* The state of a processor, and of its virtual machine's clock. */
struct state {
    struct kvm_mp_state mp;
    struct kvm_regs regs;
    struct kvm_sregs2 sregs;
    struct kvm_xcrs xcrs;
    struct kvm_vcpu_events events;
    struct kvm_debugregs debug;
    struct kvm_clock_data clock;
    struct { struct kvm_msrs head; struct kvm_msr_entry entries[MOST_MSRS]; } msrs;
    char xsave[XSAVE_ROOM] __attribute__((aligned(64)));
};

static int kvm, run_size, kick_signal, xsave2;
static struct kvm_cpuid2 *cpuid;
static uint32_t msr_numbers[MOST_MSRS];
static int msr_count;
static char *ram, *other_ram;
static struct state state;

static struct machine machines[2];
static atomic_int here, asked, moved, ended;
static double times[4]; /* kicked out, got, set; of the move under way */

static void fail(const char *what) {
    perror(what);
    exit(2);
}

static double microseconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec * 1e-3;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count) {
    qsort(values, count, sizeof *values, by_value);
    return values[count / 2];
}

static int call(int fd, unsigned long request, const char *name, void *argument) {
    int result;
    do result = ioctl(fd, request, argument);
    while (result < 0 && errno == EINTR);
    if (result < 0) fail(name);
    return result;
}
#define CALL(fd, request, argument) call(fd, request, #request, (void *)(uintptr_t)(argument))

static void *map_memfd(size_t size) {
    int memfd = memfd_create("memory", 0);
    if (memfd < 0 || ftruncate(memfd, size) < 0) fail("memfd");
    void *host = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
    if (host == MAP_FAILED) fail("mmap");
    close(memfd);
    return host;
}

static void set_slot(int vm, uint32_t id, uint64_t gpa, uint64_t size, void *host) {
    struct kvm_userspace_memory_region region = {id, 0, gpa, size, (uintptr_t)host};
    CALL(vm, KVM_SET_USER_MEMORY_REGION, &region);
}

static struct machine make(int slots) {
    struct machine m;
    uint64_t identity = 0xfeffc000;
    m.vm = CALL(kvm, KVM_CREATE_VM, 0);
    CALL(m.vm, KVM_SET_IDENTITY_MAP_ADDR, &identity);
    CALL(m.vm, KVM_SET_TSS_ADDR, 0xfeffd000);
    set_slot(m.vm, 0, 0, RAM, ram);
    for (int i = 1; i < slots; i++) set_slot(m.vm, i, 4 * GIB + 2ull * PAGE * i, PAGE, other_ram + (size_t)PAGE * i);
    m.cpu = CALL(m.vm, KVM_CREATE_VCPU, 0);
    CALL(m.cpu, KVM_SET_CPUID2, cpuid);
    m.run = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, m.cpu, 0);
    if (m.run == MAP_FAILED) fail("mmap of kvm_run");
    return m;
}

static void end(struct machine m) {
    munmap(m.run, run_size);
    close(m.cpu);
    close(m.vm);
}

/* Those that a processor lets be read and set, found by doing both. */
static void find_msrs(int cpu) {
    struct { struct kvm_msr_list head; uint32_t numbers[MOST_MSRS]; } list = {.head = {MOST_MSRS - 32}};
    CALL(kvm, KVM_GET_MSR_INDEX_LIST, &list);
    uint32_t *numbers = list.head.indices;
    int count = list.head.nmsrs;
    static const uint32_t mtrr[] = {0x2ff, 0x250, 0x258, 0x259};
    for (int i = 0; i < 4; i++) numbers[count++] = mtrr[i];
    for (uint32_t n = 0x268; n <= 0x26f; n++) numbers[count++] = n;
    for (uint32_t n = 0x200; n <= 0x20f; n++) numbers[count++] = n;
    for (int i = 0; i < count; i++) {
        struct { struct kvm_msrs head; struct kvm_msr_entry entry; } one = {{1, 0}, {numbers[i], 0, 0}};
        if (ioctl(cpu, KVM_GET_MSRS, &one) == 1 && ioctl(cpu, KVM_SET_MSRS, &one) == 1) msr_numbers[msr_count++] = numbers[i];
    }
}

static void get(struct machine m) {
    CALL(m.cpu, KVM_GET_MP_STATE, &state.mp);
    CALL(m.cpu, KVM_GET_REGS, &state.regs);
    CALL(m.cpu, KVM_GET_SREGS2, &state.sregs);
    CALL(m.cpu, KVM_GET_XCRS, &state.xcrs);
    if (xsave2) CALL(m.cpu, KVM_GET_XSAVE2, state.xsave);
    else CALL(m.cpu, KVM_GET_XSAVE, state.xsave);
    CALL(m.cpu, KVM_GET_VCPU_EVENTS, &state.events);
    CALL(m.cpu, KVM_GET_DEBUGREGS, &state.debug);
    state.msrs.head.nmsrs = msr_count;
    for (int i = 0; i < msr_count; i++) state.msrs.entries[i].index = msr_numbers[i];
    if (CALL(m.cpu, KVM_GET_MSRS, &state.msrs) != msr_count) fail("KVM_GET_MSRS stopped");
    CALL(m.vm, KVM_GET_CLOCK, &state.clock);
}

static void set(struct machine m) {
    state.clock.flags &= KVM_CLOCK_REALTIME;
    CALL(m.vm, KVM_SET_CLOCK, &state.clock);
    CALL(m.cpu, KVM_SET_SREGS2, &state.sregs);
    CALL(m.cpu, KVM_SET_REGS, &state.regs);
    CALL(m.cpu, KVM_SET_XCRS, &state.xcrs);
    CALL(m.cpu, KVM_SET_XSAVE, state.xsave);
    CALL(m.cpu, KVM_SET_DEBUGREGS, &state.debug);
    if (CALL(m.cpu, KVM_SET_MSRS, &state.msrs) != msr_count) fail("KVM_SET_MSRS stopped");
    CALL(m.cpu, KVM_SET_MP_STATE, &state.mp);
    CALL(m.cpu, KVM_SET_VCPU_EVENTS, &state.events);
}

/* KVM_RUN until it is kicked out. */
static void run_until_kicked(struct machine m) {
    while (ioctl(m.cpu, KVM_RUN, 0) == 0) {
        if (m.run->exit_reason != KVM_EXIT_INTR) {
            fprintf(stderr, "the guest exited for reason %u\n", m.run->exit_reason);
            exit(2);
        }
    }
    if (errno != EINTR) fail("KVM_RUN");
}

static volatile uint64_t *guest_word(int index) {
    return (uint64_t *)(ram + COUNTER) + index;
}

static void *processor(void *unused) {
    (void)unused;
    for (;;) {
        struct machine from = machines[here];
        run_until_kicked(from);
        if (ended) return NULL;
        if (!asked) continue;
        from.run->immediate_exit = 1;
        run_until_kicked(from); /* completes a port or MMIO operation, should there be one */
        times[0] = microseconds();
        *guest_word(1) = 0;
        *guest_word(3) = 10; /* the one across the move is among its next steps */
        get(from);
        times[1] = microseconds();
        set(machines[!here]);
        times[2] = microseconds();
        here = !here;
        asked = 0;
        moved = 1;
    }
}

static void do_nothing(int number) {
    (void)number;
}

/* guests/flat/user-gap.s at CPL3, in 2 MiB that page tables at 0x1000 map to themselves. */
static void start(struct machine m) {
    static const unsigned char code[] = {
        0x0f, 0x31, 0x48, 0xc1, 0xe2, 0x20, 0x48, 0x09, 0xd0, 0x49, 0x89, 0xc1, 0x0f, 0x31, 0x48, 0xc1, 0xe2, 0x20, 0x48, 0x09,
        0xd0, 0x48, 0x89, 0xc1, 0x4c, 0x29, 0xc9, 0x49, 0x89, 0xc1, 0x48, 0x83, 0x7f, 0x18, 0x00, 0x74, 0x0e, 0x48, 0xff, 0x4f,
        0x18, 0x48, 0x3b, 0x4f, 0x08, 0x76, 0x04, 0x48, 0x89, 0x4f, 0x08, 0x4c, 0x89, 0x4f, 0x10, 0x49, 0xff, 0xc0, 0x4c, 0x89,
        0x07, 0xeb, 0xcd};
    memcpy(ram + CODE, code, sizeof code);
    *(uint64_t *)(ram + 0x1000) = 0x2000 | 7;
    *(uint64_t *)(ram + 0x2000) = 0x3000 | 7;
    *(uint64_t *)(ram + 0x3000) = 0x87;
    struct kvm_sregs2 s;
    CALL(m.cpu, KVM_GET_SREGS2, &s);
    struct kvm_segment user_data = {.limit = -1, .selector = 0x2b, .type = 3, .present = 1, .dpl = 3, .db = 1, .s = 1, .g = 1};
    struct kvm_segment user_code = {.limit = -1, .selector = 0x33, .type = 11, .present = 1, .dpl = 3, .s = 1, .l = 1, .g = 1};
    s.cs = user_code;
    s.ds = s.es = s.fs = s.gs = s.ss = user_data;
    s.tr = (struct kvm_segment){.limit = 0x67, .selector = 0x18, .type = 11, .present = 1};
    s.cr0 = 0x80010033;
    s.cr3 = 0x1000;
    s.cr4 = 0x620;
    s.efer = 0x500;
    s.flags = 0;
    CALL(m.cpu, KVM_SET_SREGS2, &s);
    struct kvm_regs r = {.rip = CODE, .rdi = COUNTER, .rflags = 2};
    CALL(m.cpu, KVM_SET_REGS, &r);
}

static void await_count(void) {
    volatile uint64_t *counter = (uint64_t *)(ram + COUNTER);
    uint64_t seen = *counter;
    while (*counter == seen) __builtin_ia32_pause();
}

/* Of the guest's time-stamp counter. */
static double ticks_per_microsecond(void) {
    await_count();
    double begin = microseconds(), now;
    uint64_t first = *guest_word(2);
    do now = microseconds();
    while (now - begin < 200e3);
    return (*guest_word(2) - first) / (now - begin);
}

static void measure(int slots, int moves) {
    enum { KICK, GET, SET, RESUME, STANDSTILL, GAP, PREPARE, CLOSE, PARTS };
    double *part[PARTS];
    for (int i = 0; i < PARTS; i++) part[i] = calloc(moves, sizeof(double));
    here = asked = moved = ended = 0;
    machines[0] = make(slots);
    if (msr_count == 0) find_msrs(machines[0].cpu);
    start(machines[0]);
    pthread_t thread;
    if (pthread_create(&thread, NULL, processor, NULL) != 0) fail("pthread_create");
    double ticks = ticks_per_microsecond();
    for (int i = -3; i < moves; i++) {
        int from = here;
        usleep(UNDISTURBED_US);
        double begin = microseconds();
        machines[!from] = make(slots);
        double prepared = microseconds();
        await_count();
        double kicked = microseconds();
        asked = 1;
        machines[from].run->immediate_exit = 1;
        pthread_kill(thread, kick_signal);
        while (!moved) __builtin_ia32_pause();
        moved = 0;
        await_count();
        double counted = microseconds();
        double gap = *guest_word(1) / ticks;
        end(machines[from]);
        double closed = microseconds();
        if (i >= 0) {
            part[KICK][i] = times[0] - kicked;
            part[GET][i] = times[1] - times[0];
            part[SET][i] = times[2] - times[1];
            part[RESUME][i] = counted - times[2];
            part[STANDSTILL][i] = counted - kicked;
            part[GAP][i] = gap;
            part[PREPARE][i] = prepared - begin;
            part[CLOSE][i] = closed - counted;
        }
    }
    ended = 1;
    machines[here].run->immediate_exit = 1;
    pthread_kill(thread, kick_signal);
    pthread_join(thread, NULL);
    end(machines[here]);
    printf("kvm_swap slots=%d moves=%d kick_us=%.1f get_us=%.1f set_us=%.1f resume_us=%.1f standstill_us=%.1f gap_us=%.1f prepare_us=%.1f "
        "close_us=%.1f\n",
        slots, moves, median(part[KICK], moves), median(part[GET], moves), median(part[SET], moves), median(part[RESUME], moves),
        median(part[STANDSTILL], moves), median(part[GAP], moves), median(part[PREPARE], moves), median(part[CLOSE], moves));
    fflush(stdout);
    for (int i = 0; i < PARTS; i++) free(part[i]);
}

int main(int argc, char **argv) {
    int slots[] = {16, 1024, 8192};
    int moves = argc > 1 ? atoi(argv[1]) : 100;
    size_t cases = argc > 2 ? 1 : sizeof slots / sizeof *slots;
    if (argc > 2) slots[0] = atoi(argv[2]);
    if (moves < 1 || slots[0] < 1 || slots[0] > MOST_SLOTS) {
        fprintf(stderr, "usage: kvm_swap [MOVES [SLOTS]]\n");
        return 2;
    }
    kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm < 0) fail("/dev/kvm");
    run_size = CALL(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    xsave2 = ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_XSAVE2);
    if (xsave2 > XSAVE_ROOM) {
        fprintf(stderr, "the processor's vector state has %d bytes, more than %d\n", xsave2, XSAVE_ROOM);
        return 2;
    }
    cpuid = calloc(1, sizeof *cpuid + 256 * sizeof *cpuid->entries);
    cpuid->nent = 256;
    CALL(kvm, KVM_GET_SUPPORTED_CPUID, cpuid);
    kick_signal = SIGRTMIN + 6;
    struct sigaction action = {.sa_handler = do_nothing};
    if (sigaction(kick_signal, &action, NULL) < 0) fail("sigaction");
    ram = map_memfd(RAM);
    other_ram = map_memfd((size_t)MOST_SLOTS * PAGE);
    for (size_t i = 0; i < cases; i++) {
        int fewer = slots[i] >= 4096 && argc <= 2 ? (moves + 4) / 5 : moves;
        measure(slots[i], fewer);
    }
    return 0;
}
