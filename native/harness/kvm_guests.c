/*
 * Runs every guest program on /dev/kvm, from C alone: the check that the programs keep their contracts, apart from any Java.
 *
 *   gcc -O2 -Wall -Wextra -pthread -o kvm_guests kvm_guests.c && ./kvm_guests ../src/main/resources/guests
 *
 * One line a check, "ok ..." or "FAILED ..."; exit status 0 when all are ok, 1 when one failed, 2 when KVM cannot be used.
 *
 * Guest-physical layout: RAM 0-0xa0000 and 0x100000-0x1000000; 0xd0000 a read-only page; the rest unmapped. Page tables for long mode
 * (identity, 4 GiB, 2 MiB pages, user bit) at 0x1000-0x7000; programs at 0x8000. The multiboot programs get a machine of their own
 * with the 13 PAM segments of an i440fx as memory slots.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { RAM_SIZE = 0x1000000, LOW_END = 0xa0000, ROM = 0xd0000, MIB = 0x100000, LOAD = 0x8000, TABLES = 0x1000 };
#define UNMAPPED 0x40000000ull /* the end address of CPL3 programs */
#define PORT 0x10

enum mode { REAL, PROTECTED, LONG, LONG_USER };

struct vm {
    int fd, memfd;
    uint8_t *ram;
};

struct cpu {
    struct vm *vm;
    int fd;
    struct kvm_run *run;
    struct kvm_regs regs;
    char out[16384]; /* bytes written to PORT, or to the serial port */
    size_t out_length;
    char debug[256];
    size_t debug_length;
    const char *in; /* bytes for reads of PORT */
    uint64_t mmio_reads, mmio_writes, mmio_address, mmio_value;
    int exit_value;     /* written to port 0xf4, -1 before */
    uint32_t pci_select;
    uint8_t cmos_index;
    uint8_t pam[7];
};

static int kvm;
static size_t run_size;
static int failed;
static const char *folder;

static void die(const char *what) {
    fprintf(stderr, "kvm_guests: %s: %s\n", what, strerror(errno));
    exit(2);
}

static void check(const char *program, int good, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    printf("%s %s: ", good ? "ok" : "FAILED", program);
    vprintf(format, arguments);
    putchar('\n');
    fflush(stdout);
    va_end(arguments);
    failed |= !good;
}

static void slot(struct vm *vm, uint32_t id, uint64_t gpa, uint64_t size, uint32_t flags) {
    struct kvm_userspace_memory_region region = {id, flags, gpa, size, (uintptr_t)vm->ram + gpa};
    if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region) < 0) die("KVM_SET_USER_MEMORY_REGION");
}

static struct vm *new_vm(void) {
    struct vm *vm = calloc(1, sizeof *vm);
    uint64_t identity = 0xfeffc000;
    if ((vm->fd = ioctl(kvm, KVM_CREATE_VM, 0)) < 0) die("KVM_CREATE_VM");
    /* VT-x needs both before the first processor. */
    if (ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0) die("KVM_SET_IDENTITY_MAP_ADDR");
    if (ioctl(vm->fd, KVM_SET_TSS_ADDR, 0xfeffd000) < 0) die("KVM_SET_TSS_ADDR");
    vm->memfd = memfd_create("guest", 0);
    if (vm->memfd < 0 || ftruncate(vm->memfd, RAM_SIZE) < 0) die("memfd");
    vm->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, vm->memfd, 0);
    if (vm->ram == MAP_FAILED) die("mmap");
    slot(vm, 0, 0, LOW_END, 0);
    slot(vm, 1, MIB, RAM_SIZE - MIB, 0);
    return vm;
}

static void close_vm(struct vm *vm) {
    munmap(vm->ram, RAM_SIZE);
    close(vm->memfd);
    close(vm->fd);
    free(vm);
}

static struct cpu *new_cpu(struct vm *vm, int id) {
    struct cpu *cpu = calloc(1, sizeof *cpu);
    struct {
        struct kvm_cpuid2 head;
        struct kvm_cpuid_entry2 entries[256];
    } cpuid = {.head = {.nent = 256}};
    cpu->vm = vm;
    cpu->exit_value = -1;
    if ((cpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, id)) < 0) die("KVM_CREATE_VCPU");
    cpu->run = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, cpu->fd, 0);
    if (cpu->run == MAP_FAILED) die("mmap kvm_run");
    if (ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid) < 0) die("KVM_GET_SUPPORTED_CPUID");
    if (ioctl(cpu->fd, KVM_SET_CPUID2, &cpuid) < 0) die("KVM_SET_CPUID2");
    return cpu;
}

static void close_cpu(struct cpu *cpu) {
    munmap(cpu->run, run_size);
    close(cpu->fd);
    free(cpu);
}

/* Maps 0 to 4 GiB to themselves for CPL0 and CPL3. */
static void fill_tables(struct vm *vm) {
    uint64_t *pml4 = (void *)(vm->ram + TABLES), *pdpt = pml4 + 512, *pd = pdpt + 512;
    memset(pml4, 0, 0x2000);
    pml4[0] = (TABLES + 0x1000) | 7;
    for (uint64_t i = 0; i < 4; i++) pdpt[i] = (TABLES + 0x2000 + i * 0x1000) | 7;
    for (uint64_t i = 0; i < 4 * 512; i++) pd[i] = i << 21 | 0x87 | 0x60;
}

