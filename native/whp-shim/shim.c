/* The entry points: capabilities, partitions, properties, processors, and the shim's own switches, faults and counters. */
#define _GNU_SOURCE
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define FUNCTIONS(X) \
    X(WHvGetCapability) X(WHvCreatePartition) X(WHvSetupPartition) X(WHvDeletePartition) X(WHvGetPartitionProperty) \
    X(WHvSetPartitionProperty) X(WHvGetPartitionCounters) X(WHvMapGpaRange) X(WHvMapGpaRange2) X(WHvUnmapGpaRange) \
    X(WHvTranslateGva) X(WHvQueryGpaRangeDirtyBitmap) X(WHvAdviseGpaRange) X(WHvCreateVirtualProcessor) \
    X(WHvDeleteVirtualProcessor) X(WHvRunVirtualProcessor) X(WHvCancelRunVirtualProcessor) X(WHvGetVirtualProcessorRegisters) \
    X(WHvSetVirtualProcessorRegisters) X(WHvGetVirtualProcessorXsaveState) X(WHvSetVirtualProcessorXsaveState) \
    X(WHvGetVirtualProcessorState) X(WHvSetVirtualProcessorState)

enum function {
#define X(name) F_##name,
    FUNCTIONS(X)
#undef X
    FUNCTION_COUNT
};

static struct {
    const char *name;
    int64_t calls, fail_in; /* fail_in: 1 for the next call, 0 for none */
    HRESULT failure;
} functions[] = {
#define X(name) {#name, 0, 0, 0},
    FUNCTIONS(X)
#undef X
};

struct switches switches = {
#define X(field, name, variable, value) value,
    SWITCHES(X)
#undef X
};

int64_t live_views, live_ranges, live_pinned;
static int64_t live_partitions, live_processors;

static pthread_mutex_t global = PTHREAD_MUTEX_INITIALIZER; /* of the list, the faults and the claims */
static pthread_cond_t released = PTHREAD_COND_INITIALIZER;
static struct partition *partitions;
static uintptr_t next_handle = 0x57480010;
static int kick_signal;

/* ---- what surrounds every call ---- */

/* Counts the call, and says how it is to fail, if it is. */
static HRESULT entered(enum function function) {
    HRESULT result = S_OK;
    __atomic_fetch_add(&functions[function].calls, 1, __ATOMIC_RELAXED);
    if (__atomic_load_n(&functions[function].fail_in, __ATOMIC_RELAXED)) {
        pthread_mutex_lock(&global);
        if (functions[function].fail_in && --functions[function].fail_in == 0) result = functions[function].failure;
        pthread_mutex_unlock(&global);
    }
    return result;
}

#define ENTER(name) \
    do { \
        HRESULT fault = entered(F_##name); \
        if (fault != S_OK) return fault; \
    } while (0)

static int *switch_named(const char *name) {
#define X(field, named, variable, value) \
    if (!strcmp(name, named)) return &switches.field;
    SWITCHES(X)
#undef X
    return NULL;
}

__attribute__((constructor)) static void read_environment(void) {
    const char *text;
#define X(field, name, variable, value) \
    switches.field = value; \
    if ((text = getenv(variable)) && *text) switches.field = atoi(text);
    SWITCHES(X)
#undef X
}

HRESULT WINAPI WHvShimSet(const char *name, int value) {
    int *at = name ? switch_named(name) : NULL;
    if (name && !strcmp(name, "*")) {
        read_environment();
        pthread_mutex_lock(&global);
        for (int i = 0; i < FUNCTION_COUNT; i++) functions[i].fail_in = 0;
        pthread_mutex_unlock(&global);
        return S_OK;
    }
    if (!at) return E_INVALIDARG;
    __atomic_store_n(at, value, __ATOMIC_SEQ_CST);
    return S_OK;
}

HRESULT WINAPI WHvShimFail(const char *function, int n, HRESULT result) {
    if (!function || n < 0) return E_INVALIDARG;
    for (int i = 0; i < FUNCTION_COUNT; i++) {
        if (strcmp(function, functions[i].name)) continue;
        pthread_mutex_lock(&global);
        functions[i].failure = result;
        __atomic_store_n(&functions[i].fail_in, n, __ATOMIC_RELAXED);
        pthread_mutex_unlock(&global);
        return S_OK;
    }
    return E_INVALIDARG;
}

int64_t WINAPI WHvShimCount(const char *name) {
    static const struct { const char *name; int64_t *value; } others[] = {{"partitions", &live_partitions},
        {"processors", &live_processors}, {"mappings", &live_ranges}, {"views", &live_views},
        {"pinned.pages", &live_pinned}};
    if (!name) return -1;
    for (int i = 0; i < FUNCTION_COUNT; i++)
        if (!strcmp(name, functions[i].name)) return __atomic_load_n(&functions[i].calls, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < sizeof others / sizeof *others; i++)
        if (!strcmp(name, others[i].name)) return __atomic_load_n(others[i].value, __ATOMIC_RELAXED);
    int *at = switch_named(name);
    return at ? *at : -1;
}

/* ---- KVM ---- */

int kvm_call(int fd, unsigned long request, void *argument) {
    int result;
    do result = ioctl(fd, request, argument);
    while (result < 0 && errno == EINTR);
    return result;
}

static void on_kick(int number) {
    (void)number;
}

/* A real-time signal that nobody has: KVM_RUN returns for it. */
static int choose_signal(void) {
    for (int number = SIGRTMAX - 3; number > SIGRTMIN; number--) {
        struct sigaction now, ours = {.sa_handler = on_kick, .sa_flags = SA_ONSTACK};
        if (sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_DFL && sigaction(number, &ours, NULL) == 0) return number;
    }
    return 0;
}

static int open_kvm(void) {
    return open("/dev/kvm", O_RDWR | O_CLOEXEC);
}

/* Asked once; no descriptor stays open for it. */
struct kvm_system *kvm_system(void) {
    static struct kvm_system system;
    static int known;
    static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&once);
    int fd = known ? -1 : open_kvm();
    if (fd >= 0) {
        struct kvm_cpuid2 *cpuid = calloc(1, sizeof *cpuid + 256 * sizeof *cpuid->entries);
        if (cpuid) cpuid->nent = 256;
        if (cpuid && ioctl(fd, KVM_GET_API_VERSION, 0) == KVM_API_VERSION
                && (ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_SYNC_REGS) & 7) == 7
                && kvm_call(fd, KVM_GET_SUPPORTED_CPUID, cpuid) == 0 && (kick_signal = choose_signal())) {
            system.run_size = ioctl(fd, KVM_GET_VCPU_MMAP_SIZE, 0);
            system.slots = ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_NR_MEMSLOTS);
            system.cpuid = cpuid;
            system.physical_bits = 36;
            system.xsave_size = 576;
            for (uint32_t i = 0; i < cpuid->nent; i++) {
                struct kvm_cpuid_entry2 *entry = &cpuid->entries[i];
                if (entry->function == 0x80000008) system.physical_bits = entry->eax & 0xff;
                if (entry->function == 0xd && entry->index == 0 && (int)entry->ecx > system.xsave_size) system.xsave_size = entry->ecx;
            }
            known = 1;
        } else free(cpuid);
        close(fd);
    }
    pthread_mutex_unlock(&once);
    return known ? &system : NULL;
}

