/*
 * What it costs to take a KVM memory slot out and to put it in again, with other slots present: the bare system calls.
 *
 *   gcc -O2 -Wall -Wextra -o kvm_slots kvm_slots.c && ./kvm_slots [ITERATIONS [OTHERS]]      (200 by default; with OTHERS, that
 *   many other slots and a page for the slot in question alone)
 *
 * One row a line, "kvm_slots others=N size=BYTES calls=WHICH delete_us=MEDIAN add_us=MEDIAN pair_us=MEDIAN"; the medians are of the
 * single iterations, and pair is delete and add together. calls=slot is KVM_SET_USER_MEMORY_REGION alone; calls=slot+mmap has with
 * each the call that changes the host's mapping: delete, then anonymous memory without access placed over the range; and the memfd
 * placed there again, then add.
 *
 * The virtual machine has one processor, which does not run. The other slots are 4 KiB each, every second page from 4 GiB on, on a
 * memfd of their own. The slot in question lies at 1 GiB, and its memory is not touched.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096 };
#define GIB (1ull << 30)

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

static void set_slot(int vm, uint32_t id, uint64_t gpa, uint64_t size, void *host) {
    struct kvm_userspace_memory_region region = {id, 0, gpa, size, (uintptr_t)host};
    if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0) fail("KVM_SET_USER_MEMORY_REGION");
}

static void *map_memfd(size_t size, int *memfd) {
    *memfd = memfd_create("memory", 0);
    if (*memfd < 0 || ftruncate(*memfd, size) < 0) fail("memfd");
    void *host = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *memfd, 0);
    if (host == MAP_FAILED) fail("mmap");
    return host;
}

static void measure(int vm, int others, size_t size, int iterations, int with_mmap) {
    double *delete = calloc(iterations, sizeof *delete), *add = calloc(iterations, sizeof *add), *pair = calloc(iterations, sizeof *pair);
    int memfd;
    void *host = map_memfd(size, &memfd);
    set_slot(vm, 0, GIB, size, host);
    for (int i = -10; i < iterations; i++) {
        double start = microseconds();
        set_slot(vm, 0, GIB, 0, host);
        if (with_mmap && mmap(host, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != host) fail("mmap");
        double middle = microseconds();
        if (with_mmap && mmap(host, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, memfd, 0) != host) fail("mmap");
        set_slot(vm, 0, GIB, size, host);
        double end = microseconds();
        if (i >= 0) delete[i] = middle - start, add[i] = end - middle, pair[i] = end - start;
    }
    set_slot(vm, 0, GIB, 0, host);
    munmap(host, size);
    close(memfd);
    double delete_us = median(delete, iterations), add_us = median(add, iterations), pair_us = median(pair, iterations);
    printf("kvm_slots others=%d size=%zu calls=%s delete_us=%.1f add_us=%.1f pair_us=%.1f\n", others, size,
        with_mmap ? "slot+mmap" : "slot", delete_us, add_us, pair_us);
    fflush(stdout);
    free(delete), free(add), free(pair);
}

int main(int argc, char **argv) {
    int others[] = {0, 16, 64, 1024, 8192};
    static const size_t sizes[] = {4096, 2 << 20, 64 << 20};
    int iterations = argc > 1 ? atoi(argv[1]) : 200;
    size_t cases = argc > 2 ? 1 : sizeof others / sizeof *others, kinds = argc > 2 ? 1 : sizeof sizes / sizeof *sizes;
    if (argc > 2) others[0] = atoi(argv[2]);
    if (iterations < 1 || others[0] < 0) {
        fprintf(stderr, "usage: kvm_slots [ITERATIONS [OTHERS]]\n");
        return 2;
    }
    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm < 0) fail("/dev/kvm");
    for (size_t i = 0; i < cases; i++) {
        uint64_t identity = 0xfeffc000;
        int vm = ioctl(kvm, KVM_CREATE_VM, 0), memfd;
        if (vm < 0) fail("KVM_CREATE_VM");
        if (ioctl(vm, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0 || ioctl(vm, KVM_SET_TSS_ADDR, 0xfeffd000) < 0) fail("KVM_SET_TSS_ADDR");
        int cpu = ioctl(vm, KVM_CREATE_VCPU, 0);
        if (cpu < 0) fail("KVM_CREATE_VCPU");
        char *host = map_memfd((others[i] + 1) * (size_t)PAGE, &memfd);
        for (int k = 0; k < others[i]; k++) set_slot(vm, 1 + k, 4 * GIB + 2ull * PAGE * k, PAGE, host + (size_t)PAGE * k);
        for (size_t k = 0; k < kinds; k++)
            for (int with_mmap = 0; with_mmap < 2; with_mmap++) measure(vm, others[i], sizes[k], iterations, with_mmap);
        close(cpu);
        close(vm);
        munmap(host, (others[i] + 1) * (size_t)PAGE);
        close(memfd);
    }
    return 0;
}