static void set_mode(struct cpu *cpu, enum mode mode) {
    struct kvm_sregs s;
    if (ioctl(cpu->fd, KVM_GET_SREGS, &s) < 0) die("KVM_GET_SREGS");
    struct kvm_segment code = {.limit = mode == REAL ? 0xffff : 0xffffffff, .type = 11, .present = 1, .s = 1};
    struct kvm_segment data = code;
    data.type = 3;
    if (mode != REAL) {
        code.selector = 0x08, data.selector = 0x10;
        code.g = data.g = 1;
        code.db = data.db = 1;
        s.cr0 = 0x31; /* PE, ET, NE */
    }
    if (mode == LONG || mode == LONG_USER) {
        fill_tables(cpu->vm);
        code.db = 0, code.l = 1;
        s.cr3 = TABLES;
        s.cr4 = 0x620; /* PAE, OSFXSR, OSXMMEXCPT */
        s.cr0 = 0x80010033; /* PG, WP, NE, ET, MP, PE */
        s.efer = 0x500; /* LMA, LME */
        s.tr = (struct kvm_segment){.selector = 0x18, .limit = 0x67, .type = 11, .present = 1};
    }
    if (mode == LONG_USER) {
        code.selector = 0x33, data.selector = 0x2b;
        code.dpl = data.dpl = 3;
    }
    s.cs = code;
    s.ds = s.es = s.fs = s.gs = s.ss = data;
    if (ioctl(cpu->fd, KVM_SET_SREGS, &s) < 0) die("KVM_SET_SREGS");
}

/* Loads a flat program and makes a processor ready to start it. */
static struct cpu *load(struct vm *vm, const char *program, enum mode mode, int id) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.bin", folder, program);
    FILE *file = fopen(path, "rb");
    if (!file) die(path);
    if (!fread(vm->ram + LOAD, 1, 0x1000, file)) die(path);
    fclose(file);
    struct cpu *cpu = new_cpu(vm, id);
    set_mode(cpu, mode);
    cpu->regs.rip = LOAD;
    cpu->regs.rflags = 2;
    cpu->regs.rbx = UNMAPPED;
    return cpu;
}

/* RE and WE of a segment to what the slot shows: RAM, ROM or nothing. */
static void set_pam(struct cpu *cpu, int segment, int old, int new) {
    uint64_t gpa = segment ? 0xc0000 + (segment - 1) * 0x4000 : 0xf0000;
    uint64_t size = segment ? 0x4000 : 0x10000;
    if (old == new) return;
    if (old & 1) slot(cpu->vm, 2 + segment, gpa, 0, 0);
    if (new & 1) slot(cpu->vm, 2 + segment, gpa, size, new & 2 ? 0 : KVM_MEM_READONLY);
}

static uint32_t pci_register(struct cpu *cpu, uint32_t number) {
    static const uint8_t id[4] = {0x86, 0x80, 0x37, 0x12};
    if ((cpu->pci_select & 0xffffff00) != 0x80000000) return 0xff;
    return number < 4 ? id[number] : number >= 0x59 && number < 0x60 ? cpu->pam[number - 0x59] : 0;
}

static void port_io(struct cpu *cpu) {
    struct kvm_run *run = cpu->run;
    uint8_t *data = (uint8_t *)run + run->io.data_offset;
    size_t size = run->io.size, length = size * run->io.count;
    int port = run->io.port;
    if (run->io.direction == KVM_EXIT_IO_IN) {
        memset(data, 0xff, length);
        if (port == PORT)
            for (size_t i = 0; i < length && *cpu->in; i++) data[i] = *cpu->in++;
        else if (port == 0x3fd) *data = 0x20 | (cpu->in && *cpu->in);
        else if (port == 0x3f8 && cpu->in && *cpu->in) *data = *cpu->in++;
        else if (port == 0x71 && !cpu->cmos_index) *data = time(NULL) % 60;
        else if (port >= 0xcfc && port < 0xd00)
            for (size_t i = 0; i < size; i++) data[i] = pci_register(cpu, (cpu->pci_select & 0xfc) + port - 0xcfc + i);
    } else if (port == PORT || port == 0x3f8) {
        if (cpu->out_length + length < sizeof cpu->out) memcpy(cpu->out + cpu->out_length, data, length), cpu->out_length += length;
    } else if (port == 0x70) {
        cpu->cmos_index = *data;
    } else if (port == 0x402) {
        if (cpu->debug_length + length < sizeof cpu->debug) memcpy(cpu->debug + cpu->debug_length, data, length), cpu->debug_length += length;
    } else if (port == 0xcf8) {
        memcpy(&cpu->pci_select, data, 4);
    } else if (port >= 0xcfc && port < 0xd00) {
        int number = (cpu->pci_select & 0xfc) + port - 0xcfc;
        if (number >= 0x59 && number < 0x60) {
            int i = number - 0x59, old = cpu->pam[i];
            cpu->pam[i] = *data;
            if (i) set_pam(cpu, 2 * i - 1, old & 3, *data & 3);
            set_pam(cpu, 2 * i, old >> 4 & 3, *data >> 4 & 3);
        }
    } else if (port == 0xf4) {
        cpu->exit_value = *data;
    }
}