int physical_bits(void) {
    int own = kvm_system() ? kvm_system()->physical_bits : 0;
    return switches.address_width && switches.address_width < own ? switches.address_width : own;
}

static struct kvm_system *present(void) {
    return switches.hypervisor_present ? kvm_system() : NULL;
}

void kick(struct processor *processor) {
    processor->run->immediate_exit = 1;
    pthread_kill(processor->thread, kick_signal);
}

/* ---- capabilities ---- */

const struct kvm_cpuid_entry2 *cpuid_entry(uint32_t function, uint32_t index) {
    struct kvm_cpuid2 *cpuid = kvm_system()->cpuid;
    for (uint32_t i = 0; i < cpuid->nent; i++)
        if (cpuid->entries[i].function == function && cpuid->entries[i].index == index) return &cpuid->entries[i];
    static const struct kvm_cpuid_entry2 none;
    return &none;
}

static HRESULT give(const void *value, uint32_t size, void *buffer, uint32_t room, uint32_t *written) {
    if (written) *written = size;
    if (room < size) return WHV_E_INSUFFICIENT_BUFFER;
    if (!buffer) return E_INVALIDARG;
    memcpy(buffer, value, size);
    return S_OK;
}

static uint64_t xsave_features(void) {
    const struct kvm_cpuid_entry2 *one = cpuid_entry(1, 0), *seven = cpuid_entry(7, 0), *d1 = cpuid_entry(0xd, 1);
    uint64_t avx512 = seven->ebx >> 16 & 1;
    return (one->ecx >> 26 & 1) | (d1->eax & 1) << 1 | (one->ecx >> 28 & 1) << 2 | (seven->ebx >> 5 & 1) << 3
        | (one->ecx >> 12 & 1) << 4 | avx512 << 6 | (uint64_t)(d1->eax >> 1 & 1) << 11;
}

HRESULT WINAPI WHvGetCapability(WHV_CAPABILITY_CODE code, VOID *buffer, UINT32 size, UINT32 *written) {
    ENTER(WHvGetCapability);
    struct kvm_system *system = present();
    uint64_t value = 0, bank[3] = {2};
    if (code == WHvCapabilityCodeHypervisorPresent) {
        WINBOOL there = system != NULL;
        return give(&there, sizeof there, buffer, size, written);
    }
    if (!system) return ERROR_HV_NOT_PRESENT;
    switch ((int)code) {
        case WHvCapabilityCodeFeatures:
            value = (switches.partial_unmap != 0) | 4 | (uint64_t)(switches.dirty_tracking != 0) << 3;
            return give(&value, 8, buffer, size, written);
        case WHvCapabilityCodeExtendedVmExits:
            value = 1 << 14; /* GpaAccessFaultExit */
            return give(&value, 8, buffer, size, written);
        case WHvCapabilityCodeExceptionExitBitmap: case WHvCapabilityCodeX64MsrExitBitmap: case WHvCapabilityCodeProcessorFeatures:
            return give(&value, 8, buffer, size, written);
        case WHvCapabilityCodeProcessorFeaturesBanks: return give(bank, 24, buffer, size, written);
        case WHvCapabilityCodeGpaRangePopulateFlags:
            value = 3;
            return give(&value, 4, buffer, size, written);
        case WHvCapabilityCodeProcessorVendor:
            value = cpuid_entry(0, 0)->ebx == 0x756e6547 ? 1 : cpuid_entry(0, 0)->ebx == 0x6f677948 ? 2 : 0;
            return give(&value, 4, buffer, size, written);
        case WHvCapabilityCodeProcessorClFlushSize:
            value = cpuid_entry(1, 0)->ebx >> 8 & 0xff;
            return give(&value, 1, buffer, size, written);
        case WHvCapabilityCodeProcessorXsaveFeatures:
            value = xsave_features();
            return give(&value, 8, buffer, size, written);
        case WHvCapabilityCodeProcessorClockFrequency:
            value = (uint64_t)cpuid_entry(0x16, 0)->eax * 1000000;
            return give(&value, 8, buffer, size, written);
        case WHvCapabilityCodeInterruptClockFrequency:
            value = 200000000;
            return give(&value, 8, buffer, size, written);
        case WHV_SHIM_PHYSICAL_ADDRESS_WIDTH:
            value = physical_bits();
            return give(&value, 4, buffer, size, written);
        default: return WHV_E_UNKNOWN_CAPABILITY;
    }
}

/* ---- partitions ---- */

/* With a reference; NULL if there is none. */
static struct partition *partition_of(WHV_PARTITION_HANDLE handle) {
    pthread_mutex_lock(&global);
    struct partition *p = partitions;
    while (p && p->handle != handle) p = p->next;
    if (p) p->references++;
    pthread_mutex_unlock(&global);
    return p;
}

static void release(struct partition *p) {
    pthread_mutex_lock(&global);
    p->references--;
    pthread_cond_broadcast(&released);
    pthread_mutex_unlock(&global);
}

/* A process has room for one mapped partition, where the platform says so. */
static int claim_mapping(struct partition *partition, int process) {
    int owner = process ? process : getpid(), good = 1;
    if (!switches.one_mapped_partition) return 1;
    pthread_mutex_lock(&global);
    for (struct partition *p = partitions; p; p = p->next)
        if (p != partition && p->owner == owner) good = 0;
    if (good && !partition->owner) partition->owner = owner;
    pthread_mutex_unlock(&global);
    return good;
}

static void give_up_mapping(struct partition *partition) {
    pthread_mutex_lock(&global);
    partition->owner = 0;
    pthread_mutex_unlock(&global);
}

HRESULT WINAPI WHvCreatePartition(WHV_PARTITION_HANDLE *handle) {
    ENTER(WHvCreatePartition);
    if (!handle) return E_INVALIDARG;
    if (!present()) return ERROR_HV_NOT_PRESENT;
    struct partition *p = calloc(1, sizeof *p);
    if (!p) return E_OUTOFMEMORY;
    p->vm = -1;
    pthread_mutex_init(&p->change, NULL);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
    for (int i = 0; i < MOST_PROCESSORS; i++) p->processors[i] = (struct processor){.partition = p, .index = i, .fd = -1, .pending_vector = -1};
    pthread_mutex_lock(&global);
    p->handle = (WHV_PARTITION_HANDLE)next_handle;
    next_handle += 16;
    p->next = partitions;
    partitions = p;
    pthread_mutex_unlock(&global);
    __atomic_fetch_add(&live_partitions, 1, __ATOMIC_RELAXED);
    *handle = p->handle;
    return S_OK;
}

static int is_vmx(void) {
    char line[4096];
    int found = 0;
    FILE *file = fopen("/proc/cpuinfo", "re");
    if (!file) return 1;
    while (!found && fgets(line, sizeof line, file)) found = !strncmp(line, "flags", 5) && strstr(line, " vmx ");
    fclose(file);
    return found;
}

static HRESULT setup(struct partition *p) {
    struct kvm_system *system = kvm_system();
    if (p->ready || !p->processor_count) return WHV_E_INVALID_PARTITION_CONFIG;
    if (!(p->slot_ids = calloc(system->slots, 1))) return E_OUTOFMEMORY;
    int kvm = open_kvm();
    p->vm = kvm < 0 ? -1 : kvm_call(kvm, KVM_CREATE_VM, NULL);
    if (kvm >= 0) close(kvm);
    if (p->vm < 0) {
        free(p->slot_ids);
        p->slot_ids = NULL;
        return errno == ENOMEM ? E_OUTOFMEMORY : E_UNEXPECTED;
    }
    if (is_vmx()) { /* which needs both before the first processor, and pages that no guest may have */
        uint64_t identity = 0xfeffc000;
        kvm_call(p->vm, KVM_SET_IDENTITY_MAP_ADDR, &identity);
        kvm_call(p->vm, KVM_SET_TSS_ADDR, (void *)0xfeffd000);
    }
    p->ready = 1;
    return S_OK;
}

HRESULT WINAPI WHvSetupPartition(WHV_PARTITION_HANDLE handle) {
    ENTER(WHvSetupPartition);
    struct partition *p = partition_of(handle);
    if (!p) return E_HANDLE;
    pthread_mutex_lock(&p->lock);
    HRESULT result = setup(p);
    pthread_mutex_unlock(&p->lock);
    release(p);
    return result;
}