/* Runs until the program ends: HLT, a write to UNMAPPED, the exit port, an interruption, or an exit that is none of these. */
static int run(struct cpu *cpu) {
    struct kvm_run *run = cpu->run;
    if (ioctl(cpu->fd, KVM_SET_REGS, &cpu->regs) < 0) die("KVM_SET_REGS");
    for (;;) {
        int stop = 0;
        if (ioctl(cpu->fd, KVM_RUN, 0) < 0) {
            if (errno != EINTR) die("KVM_RUN");
            if (!run->immediate_exit) continue;
            run->exit_reason = KVM_EXIT_INTR;
        }
        switch (run->exit_reason) {
            case KVM_EXIT_IO:
                port_io(cpu);
                stop = cpu->exit_value >= 0;
                break;
            case KVM_EXIT_MMIO:
                cpu->mmio_address = run->mmio.phys_addr;
                if (run->mmio.is_write) {
                    cpu->mmio_writes++;
                    cpu->mmio_value = 0;
                    memcpy(&cpu->mmio_value, run->mmio.data, run->mmio.len);
                    stop = run->mmio.phys_addr == UNMAPPED;
                } else {
                    cpu->mmio_reads++;
                    memset(run->mmio.data, 0xee, sizeof run->mmio.data);
                }
                break;
            case KVM_EXIT_INTERNAL_ERROR:
                fprintf(stderr, "internal error %u at %#llx\n", run->internal.suberror, (unsigned long long)run->internal.data[1]);
                stop = 1;
                break;
            default:
                stop = 1;
        }
        if (stop) break;
    }
    cpu->out[cpu->out_length] = 0;
    cpu->debug[cpu->debug_length] = 0;
    if (ioctl(cpu->fd, KVM_GET_REGS, &cpu->regs) < 0) die("KVM_GET_REGS");
    return run->exit_reason;
}

static void *run_thread(void *cpu) {
    return (void *)(intptr_t)run(cpu);
}

static void on_signal(int number) {
    (void)number;
}

static void kick(struct cpu *cpu, pthread_t thread) {
    cpu->run->immediate_exit = 1;
    while (pthread_tryjoin_np(thread, NULL)) {
        pthread_kill(thread, SIGUSR1);
        usleep(1000);
    }
}

static uint64_t *word(struct vm *vm, uint64_t gpa) {
    return (uint64_t *)(vm->ram + gpa);
}

static uint64_t now(struct vm *vm, uint64_t gpa) {
    return __atomic_load_n(word(vm, gpa), __ATOMIC_ACQUIRE);
}

static void segment_base(struct cpu *cpu, uint64_t base) {
    struct kvm_sregs s;
    ioctl(cpu->fd, KVM_GET_SREGS, &s);
    s.es.base = base;
    s.es.selector = base >> 4;
    ioctl(cpu->fd, KVM_SET_SREGS, &s);
}

static void real(void) {
    struct vm *vm = new_vm();
    slot(vm, 2, ROM, 0x1000, KVM_MEM_READONLY);
    vm->ram[ROM + 5] = 0x5a;

    struct cpu *cpu = load(vm, "real-print", REAL, 0);
    cpu->regs.rdx = PORT;
    int exit = run(cpu);
    check("real-print", exit == KVM_EXIT_HLT && !strcmp(cpu->out, "Hello from real mode.\n"), "prints and halts");
    close_cpu(cpu);

    static const struct { uint64_t base; int value; const char *what; } peeks[] = {
        {ROM, 0x5a, "read-only memory is read"}, {0xe0000, 0xee, "unmapped memory exits"}};
    for (int i = 0; i < 2; i++) {
        cpu = load(vm, "real-peek", REAL, 1 + i);
        segment_base(cpu, peeks[i].base);
        cpu->regs.rbx = 5;
        cpu->regs.rdx = PORT;
        exit = run(cpu);
        check("real-peek", exit == KVM_EXIT_HLT && (uint8_t)cpu->out[0] == peeks[i].value && cpu->out_length == 1
                && cpu->mmio_reads == (unsigned)i, "%s", peeks[i].what);
        close_cpu(cpu);
    }

    static const struct { uint64_t base; int back; unsigned writes; const char *what; } pokes[] = {
        {0x20000, 0x77, 0, "memory is written"},
        {ROM, 0x5a, 1, "a write to read-only memory exits and leaves it"},
        {0xe0000, 0xee, 1, "a write to unmapped memory exits"}};
    for (int i = 0; i < 3; i++) {
        cpu = load(vm, "real-poke", REAL, 3 + i);
        segment_base(cpu, pokes[i].base);
        cpu->regs.rax = 0x77;
        cpu->regs.rbx = 5;
        cpu->regs.rdx = PORT;
        exit = run(cpu);
        check("real-poke", exit == KVM_EXIT_HLT && (cpu->regs.rax & 0xffff) == (0x7700u | pokes[i].back)
                && cpu->mmio_writes == pokes[i].writes && (!i || vm->ram[ROM + 5] == 0x5a), "%s", pokes[i].what);
        close_cpu(cpu);
    }

    const char *text = "a string of some length, written by one instruction";
    memcpy(vm->ram + 0x9000, text, strlen(text) + 1);
    cpu = load(vm, "real-outs", REAL, 6);
    cpu->regs.rsi = 0x9000;
    cpu->regs.rcx = strlen(text);
    cpu->regs.rdx = PORT;
    exit = run(cpu);
    check("real-outs", exit == KVM_EXIT_HLT && !strcmp(cpu->out, text) && !cpu->regs.rcx
            && cpu->regs.rsi == 0x9000 + strlen(text), "writes a string");
    close_cpu(cpu);

    cpu = load(vm, "real-ins", REAL, 7);
    cpu->in = text;
    cpu->regs.rdi = 0xa000;
    cpu->regs.rcx = strlen(text) + 1;
    cpu->regs.rdx = PORT;
    exit = run(cpu);
    check("real-ins", exit == KVM_EXIT_HLT && !memcmp(vm->ram + 0xa000, text, strlen(text)) && !cpu->regs.rcx
            && vm->ram[0xa000 + strlen(text)] == 0xff, "reads a string");
    close_cpu(cpu);
    close_vm(vm);
}