HRESULT WINAPI WHvDeletePartition(WHV_PARTITION_HANDLE handle) {
    ENTER(WHvDeletePartition);
    pthread_mutex_lock(&global);
    struct partition **at = &partitions, *p;
    while (*at && (*at)->handle != handle) at = &(*at)->next;
    p = *at;
    if (p) *at = p->next;
    pthread_mutex_unlock(&global);
    if (!p) return E_HANDLE;
    pthread_mutex_lock(&p->lock);
    p->closing = 1;
    for (int i = 0; i < MOST_PROCESSORS; i++)
        if (p->processors[i].in_guest) kick(&p->processors[i]);
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    pthread_mutex_lock(&global);
    while (p->references) pthread_cond_wait(&released, &global);
    pthread_mutex_unlock(&global);
    for (int i = 0; i < MOST_PROCESSORS; i++) {
        struct processor *vp = &p->processors[i];
        if (vp->present) __atomic_fetch_sub(&live_processors, 1, __ATOMIC_RELAXED);
        if (vp->fd < 0) continue;
        munmap(vp->run, kvm_system()->run_size);
        close(vp->fd);
    }
    if (p->vm >= 0) close(p->vm);
    drop_ranges(p);
    free(p->cpuid_results);
    free(p->cpuid_results2);
    free(p);
    __atomic_fetch_sub(&live_partitions, 1, __ATOMIC_RELAXED);
    return S_OK;
}

/* ---- properties ---- */

static HRESULT get_property(struct partition *p, int code, void *buffer, uint32_t size, uint32_t *written) {
    uint64_t value = 0;
    switch (code) {
        case WHvPartitionPropertyCodeExtendedVmExits: return give(&p->extended_exits, 8, buffer, size, written);
        case WHvPartitionPropertyCodeExceptionExitBitmap: return give(&p->exception_bitmap, 8, buffer, size, written);
        case WHvPartitionPropertyCodeX64MsrExitBitmap: return give(&p->msr_bitmap, 8, buffer, size, written);
        case WHvPartitionPropertyCodeSeparateSecurityDomain: case WHvPartitionPropertyCodeNestedVirtualization:
        case WHvPartitionPropertyCodeLocalApicEmulationMode:
            return give(&value, 4, buffer, size, written);
        case WHvPartitionPropertyCodeProcessorFeatures: return give(&value, 8, buffer, size, written);
        case WHvPartitionPropertyCodeProcessorClFlushSize:
            value = cpuid_entry(1, 0)->ebx >> 8 & 0xff;
            return give(&value, 1, buffer, size, written);
        case WHvPartitionPropertyCodeProcessorXsaveFeatures:
            value = xsave_features();
            return give(&value, 8, buffer, size, written);
        case WHvPartitionPropertyCodeCpuidResultList:
            return give(p->cpuid_results, p->cpuid_result_count * sizeof *p->cpuid_results, buffer, size, written);
        case WHvPartitionPropertyCodeCpuidResultList2:
            return give(p->cpuid_results2, p->cpuid_result2_count * sizeof *p->cpuid_results2, buffer, size, written);
        case WHvPartitionPropertyCodeProcessorCount: return give(&p->processor_count, 4, buffer, size, written);
        default: return WHV_E_UNKNOWN_PROPERTY;
    }
}

HRESULT WINAPI WHvGetPartitionProperty(WHV_PARTITION_HANDLE handle, WHV_PARTITION_PROPERTY_CODE code, VOID *buffer, UINT32 size,
        UINT32 *written) {
    ENTER(WHvGetPartitionProperty);
    struct partition *p = partition_of(handle);
    if (!p) return E_HANDLE;
    pthread_mutex_lock(&p->lock);
    HRESULT result = get_property(p, code, buffer, size, written);
    pthread_mutex_unlock(&p->lock);
    release(p);
    return result;
}

static HRESULT copy_list(const void *buffer, uint32_t size, uint32_t element, void **list, uint32_t *count) {
    if (size % element) return E_INVALIDARG;
    void *copy = malloc(size + 1);
    if (!copy) return E_OUTOFMEMORY;
    memcpy(copy, buffer, size);
    free(*list);
    *list = copy;
    *count = size / element;
    return S_OK;
}

static HRESULT set_property(struct partition *p, int code, const void *buffer, uint32_t size) {
    uint64_t value = 0;
    uint32_t needed = 8;
    if (!buffer) return E_INVALIDARG;
    switch (code) {
        case WHvPartitionPropertyCodeSeparateSecurityDomain: case WHvPartitionPropertyCodeNestedVirtualization:
        case WHvPartitionPropertyCodeLocalApicEmulationMode: case WHvPartitionPropertyCodeProcessorCount:
            needed = 4;
            break;
        default: break;
    }
    if (code != WHvPartitionPropertyCodeCpuidResultList && code != WHvPartitionPropertyCodeCpuidResultList2) {
        if (size < needed) return E_INVALIDARG;
        memcpy(&value, buffer, needed);
    }
    switch (code) {
        case WHvPartitionPropertyCodeExtendedVmExits:
            if (value & ~(1ull << 14)) return WHV_E_UNSUPPORTED_HYPERVISOR_CONFIG;
            p->extended_exits = value;
            return S_OK;
        case WHvPartitionPropertyCodeExceptionExitBitmap: case WHvPartitionPropertyCodeX64MsrExitBitmap:
            return value ? WHV_E_UNSUPPORTED_HYPERVISOR_CONFIG : S_OK;
        default: break;
    }
    if (p->ready) return WHV_E_INVALID_PARTITION_CONFIG;
    switch (code) {
        case WHvPartitionPropertyCodeProcessorCount:
            if (!value || value > MOST_PROCESSORS) return E_INVALIDARG;
            p->processor_count = value;
            return S_OK;
        case WHvPartitionPropertyCodeSeparateSecurityDomain: return S_OK;
        case WHvPartitionPropertyCodeNestedVirtualization: case WHvPartitionPropertyCodeLocalApicEmulationMode:
            return value ? WHV_E_UNSUPPORTED_HYPERVISOR_CONFIG : S_OK;
        case WHvPartitionPropertyCodeProcessorFeatures: case WHvPartitionPropertyCodeProcessorXsaveFeatures: return S_OK;
        case WHvPartitionPropertyCodeCpuidResultList:
            return copy_list(buffer, size, sizeof *p->cpuid_results, (void **)&p->cpuid_results, &p->cpuid_result_count);
        case WHvPartitionPropertyCodeCpuidResultList2:
            return copy_list(buffer, size, sizeof *p->cpuid_results2, (void **)&p->cpuid_results2, &p->cpuid_result2_count);
        default: return WHV_E_UNKNOWN_PROPERTY;
    }
}