/* With the kernel's interrupt controllers and timer. */
static void ticks(void) {
    struct vm *vm = new_vm();
    struct kvm_pit_config pit = {0};
    if (ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0) < 0) die("KVM_CREATE_IRQCHIP");
    if (ioctl(vm->fd, KVM_CREATE_PIT2, &pit) < 0) die("KVM_CREATE_PIT2");
    struct cpu *cpu = load(vm, "real-ticks", REAL, 0);
    uint32_t *status = (uint32_t *)(vm->ram + 0x9000);
    *(uint16_t *)(vm->ram + 0x900a) = 1193;
    cpu->regs.rsp = 0x7000;
    pthread_t thread;
    pthread_create(&thread, NULL, run_thread, cpu);
    while (__atomic_load_n(status, __ATOMIC_ACQUIRE) < 300) usleep(100);
    vm->ram[0x9008] = 1;
    uint32_t before;
    do { /* it halts for good with interrupts off: no more ticks */
        before = __atomic_load_n(status, __ATOMIC_ACQUIRE);
        usleep(20000);
    } while (before != __atomic_load_n(status, __ATOMIC_ACQUIRE));
    kick(cpu, thread);
    check("real-ticks", before >= 300 && !status[1], "counts the timer's interrupts, %u, none wrong", before);
    close_cpu(cpu);
    close_vm(vm);
}

static void peekpoke(const char *program, enum mode mode) {
    static const struct { uint64_t read, write; unsigned reads, writes; const char *what; } cases[] = {
        {0x9000, 0x9008, 0, 0, "memory"},
        {ROM, ROM + 8, 0, 1, "read-only memory"},
        {0x30000000, 0x30000008, 2, 1, "unmapped memory"}};
    uint64_t mask = mode == PROTECTED ? 0xffffffff : ~0ull, value = 0x1122334455667788 & mask;
    for (int i = 0; i < 3; i++) {
        struct vm *vm = new_vm();
        slot(vm, 2, ROM, 0x1000, KVM_MEM_READONLY);
        struct cpu *cpu = load(vm, program, mode, 0);
        *word(vm, 0x9000) = *word(vm, ROM) = *word(vm, ROM + 8) = 0xa5a5b6b6c7c7d8d8;
        struct kvm_regs *r = &cpu->regs;
        if (mode == LONG_USER) r->rdi = cases[i].read, r->rsi = cases[i].write, r->rdx = value;
        else r->rbx = cases[i].read, r->rcx = cases[i].write, r->rax = value;
        int exit = run(cpu);
        uint64_t before = mode == LONG_USER ? r->r8 : r->rdx, back = mode == LONG_USER ? r->r9 : r->rsi;
        uint64_t old = (i == 2 ? 0xeeeeeeeeeeeeeeee : 0xa5a5b6b6c7c7d8d8) & mask;
        unsigned writes = cases[i].writes + (mode == LONG_USER);
        check(program, exit == (mode == LONG_USER ? KVM_EXIT_MMIO : KVM_EXIT_HLT) && before == old && back == (i ? old : value)
                && cpu->mmio_reads == cases[i].reads && cpu->mmio_writes == writes
                && *word(vm, ROM + 8) == 0xa5a5b6b6c7c7d8d8 && (mode != LONG_USER || cpu->mmio_value == before),
            "%s", cases[i].what);
        close_cpu(cpu);
        close_vm(vm);
    }
}

/* Reads a word while the host swaps the page beneath, by MAP_FIXED, between two that hold the permitted values. */
static void reader(const char *program, enum mode mode, uint64_t count) {
    struct vm *vm = new_vm();
    struct cpu *cpu = load(vm, program, mode, 0);
    uint64_t a = 0x1111111111111111, b = 0x2222222222222222, gpa = 0x200000, other = 0x300000;
    for (int i = 0; i < 512; i++) word(vm, gpa)[i] = a, word(vm, other)[i] = b;
    struct kvm_regs *r = &cpu->regs;
    if (mode == LONG_USER) r->rdi = gpa, r->rsi = count, r->rdx = a, r->rcx = b;
    else r->rbx = gpa, r->rcx = count, r->rax = a & (mode == LONG ? ~0ull : 0xffffffff), r->rdx = b & (mode == LONG ? ~0ull : 0xffffffff);
    pthread_t thread;
    void *exit;
    unsigned long swaps = 0;
    pthread_create(&thread, NULL, run_thread, cpu);
    while (pthread_tryjoin_np(thread, &exit)) {
        if (mmap(vm->ram + gpa, 0x1000, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, vm->memfd, swaps++ & 1 ? gpa : other) == MAP_FAILED) die("mmap");
        usleep(200);
    }
    uint64_t wrong = mode == PROTECTED ? r->rdi : r->r8, changes = mode == PROTECTED ? r->rsi : r->r9;
    check(program, (intptr_t)exit == (mode == LONG_USER ? KVM_EXIT_MMIO : KVM_EXIT_HLT) && !wrong && changes > 0 && changes <= swaps,
        "%llu reads, none wrong, %llu of %lu replacements seen", (unsigned long long)count, (unsigned long long)changes, swaps);
    close_cpu(cpu);

    /* A value that is not permitted is counted. */
    cpu = load(vm, program, mode, 1);
    r = &cpu->regs;
    if (mode == LONG_USER) r->rdi = gpa, r->rsi = 1000, r->rdx = r->rcx = 1;
    else r->rbx = gpa, r->rcx = 1000, r->rax = r->rdx = 1;
    run(cpu);
    check(program, (mode == PROTECTED ? r->rdi : r->r8) == 1000, "1000 wrong reads are counted");
    close_cpu(cpu);
    close_vm(vm);
}