HRESULT WINAPI WHvSetPartitionProperty(WHV_PARTITION_HANDLE handle, WHV_PARTITION_PROPERTY_CODE code, const VOID *buffer, UINT32 size) {
    ENTER(WHvSetPartitionProperty);
    struct partition *p = partition_of(handle);
    if (!p) return E_HANDLE;
    pthread_mutex_lock(&p->lock);
    HRESULT result = set_property(p, code, buffer, size);
    pthread_mutex_unlock(&p->lock);
    release(p);
    return result;
}

HRESULT WINAPI WHvGetPartitionCounters(WHV_PARTITION_HANDLE handle, WHV_PARTITION_COUNTER_SET set, VOID *buffer, UINT32 size,
        UINT32 *written) {
    ENTER(WHvGetPartitionCounters);
    struct partition *p = partition_of(handle);
    if (!p) return E_HANDLE;
    WHV_PARTITION_MEMORY_COUNTERS counters = {0};
    pthread_mutex_lock(&p->lock);
    for (int i = 0; i < p->slot_count; i++) counters.Mapped4KPageCount += p->slots[i].size / PAGE;
    pthread_mutex_unlock(&p->lock);
    release(p);
    if (set != WHvPartitionCounterSetMemory) return E_INVALIDARG;
    return give(&counters, sizeof counters, buffer, size, written);
}

/* ---- memory ---- */

static HRESULT map(WHV_PARTITION_HANDLE handle, int process, VOID *source, UINT64 gpa, UINT64 size, UINT32 flags) {
    struct partition *p = partition_of(handle);
    struct view *view = NULL;
    if (!p) return E_HANDLE;
    HRESULT result = S_OK;
    uint8_t *host = source;
    pthread_mutex_lock(&p->change);
    if (!p->ready) result = E_INVALIDARG;
    else if (!claim_mapping(p, process)) result = ERROR_VID_PARTITION_ALREADY_EXISTS;
    else if (process && (result = view_of(process, (uintptr_t)source, size, &view)) == S_OK) host = view->address;
    if (result == S_OK) {
        pthread_mutex_lock(&p->lock);
        result = map_range(p, host, gpa, size, flags, view);
        if (result != S_OK) release_view(view);
        pthread_mutex_unlock(&p->lock);
    }
    if (result != S_OK && !p->range_count) give_up_mapping(p);
    pthread_mutex_unlock(&p->change);
    release(p);
    return result;
}

HRESULT WINAPI WHvMapGpaRange(WHV_PARTITION_HANDLE handle, VOID *source, UINT64 gpa, UINT64 size, WHV_MAP_GPA_RANGE_FLAGS flags) {
    ENTER(WHvMapGpaRange);
    return map(handle, 0, source, gpa, size, flags);
}

HRESULT WINAPI WHvMapGpaRange2(WHV_PARTITION_HANDLE handle, HANDLE process, VOID *source, UINT64 gpa, UINT64 size,
        WHV_MAP_GPA_RANGE_FLAGS flags) {
    ENTER(WHvMapGpaRange2);
    if (!switches.remote_process) return E_NOTIMPL;
    int number = process_of(process);
    return number < 0 ? E_HANDLE : map(handle, number, source, gpa, size, flags);
}

HRESULT WINAPI WHvUnmapGpaRange(WHV_PARTITION_HANDLE handle, UINT64 gpa, UINT64 size) {
    ENTER(WHvUnmapGpaRange);
    struct partition *p = partition_of(handle);
    if (!p) return E_HANDLE;
    pthread_mutex_lock(&p->change);
    pthread_mutex_lock(&p->lock);
    HRESULT result = unmap_range(p, gpa, size);
    pthread_mutex_unlock(&p->lock);
    pthread_mutex_unlock(&p->change);
    release(p);
    return result;
}

HRESULT WINAPI WHvQueryGpaRangeDirtyBitmap(WHV_PARTITION_HANDLE handle, UINT64 gpa, UINT64 size, UINT64 *bitmap, UINT32 bytes) {
    ENTER(WHvQueryGpaRangeDirtyBitmap);
    struct partition *p = partition_of(handle);
    if (!p) return E_HANDLE;
    pthread_mutex_lock(&p->change);
    pthread_mutex_lock(&p->lock);
    HRESULT result = query_dirty(p, gpa, size, bitmap, bytes);
    pthread_mutex_unlock(&p->lock);
    pthread_mutex_unlock(&p->change);
    release(p);
    return result;
}