/* A program that runs for ever: kicked out once it has counted up to a number. */
static void endless(const char *program, enum mode mode, uint64_t until) {
    struct vm *vm = new_vm();
    struct cpu *cpu = load(vm, program, mode, 0);
    uint64_t gpa = 0x9000;
    if (mode == LONG_USER) cpu->regs.rdi = gpa;
    else cpu->regs.rbx = gpa;
    pthread_t thread;
    pthread_create(&thread, NULL, run_thread, cpu);
    while (now(vm, gpa) < until) usleep(100);
    kick(cpu, thread);
    check(program, cpu->run->exit_reason == KVM_EXIT_INTR, "kicked out at %llu", (unsigned long long)now(vm, gpa));
    close_cpu(cpu);
    close_vm(vm);
}

static void user(void) {
    struct vm *vm = new_vm();
    struct cpu *cpu = load(vm, "user-writer", LONG_USER, 0);
    cpu->regs.rdi = 0x9000;
    cpu->regs.rsi = 100000000;
    int exit = run(cpu);
    check("user-writer", exit == KVM_EXIT_MMIO && cpu->mmio_value == 100000000 && *word(vm, 0x9000) == 100000000, "writes to the count");
    /* Run again, the end repeats. */
    exit = run(cpu);
    check("user-writer", exit == KVM_EXIT_MMIO && cpu->mmio_writes == 2 && cpu->mmio_value == 100000000, "ends again when run again");
    close_cpu(cpu);

    pthread_t thread;
    void *result;
    cpu = load(vm, "user-counter", LONG_USER, 1);
    *word(vm, 0x9000) = 0;
    cpu->regs.rdi = 0x9000;
    cpu->regs.r8 = 1000;
    pthread_create(&thread, NULL, run_thread, cpu);
    while (now(vm, 0x9000) < 1000000) usleep(100);
    __atomic_store_n(word(vm, 0x9008), 1, __ATOMIC_RELEASE);
    pthread_join(thread, &result);
    check("user-counter", (intptr_t)result == KVM_EXIT_MMIO && cpu->mmio_value == *word(vm, 0x9000) && cpu->mmio_value >= 1000000,
        "stops when told, at %llu", (unsigned long long)cpu->mmio_value);
    close_cpu(cpu);

    for (int step = 0; step < 3; step++) {
        cpu = load(vm, "user-pattern", LONG_USER, 2 + step);
        uint64_t begin = 0x400000, length = 0x800000, seed = 0x1234;
        if (step == 2) *word(vm, begin + 0x1238) ^= 1;
        cpu->regs.rdi = begin;
        cpu->regs.rsi = length;
        cpu->regs.rdx = seed;
        cpu->regs.rcx = step == 2 ? 2 : 3;
        if (step == 1) seed = 7, cpu->regs.rdx = 7, cpu->regs.rcx = 1;
        exit = run(cpu);
        int good = exit == KVM_EXIT_MMIO;
        if (step < 2)
            for (uint64_t gpa = begin; gpa < begin + length; gpa += 8) good &= *word(vm, gpa) == ((gpa * 0x9e3779b97f4a7c15) ^ seed);
        if (step == 0) check("user-pattern", good && !cpu->mmio_value, "fills and verifies 8 MiB");
        if (step == 1) check("user-pattern", good && !cpu->mmio_value, "fills");
        if (step == 2) check("user-pattern", good && cpu->mmio_value == length / 8, "verifies: with another seed every word is wrong");
        close_cpu(cpu);
    }
    cpu = load(vm, "user-pattern", LONG_USER, 5);
    cpu->regs.rdi = 0x400000;
    cpu->regs.rsi = 0x800000;
    cpu->regs.rdx = 7;
    cpu->regs.rcx = 2;
    exit = run(cpu);
    check("user-pattern", cpu->mmio_value == 1 && cpu->regs.r9 == 0x401238, "verifies: the one wrong word is found");
    close_cpu(cpu);
    close_vm(vm);
}