HRESULT WINAPI WHvAdviseGpaRange(WHV_PARTITION_HANDLE handle, const WHV_MEMORY_RANGE_ENTRY *ranges, UINT32 count,
        WHV_ADVISE_GPA_RANGE_CODE advice, const VOID *buffer, UINT32 size) {
    ENTER(WHvAdviseGpaRange);
    if (!switches.advise) return E_NOTIMPL;
    struct partition *p = partition_of(handle);
    if (!p) return E_HANDLE;
    HRESULT result = S_OK;
    if (!ranges || !count || advice > WHvAdviseGpaRangeCodeUnpin
            || (advice == WHvAdviseGpaRangeCodePopulate && (!buffer || size < sizeof(WHV_ADVISE_GPA_RANGE_POPULATE))))
        result = E_INVALIDARG;
    pthread_mutex_lock(&p->change);
    pthread_mutex_lock(&p->lock);
    for (uint32_t i = 0; i < count && result == S_OK; i++)
        result = advise_range(p, ranges[i].GuestAddress, ranges[i].SizeInBytes, advice);
    pthread_mutex_unlock(&p->lock);
    pthread_mutex_unlock(&p->change);
    release(p);
    return result;
}

/* ---- processors ---- */

/* The bits of mask in the leaf's results; in all its subleaves, or in one. */
static void change_cpuid(struct kvm_cpuid2 *cpuid, uint32_t function, int64_t index, const WHV_CPUID_OUTPUT *output,
        const WHV_CPUID_OUTPUT *mask) {
    int found = 0;
    for (uint32_t i = 0; i < cpuid->nent; i++) {
        struct kvm_cpuid_entry2 *entry = &cpuid->entries[i];
        if (entry->function != function || (index >= 0 && entry->index != index)) continue;
        entry->eax = (entry->eax & ~mask->Eax) | (output->Eax & mask->Eax);
        entry->ebx = (entry->ebx & ~mask->Ebx) | (output->Ebx & mask->Ebx);
        entry->ecx = (entry->ecx & ~mask->Ecx) | (output->Ecx & mask->Ecx);
        entry->edx = (entry->edx & ~mask->Edx) | (output->Edx & mask->Edx);
        found = 1;
    }
    if (!found)
        cpuid->entries[cpuid->nent++] = (struct kvm_cpuid_entry2){.function = function, .index = index < 0 ? 0 : index,
            .flags = index < 0 ? 0 : KVM_CPUID_FLAG_SIGNIFCANT_INDEX, .eax = output->Eax & mask->Eax, .ebx = output->Ebx & mask->Ebx,
            .ecx = output->Ecx & mask->Ecx, .edx = output->Edx & mask->Edx};
}

/* What KVM supports, without its own paravirtual leaves, with the processor's number and what the partition's owner asked for. */
static int set_cpuid(struct processor *vp) {
    struct kvm_cpuid2 *all = kvm_system()->cpuid, *cpuid;
    struct partition *p = vp->partition;
    cpuid = calloc(1, sizeof *cpuid + (all->nent + p->cpuid_result_count + p->cpuid_result2_count) * sizeof *cpuid->entries);
    if (!cpuid) return -1;
    for (uint32_t i = 0; i < all->nent; i++) {
        struct kvm_cpuid_entry2 entry = all->entries[i];
        if (entry.function >> 16 == 0x4000) continue;
        if (entry.function == 1) entry.ebx = (entry.ebx & 0x00ffffff) | vp->index << 24;
        if (entry.function == 0xb || entry.function == 0x1f) entry.edx = vp->index;
        cpuid->entries[cpuid->nent++] = entry;
    }
    for (uint32_t i = 0; i < p->cpuid_result_count; i++) {
        static const WHV_CPUID_OUTPUT all_bits = {~0u, ~0u, ~0u, ~0u};
        WHV_X64_CPUID_RESULT *r = &p->cpuid_results[i];
        WHV_CPUID_OUTPUT output = {r->Eax, r->Ebx, r->Ecx, r->Edx};
        change_cpuid(cpuid, r->Function, -1, &output, &all_bits);
    }
    for (uint32_t i = 0; i < p->cpuid_result2_count; i++) {
        WHV_X64_CPUID_RESULT2 *r = &p->cpuid_results2[i];
        if (r->Flags & WHvX64CpuidResult2FlagVpSpecific && r->VpIndex != vp->index) continue;
        change_cpuid(cpuid, r->Function, r->Flags & WHvX64CpuidResult2FlagSubleafSpecific ? (int64_t)r->Index : -1, &r->Output, &r->Mask);
    }
    int result = kvm_call(vp->fd, KVM_SET_CPUID2, cpuid);
    free(cpuid);
    return result;
}