static void two_processors(const char *program) {
    struct vm *vm = new_vm();
    int add = !strcmp(program, "user-add");
    uint64_t count = add ? 5000000 : 2000; /* turns are slow where the processors share a core */
    struct cpu *cpu[2];
    pthread_t thread[2];
    void *exit[2];
    for (int i = 0; i < 2; i++) {
        cpu[i] = load(vm, program, LONG_USER, i);
        cpu[i]->regs.rdi = 0x9000;
        cpu[i]->regs.rsi = count;
        cpu[i]->regs.rdx = add ? 2 : i;
    }
    for (int i = 0; i < 2; i++) pthread_create(&thread[i], NULL, run_thread, cpu[i]);
    for (int i = 0; i < 2; i++) pthread_join(thread[i], &exit[i]);
    int good = *word(vm, 0x9000) == 2 * count && (intptr_t)exit[0] == KVM_EXIT_MMIO && (intptr_t)exit[1] == KVM_EXIT_MMIO;
    if (add) good &= cpu[0]->mmio_value == 2 * count || cpu[1]->mmio_value == 2 * count;
    else good &= !cpu[0]->mmio_value && !cpu[1]->mmio_value;
    check(program, good, "%llu increments by each of two processors", (unsigned long long)count);
    for (int i = 0; i < 2; i++) close_cpu(cpu[i]);
    close_vm(vm);
}

/* What is spoiled while the program runs, and the check that must find it (0: nothing may). */
static void checker(const char *what, int spoil, uint64_t code) {
    struct vm *vm = new_vm();
    struct cpu *cpu = load(vm, "user-checker", LONG_USER, 0);
    cpu->regs.rdi = 0x9000;
    cpu->regs.rsi = 0x200000;
    cpu->regs.rdx = 0x10000;
    pthread_t thread;
    for (int attempt = 0;; attempt++) {
        cpu->run->immediate_exit = 0;
        uint64_t laps = now(vm, 0x9000);
        pthread_create(&thread, NULL, run_thread, cpu);
        while (now(vm, 0x9000) < laps + 20000) usleep(100);
        if (!spoil && attempt == 20) break;
        kick(cpu, thread);
        if (spoil && now(vm, 0x9010)) {
            pthread_create(&thread, NULL, run_thread, cpu);
            break;
        }
        if (attempt == 2000) break;
        /* KVM_SET_FPU would leave MXCSR out. In the FXSAVE area MXCSR is at 24, ST0 at 32, XMM0 at 160. */
        struct kvm_xsave xsave;
        uint8_t *fxsave = (uint8_t *)xsave.region;
        if (ioctl(cpu->fd, KVM_GET_XSAVE, &xsave) < 0) die("KVM_GET_XSAVE");
        if (spoil == 1) cpu->regs.r15 ^= 1; /* the program uses it for nothing else */
        if (spoil == 2) fxsave[160 + 9 * 16 + 11] ^= 1;
        if (spoil == 3) *word(vm, 0x200000 + 0x5550) ^= 1;
        if (spoil == 4) cpu->regs.rflags ^= 1;
        if (spoil == 5) fxsave[24 + 1] ^= 0x20;
        if (spoil == 6) fxsave[32 + 6] ^= 1;
        if (ioctl(cpu->fd, KVM_SET_XSAVE, &xsave) < 0) die("KVM_SET_XSAVE");
    }
    cpu->run->immediate_exit = 0;
    __atomic_store_n(word(vm, 0x9008), 1, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    uint64_t wrong = cpu->mmio_value, first = *word(vm, 0x9018);
    check("user-checker", cpu->run->exit_reason == KVM_EXIT_MMIO && (code ? wrong > 0 && first == code : !wrong && !first),
        "%s: %llu laps, %llu wrong, first %#llx", what, (unsigned long long)*word(vm, 0x9000), (unsigned long long)wrong, (unsigned long long)first);
    close_cpu(cpu);
    close_vm(vm);
}

/* AVX for a processor in long mode, as an operating system would enable it. */
static void enable_avx(struct cpu *cpu) {
    struct kvm_sregs s;
    struct kvm_xcrs xcrs = {.nr_xcrs = 1, .xcrs = {{.xcr = 0, .value = 7}}};
    if (ioctl(cpu->fd, KVM_GET_SREGS, &s) < 0) die("KVM_GET_SREGS");
    s.cr4 |= 1 << 18;
    if (ioctl(cpu->fd, KVM_SET_SREGS, &s) < 0) die("KVM_SET_SREGS");
    if (ioctl(cpu->fd, KVM_SET_XCRS, &xcrs) < 0) die("KVM_SET_XCRS");
}

/* With CR0 TS set every vector and x87 instruction is a fault, which nobody here handles. */
static void forbid_vectors(struct cpu *cpu, int forbid) {
    struct kvm_sregs s;
    if (ioctl(cpu->fd, KVM_GET_SREGS, &s) < 0) die("KVM_GET_SREGS");
    s.cr0 = forbid ? s.cr0 | 8 : s.cr0 & ~8ull;
    if (ioctl(cpu->fd, KVM_SET_SREGS, &s) < 0) die("KVM_SET_SREGS");
}

/* Runs until it has counted some more laps and is in a phase; then it is out of the guest. */
static void run_laps(struct cpu *cpu, uint64_t laps, uint64_t phase) {
    pthread_t thread;
    uint64_t from = now(cpu->vm, 0x9000);
    cpu->run->immediate_exit = 0;
    pthread_create(&thread, NULL, run_thread, cpu);
    while (now(cpu->vm, 0x9000) < from + laps || now(cpu->vm, 0x9000 + 40) != phase) {
        if (!pthread_tryjoin_np(thread, NULL)) return; /* it died, and its words will say so */
        usleep(100);
    }
    kick(cpu, thread);
}

/* Through several integer phases in which vectors cannot be executed. What is spoiled in the last one, and the check that must find it. */
static void migrant(const char *what, int wide, int spoil, uint64_t code) {
    struct vm *vm = new_vm();
    struct cpu *cpu = load(vm, "user-migrant", LONG_USER, 0);
    uint64_t *status = word(vm, 0x9000), rounds = 50;
    int early = 0;
    if (wide) enable_avx(cpu);
    cpu->regs.rdi = 0x9000;
    cpu->regs.rsi = 0x200000;
    cpu->regs.rdx = 0x8000;
    cpu->regs.rcx = wide;
    for (uint64_t round = 1; round <= rounds; round++) {
        run_laps(cpu, 1000, 0);
        __atomic_store_n(status + 4, 1, __ATOMIC_RELEASE);
        run_laps(cpu, 100, 1);
        forbid_vectors(cpu, 1);
        run_laps(cpu, 10000, 1);
        forbid_vectors(cpu, 0);
        struct kvm_xsave xsave;
        uint8_t *fxsave = (uint8_t *)xsave.region;
        if (ioctl(cpu->fd, KVM_GET_XSAVE, &xsave) < 0) die("KVM_GET_XSAVE");
        if (round == rounds) {
            if (spoil == 1) cpu->regs.r15 ^= 1;
            if (spoil == 2) fxsave[160 + 9 * 16 + 11] ^= 1;
            if (spoil == 3) *word(vm, 0x200000 + 0x5550) ^= 1;
            if (spoil == 5) fxsave[24 + 1] ^= 0x20;
            if (spoil == 6) fxsave[32 + 7] ^= 1;
            if (spoil == 7) fxsave[576 + 9 * 16 + 11] ^= 1;
        }
        if (ioctl(cpu->fd, KVM_SET_XSAVE, &xsave) < 0) die("KVM_SET_XSAVE");
        run_laps(cpu, 10000, 1);
        if (spoil != 1 && spoil != 3) early |= status[2] != 0;
        __atomic_store_n(status + 4, 0, __ATOMIC_RELEASE);
    }
    run_laps(cpu, 1000, 0);
    cpu->run->immediate_exit = 0;
    __atomic_store_n(status + 1, 1, __ATOMIC_RELEASE);
    run(cpu);
    uint64_t digest = 0;
    for (uint64_t lap = 0; lap < status[0]; lap++) {
        digest += lap * 0x9e3779b97f4a7c15;
        digest = digest << 7 | digest >> 57;
    }
    check("user-migrant", cpu->run->exit_reason == KVM_EXIT_MMIO && cpu->mmio_value == status[2] && status[6] == rounds && !early
            && (code ? status[2] == 1 && status[3] == code : !status[2] && !status[3]) && (code == 12 || digest == status[7]),
        "%s: %llu laps, %llu returns, %llu wrong, first %#llx", what, (unsigned long long)status[0], (unsigned long long)status[6],
        (unsigned long long)status[2], (unsigned long long)status[3]);
    close_cpu(cpu);
    close_vm(vm);
}

/* The monitor's part of the workout: device memory at two places and away, and no other hypervisor. */
static void *answer(void *argument) {
    struct vm *vm = argument;
    uint32_t *mailbox = (uint32_t *)(vm->ram + 0x80000), *page = (uint32_t *)(vm->ram + 0xb0000);
    struct kvm_userspace_memory_region region = {20, 0, 0xd0000000, 0x1000, (uintptr_t)page};
    for (uint32_t step = 1; step <= 4; step++) {
        while (__atomic_load_n(mailbox, __ATOMIC_ACQUIRE) != step) usleep(100);
        if (step == 1) page[0] = 0x6d62d001;
        mailbox[2] = step == 2 && page[1] != ~page[0];
        if (step > 1) region.memory_size = 0;
        if (step < 4 && ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region) < 0) die("KVM_SET_USER_MEMORY_REGION");
        if (step == 2) {
            region.memory_size = 0x1000, region.guest_phys_addr = 0xd0100000;
            if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region) < 0) die("KVM_SET_USER_MEMORY_REGION");
        }
        __atomic_store_n(mailbox + 1, step, __ATOMIC_RELEASE);
    }
    return NULL;
}