static HRESULT create_processor(struct partition *p, uint32_t index) {
    if (!p->ready) return WHV_E_INVALID_PARTITION_CONFIG;
    if (index >= p->processor_count) return E_INVALIDARG;
    struct processor *vp = &p->processors[index];
    if (vp->present) return WHV_E_VP_ALREADY_EXISTS;
    if (vp->fd < 0) {
        int fd = kvm_call(p->vm, KVM_CREATE_VCPU, (void *)(uintptr_t)index);
        if (fd < 0) return errno == ENOMEM ? E_OUTOFMEMORY : E_UNEXPECTED;
        vp->run = mmap(NULL, kvm_system()->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        vp->fd = fd;
        if (vp->run == MAP_FAILED || set_cpuid(vp) < 0 || kvm_call(fd, KVM_GET_REGS, &vp->reset_regs) < 0
                || kvm_call(fd, KVM_GET_SREGS, &vp->reset_sregs) < 0) {
            if (vp->run != MAP_FAILED) munmap(vp->run, kvm_system()->run_size);
            close(fd);
            vp->fd = -1;
            return E_UNEXPECTED;
        }
        vp->run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS | KVM_SYNC_X86_EVENTS;
    } else { /* KVM makes a processor once: one that was deleted and is made again starts over */
        struct kvm_vcpu_events none = {.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW};
        kvm_call(vp->fd, KVM_SET_SREGS, &vp->reset_sregs);
        kvm_call(vp->fd, KVM_SET_REGS, &vp->reset_regs);
        kvm_call(vp->fd, KVM_SET_VCPU_EVENTS, &none);
        vp->run->cr8 = 0;
        vp->run->kvm_dirty_regs = 0;
    }
    vp->cancelled = vp->has_refused = vp->fresh = 0;
    vp->notifications = vp->activity = 0;
    vp->pending_vector = -1;
    vp->present = 1;
    __atomic_fetch_add(&live_processors, 1, __ATOMIC_RELAXED);
    return S_OK;
}

HRESULT WINAPI WHvCreateVirtualProcessor(WHV_PARTITION_HANDLE handle, UINT32 index, UINT32 flags) {
    ENTER(WHvCreateVirtualProcessor);
    struct partition *p = partition_of(handle);
    if (!p) return E_HANDLE;
    pthread_mutex_lock(&p->lock);
    HRESULT result = flags ? E_INVALIDARG : create_processor(p, index);
    pthread_mutex_unlock(&p->lock);
    release(p);
    return result;
}

/* The processor for this call alone; its partition must be released after. */
static HRESULT claim(WHV_PARTITION_HANDLE handle, uint32_t index, struct processor **vp) {
    struct partition *p = partition_of(handle);
    HRESULT result = S_OK;
    if (!p) return E_HANDLE;
    pthread_mutex_lock(&p->lock);
    if (index >= MOST_PROCESSORS || !p->processors[index].present) result = WHV_E_VP_DOES_NOT_EXIST;
    else if (p->processors[index].busy) result = WHV_E_INVALID_VP_STATE;
    else {
        *vp = &p->processors[index];
        (*vp)->busy = 1;
    }
    pthread_mutex_unlock(&p->lock);
    if (result != S_OK) release(p);
    return result;
}

static void done(struct processor *vp) {
    struct partition *p = vp->partition;
    pthread_mutex_lock(&p->lock);
    vp->busy = 0;
    pthread_mutex_unlock(&p->lock);
    release(p);
}

HRESULT WINAPI WHvDeleteVirtualProcessor(WHV_PARTITION_HANDLE handle, UINT32 index) {
    ENTER(WHvDeleteVirtualProcessor);
    struct processor *vp;
    HRESULT result = claim(handle, index, &vp);
    if (result != S_OK) return result;
    vp->present = 0;
    __atomic_fetch_sub(&live_processors, 1, __ATOMIC_RELAXED);
    done(vp);
    return S_OK;
}

HRESULT WINAPI WHvRunVirtualProcessor(WHV_PARTITION_HANDLE handle, UINT32 index, VOID *buffer, UINT32 size) {
    ENTER(WHvRunVirtualProcessor);
    struct processor *vp;
    WHV_RUN_VP_EXIT_CONTEXT context;
    if (!buffer || size < offsetof(WHV_RUN_VP_EXIT_CONTEXT, Largest)) return E_INVALIDARG;
    HRESULT result = claim(handle, index, &vp);
    if (result != S_OK) return result;
    result = run_processor(vp, &context);
    done(vp);
    if (result == S_OK) memcpy(buffer, &context, size < sizeof context ? size : sizeof context);
    return result;
}

HRESULT WINAPI WHvCancelRunVirtualProcessor(WHV_PARTITION_HANDLE handle, UINT32 index, UINT32 flags) {
    ENTER(WHvCancelRunVirtualProcessor);
    struct partition *p = partition_of(handle);
    if (!p) return E_HANDLE;
    HRESULT result = S_OK;
    pthread_mutex_lock(&p->lock);
    if (flags) result = E_INVALIDARG;
    else if (index >= MOST_PROCESSORS || !p->processors[index].present) result = WHV_E_VP_DOES_NOT_EXIST;
    else {
        p->processors[index].cancelled = 1;
        if (p->processors[index].in_guest) kick(&p->processors[index]);
        pthread_cond_broadcast(&p->changed);
    }
    pthread_mutex_unlock(&p->lock);
    release(p);
    return result;
}

HRESULT WINAPI WHvGetVirtualProcessorRegisters(WHV_PARTITION_HANDLE handle, UINT32 index, const WHV_REGISTER_NAME *names, UINT32 count,
        WHV_REGISTER_VALUE *values) {
    ENTER(WHvGetVirtualProcessorRegisters);
    struct processor *vp;
    if (!names || !values || !count) return E_INVALIDARG;
    HRESULT result = claim(handle, index, &vp);
    if (result != S_OK) return result;
    result = get_registers(vp, names, count, values);
    done(vp);
    return result;
}

HRESULT WINAPI WHvSetVirtualProcessorRegisters(WHV_PARTITION_HANDLE handle, UINT32 index, const WHV_REGISTER_NAME *names, UINT32 count,
        const WHV_REGISTER_VALUE *values) {
    ENTER(WHvSetVirtualProcessorRegisters);
    struct processor *vp;
    if (!names || !values || !count) return E_INVALIDARG;
    HRESULT result = claim(handle, index, &vp);
    if (result != S_OK) return result;
    result = set_registers(vp, names, count, values);
    done(vp);
    return result;
}

static HRESULT xsave_get(WHV_PARTITION_HANDLE handle, UINT32 index, VOID *buffer, UINT32 size, UINT32 *written) {
    struct processor *vp;
    HRESULT result = claim(handle, index, &vp);
    if (result != S_OK) return result;
    result = get_xsave(vp, buffer, size, written);
    done(vp);
    return result;
}

static HRESULT xsave_set(WHV_PARTITION_HANDLE handle, UINT32 index, const VOID *buffer, UINT32 size) {
    struct processor *vp;
    HRESULT result = claim(handle, index, &vp);
    if (result != S_OK) return result;
    result = set_xsave(vp, buffer, size);
    done(vp);
    return result;
}

HRESULT WINAPI WHvGetVirtualProcessorXsaveState(WHV_PARTITION_HANDLE handle, UINT32 index, VOID *buffer, UINT32 size, UINT32 *written) {
    ENTER(WHvGetVirtualProcessorXsaveState);
    return xsave_get(handle, index, buffer, size, written);
}

HRESULT WINAPI WHvSetVirtualProcessorXsaveState(WHV_PARTITION_HANDLE handle, UINT32 index, const VOID *buffer, UINT32 size) {
    ENTER(WHvSetVirtualProcessorXsaveState);
    return xsave_set(handle, index, buffer, size);
}

HRESULT WINAPI WHvGetVirtualProcessorState(WHV_PARTITION_HANDLE handle, UINT32 index, WHV_VIRTUAL_PROCESSOR_STATE_TYPE type,
        VOID *buffer, UINT32 size, UINT32 *written) {
    ENTER(WHvGetVirtualProcessorState);
    return type == WHvVirtualProcessorStateTypeXsaveState ? xsave_get(handle, index, buffer, size, written) : E_INVALIDARG;
}

HRESULT WINAPI WHvSetVirtualProcessorState(WHV_PARTITION_HANDLE handle, UINT32 index, WHV_VIRTUAL_PROCESSOR_STATE_TYPE type,
        const VOID *buffer, UINT32 size) {
    ENTER(WHvSetVirtualProcessorState);
    return type == WHvVirtualProcessorStateTypeXsaveState ? xsave_set(handle, index, buffer, size) : E_INVALIDARG;
}

static WHV_TRANSLATE_GVA_RESULT_CODE check(struct partition *p, const struct kvm_sregs *sregs, const struct walk *found, UINT32 flags) {
    int exempt = flags & WHvTranslateGvaFlagPrivilegeExempt, user = (sregs->cr0 & 1) && sregs->ss.dpl == 3;
    if (found->result != WHvTranslateGvaResultSuccess) return found->result;
    if (!exempt && user && !found->user) return WHvTranslateGvaResultPrivilegeViolation;
    if (flags & WHvTranslateGvaFlagValidateWrite && !found->writable && (user || sregs->cr0 >> 16 & 1)) return WHvTranslateGvaResultPrivilegeViolation;
    if (flags & WHvTranslateGvaFlagValidateExecute && found->no_execute) return WHvTranslateGvaResultPrivilegeViolation;
    struct range *range = range_at(p, found->gpa);
    if (!range) return WHvTranslateGvaResultGpaUnmapped;
    if (flags & WHvTranslateGvaFlagValidateWrite && !(range->flags & WHvMapGpaRangeFlagWrite)) return WHvTranslateGvaResultGpaNoWriteAccess;
    return WHvTranslateGvaResultSuccess;
}

HRESULT WINAPI WHvTranslateGva(WHV_PARTITION_HANDLE handle, UINT32 index, UINT64 gva, WHV_TRANSLATE_GVA_FLAGS flags,
        WHV_TRANSLATE_GVA_RESULT *result, UINT64 *gpa) {
    ENTER(WHvTranslateGva);
    struct processor *vp;
    struct kvm_sregs sregs;
    if (!result || !gpa) return E_INVALIDARG;
    HRESULT status = claim(handle, index, &vp);
    if (status != S_OK) return status;
    if (vp->has_refused) sregs = vp->refused;
    else if (kvm_call(vp->fd, KVM_GET_SREGS, &sregs) < 0) status = E_UNEXPECTED;
    if (status == S_OK) {
        pthread_mutex_lock(&vp->partition->lock);
        struct walk found = walk(vp->partition, &sregs, gva);
        result->ResultCode = check(vp->partition, &sregs, &found, flags);
        result->Reserved = 0;
        *gpa = found.result == WHvTranslateGvaResultSuccess ? found.gpa & ~(PAGE - 1ull) : 0;
        pthread_mutex_unlock(&vp->partition->lock);
    }
    done(vp);
    return status;
}