/* Changes a word that the guest has written. */
static void *spoil(void *argument) {
    struct vm *vm = argument;
    while (!*word(vm, 0x200ff8)) usleep(100);
    *word(vm, 0x200800) ^= 1ull << 40;
    return NULL;
}

/*
 * As a multiboot version 1 loader for an ELF image, to its one segment's address.
 * monitor: what another thread does, or NULL. in: bytes on the serial port.
 */
static void multiboot_with(const char *file, int with_map, const char *command_line, void *(*monitor)(void *), const char *in, const char *expect, int exit_value) {
    struct vm *vm = new_vm();
    char path[4096];
    uint8_t image[0x8000];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *stream = fopen(path, "rb");
    if (!stream) die(path);
    size_t length = fread(image, 1, sizeof image, stream);
    fclose(stream);
    int wide = image[4] == 2;
    uint64_t entry = wide ? *(uint64_t *)(image + 24) : *(uint32_t *)(image + 24);
    memcpy(vm->ram + MIB, image, length);
    uint32_t *info = (uint32_t *)(vm->ram + 0x9000);
    info[0] = 1 | 4 | (with_map ? 1 << 6 : 0) | 1 << 9;
    info[1] = 639, info[2] = (RAM_SIZE - MIB) / 1024;
    info[4] = 0x9800, info[16] = 0x9900;
    strcpy((char *)vm->ram + 0x9800, command_line);
    strcpy((char *)vm->ram + 0x9900, "harness");
    struct __attribute__((packed)) { uint32_t size; uint64_t base, length; uint32_t type; } map[] = {
        {20, 0, 0x9fc00, 1}, {20, 0x9fc00, 0x400, 2}, {20, 0xf0000, 0x10000, 2}, {20, MIB, RAM_SIZE - MIB, 1},
        {20, 0x100000000, 0x40000000, 1}};
    memcpy(vm->ram + 0x9a00, map, sizeof map);
    info[11] = sizeof map, info[12] = 0x9a00;
    struct cpu *cpu = new_cpu(vm, 0);
    set_mode(cpu, PROTECTED);
    cpu->regs.rip = entry;
    cpu->regs.rflags = 2;
    cpu->regs.rax = 0x2badb002;
    cpu->regs.rbx = 0x9000;
    cpu->in = in;
    pthread_t thread;
    if (monitor) pthread_create(&thread, NULL, monitor, vm);
    int exit = run(cpu);
    if (monitor) pthread_join(thread, NULL);
    check(file, exit == KVM_EXIT_IO && cpu->exit_value == exit_value && strstr(cpu->out, expect) != NULL,
        "prints \"%.*s\" and exits with %#x", (int)strcspn(expect, "\n"), expect, exit_value);
    if (!strcmp(file, "hello.elf")) check(file, !strcmp(cpu->debug, "Hello from the Membacking guest, by the debug port.\n"), "debug port");
    if (getenv("VERBOSE") || exit != KVM_EXIT_IO || cpu->exit_value != exit_value) printf("%s%s(exit %d at %#llx)\n", cpu->debug, cpu->out, exit, (unsigned long long)cpu->regs.rip);
    close_cpu(cpu);
    close_vm(vm);
}

static void multiboot(const char *file, int with_map, const char *expect, int exit_value) {
    multiboot_with(file, with_map, "one two=three", NULL, NULL, expect, exit_value);
}

int main(int argc, char **argv) {
    folder = argc > 1 ? argv[1] : "../src/main/resources/guests";
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_signal}, NULL);
    if ((kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC)) < 0) die("/dev/kvm");
    run_size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    real();
    ticks();
    peekpoke("protected-peekpoke", PROTECTED);
    reader("protected-verify", PROTECTED, 200000);
    endless("protected-counter", PROTECTED, 10000);
    peekpoke("long-peekpoke", LONG);
    reader("long-verify", LONG, 200000);
    peekpoke("user-peekpoke", LONG_USER);
    reader("user-reader", LONG_USER, 100000000);
    endless("user-writer", LONG_USER, 1000000);
    user();
    two_processors("user-add");
    two_processors("user-pingpong");
    checker("nothing is spoiled", 0, 0);
    checker("R15 is spoiled", 1, 11);
    checker("XMM9 is spoiled", 2, 0x29);
    checker("memory is spoiled", 3, 0x33);
    checker("the carry flag is spoiled", 4, 0x31);
    checker("MXCSR is spoiled", 5, 0x30);
    checker("x87 is spoiled", 6, 0x32);
    migrant("nothing is spoiled", 0, 0, 0);
    migrant("R15 is spoiled", 0, 1, 12);
    migrant("XMM9 is spoiled", 0, 2, 0x29);
    migrant("memory is spoiled", 0, 3, 0x33);
    migrant("MXCSR is spoiled", 0, 5, 0x30);
    migrant("x87 is spoiled", 0, 6, 0x32);
    if (ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_XCRS) > 0 && __builtin_cpu_supports("avx")) {
        migrant("nothing of YMM is spoiled", 1, 0, 0);
        migrant("the upper half of YMM9 is spoiled", 1, 7, 0x29);
    }
    multiboot("mbinfo.elf", 1, "command line: one two=three\nloader: harness\nlower memory KiB 0x27f\nupper memory KiB 0x3c00\n"
        "memory 0x0-0x9fc00 available\nmemory 0x9fc00-0xa0000 type 0x2\nmemory 0xf0000-0x100000 type 0x2\n"
        "memory 0x100000-0x1000000 available\nmemory 0x100000000-0x140000000 available\nend of mbinfo\n", 0x10);
    multiboot("mbinfo64.elf", 1, "end of mbinfo\n", 0x10);
    multiboot("mbinfo.elf", 0, "FAILED no memory map\n", 0x11);
    multiboot("hello.elf", 1, "ok code runs in 0xf0000-0x100000, read-only\nAll checks passed.\n", 0x10);
    multiboot("hello.elf", 0, "FAILED no multiboot memory map\n", 0x11);
    multiboot_with("counter.elf", 1, "x lines=2", NULL, NULL, "counter 2: ", 0x10);
    multiboot_with("counter.elf", 1, "", NULL, "q", "counter: stopped\nAll checks passed.\n", 0x10);
    multiboot_with("counter.elf", 1, "lines=3", spoil, NULL, "1 checks FAILED\n", 0x11);
    multiboot_with("workout.elf", 1, "", answer, NULL, "ok device memory is gone\n", 0x10);
    return failed;
}
