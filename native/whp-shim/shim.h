/* What the parts of the shim share. */
#ifndef SHIM_H
#define SHIM_H

#include "whp.h"

#include <linux/kvm.h>
#include <pthread.h>
#include <stddef.h>

#define S_OK 0
#define E_NOTIMPL ((HRESULT)0x80004001)
#define E_UNEXPECTED ((HRESULT)0x8000ffff)
#define E_ACCESSDENIED ((HRESULT)0x80070005)
#define E_HANDLE ((HRESULT)0x80070006)
#define E_OUTOFMEMORY ((HRESULT)0x8007000e)
#define E_INVALIDARG ((HRESULT)0x80070057)
#define WHV_E_UNKNOWN_CAPABILITY ((HRESULT)0x80370300)
#define WHV_E_INSUFFICIENT_BUFFER ((HRESULT)0x80370301)
#define WHV_E_UNKNOWN_PROPERTY ((HRESULT)0x80370302)
#define WHV_E_UNSUPPORTED_HYPERVISOR_CONFIG ((HRESULT)0x80370303)
#define WHV_E_INVALID_PARTITION_CONFIG ((HRESULT)0x80370304)
#define WHV_E_GPA_RANGE_NOT_FOUND ((HRESULT)0x80370305)
#define WHV_E_VP_ALREADY_EXISTS ((HRESULT)0x80370306)
#define WHV_E_VP_DOES_NOT_EXIST ((HRESULT)0x80370307)
#define WHV_E_INVALID_VP_STATE ((HRESULT)0x80370308)
#define WHV_E_INVALID_VP_REGISTER_NAME ((HRESULT)0x80370309)
#define ERROR_VID_PARTITION_ALREADY_EXISTS ((HRESULT)0xc0370008)
#define ERROR_HV_NOT_PRESENT ((HRESULT)0xc0351000)

enum { PAGE = 4096, MOST_PROCESSORS = 64 };
enum { REGS = 1, SREGS = 2, FPU = 4, DEBUG = 8, XCRS = 16, EVENTS = 32 }; /* KVM's groups of registers */

/* One line a switch: name, environment variable, value when neither is set. */
#define SWITCHES(X) \
    X(hypervisor_present, "hypervisor.present", "WHV_SHIM_HYPERVISOR_PRESENT", 1) \
    X(overlap, "overlap", "WHV_SHIM_OVERLAP", 1) \
    X(partial_unmap, "partial.unmap", "WHV_SHIM_PARTIAL_UNMAP", 1) \
    X(one_mapped_partition, "one.mapped.partition", "WHV_SHIM_ONE_MAPPED_PARTITION", 0) \
    X(lazy, "lazy", "WHV_SHIM_LAZY", 0) \
    X(address_width, "address.width", "WHV_SHIM_ADDRESS_WIDTH", 0) \
    X(large_address_bits, "large.address.bits", "WHV_SHIM_LARGE_ADDRESS_BITS", 0) \
    X(dirty_tracking, "dirty.tracking", "WHV_SHIM_DIRTY_TRACKING", 1) \
    X(remote_process, "remote.process", "WHV_SHIM_REMOTE_PROCESS", 1) \
    X(advise, "advise", "WHV_SHIM_ADVISE", 1) \
    X(exact_rip, "exact.rip", "WHV_SHIM_EXACT_RIP", 1) \
    X(xsave_compacted, "xsave.compacted", "WHV_SHIM_XSAVE_COMPACTED", 0) \
    X(instruction_bytes, "instruction.bytes", "WHV_SHIM_INSTRUCTION_BYTES", 16)

struct switches {
#define X(field, name, variable, value) int field;
    SWITCHES(X)
#undef X
};
extern struct switches switches;

/* Memory of another process, mapped into this one. */
struct view {
    void *address;
    uint64_t size;
    int references;
};

/* What one call of WHvMapGpaRange mapped, or what is left of it. */
struct range {
    uint64_t gpa, size;
    uint8_t *host;
    uint32_t flags;
    uint64_t *dirty;    /* bit a page, if tracked: what was taken out of KVM's log and not yet asked for */
    uint8_t *populated; /* byte a page, if population is lazy; NULL when all of it is there */
    uint8_t *pinned;    /* byte a page, or NULL */
    struct view *view;
};

struct slot {
    uint64_t gpa, size;
    uint8_t *host;
    uint32_t flags; /* KVM's */
    uint32_t id;
};

struct processor {
    struct partition *partition;
    uint32_t index;
    int fd, present, busy, cancelled, retries;
    int in_guest;
    pthread_t thread; /* that runs it; meaningful while in_guest */
    struct kvm_run *run;
    int fresh; /* which groups of the last exit's registers (run->s.regs) still are the processor's */
    struct kvm_regs reset_regs;
    struct kvm_sregs reset_sregs;
    struct kvm_sregs refused; /* set by the caller and refused by KVM; what counts while has_refused */
    int has_refused;
    uint64_t notifications, activity;
    int pending_vector; /* of an external interrupt that waits until it can be delivered, or -1 */
};

struct partition {
    struct partition *next;
    WHV_PARTITION_HANDLE handle;
    int references, closing;
    int vm, ready;
    pthread_mutex_t change; /* taken before the other, by who changes ranges and slots: it may have to wait in the middle */
    pthread_mutex_t lock;   /* of all below */
    pthread_cond_t changed;
    int holding, inside; /* changes that need the processors out of the guest; processors in it */
    struct range *ranges;
    int range_count, range_room;
    struct slot *slots;
    int slot_count, slot_room;
    uint8_t *slot_ids;
    uint32_t next_slot_id;
    int owner; /* the process whose place as the one mapped partition it takes, or 0 */
    struct processor processors[MOST_PROCESSORS];
    uint32_t processor_count;
    uint64_t extended_exits, exception_bitmap, msr_bitmap;
    WHV_X64_CPUID_RESULT *cpuid_results;
    uint32_t cpuid_result_count, cpuid_result2_count;
    WHV_X64_CPUID_RESULT2 *cpuid_results2;
};

struct kvm_system {
    int run_size, slots, xsave_size, physical_bits;
    struct kvm_cpuid2 *cpuid;
};

/* shim.c */
struct kvm_system *kvm_system(void); /* NULL if there is no usable /dev/kvm */
int kvm_call(int fd, unsigned long request, void *argument); /* repeats what a signal interrupted */
int physical_bits(void);
const struct kvm_cpuid_entry2 *cpuid_entry(uint32_t function, uint32_t index); /* what KVM supports; zeros for what it does not know */
void kick(struct processor *processor); /* partition locked */
extern int64_t live_views, live_ranges, live_pinned; /* pinned: pages */

/* memory.c: all with the partition locked, those that change anything with both locks */
HRESULT map_range(struct partition *p, uint8_t *host, uint64_t gpa, uint64_t size, uint32_t flags, struct view *view);
HRESULT unmap_range(struct partition *p, uint64_t gpa, uint64_t size);
HRESULT query_dirty(struct partition *p, uint64_t gpa, uint64_t size, uint64_t *bitmap, uint32_t bytes);
HRESULT advise_range(struct partition *p, uint64_t gpa, uint64_t size, WHV_ADVISE_GPA_RANGE_CODE advice);
void drop_ranges(struct partition *p);
struct range *range_at(struct partition *p, uint64_t gpa);
int populated_at(struct partition *p, uint64_t gpa);
int populate_touched(struct partition *p, uint64_t gpa); /* whether the host touched the page since, and it is now populated */
int populate_page(struct partition *p, uint64_t gpa);
int guest_read(struct partition *p, uint64_t gpa, void *buffer, size_t size); /* whether all of it could be read */
int guest_write(struct partition *p, uint64_t gpa, const void *buffer, size_t size);
void release_view(struct view *view);
int hide_slot(struct partition *p, uint64_t gpa, struct slot *hidden); /* whether there was one; no processor runs until it is shown again */
void show_slot(struct partition *p, const struct slot *hidden);

/* remote.c */
HRESULT view_of(int process, uint64_t address, uint64_t size, struct view **view);

/* platform_linux.c, platform_wine.c */
int process_of(HANDLE handle); /* its number in the system, 0 for this one, -1 if unknown */

/* walk.c */
struct walk {
    uint64_t gpa, page_size;
    int writable, user, no_execute;
    WHV_TRANSLATE_GVA_RESULT_CODE result;
};
struct walk walk(struct partition *p, const struct kvm_sregs *sregs, uint64_t gva);
void populate_tables(struct partition *p, const struct kvm_sregs *sregs);

/* exits.c */
void set_general(struct processor *processor, const struct kvm_regs *regs);
HRESULT run_processor(struct processor *processor, WHV_RUN_VP_EXIT_CONTEXT *context);

/* registers.c */
HRESULT get_registers(struct processor *vp, const WHV_REGISTER_NAME *names, uint32_t count, WHV_REGISTER_VALUE *values);
HRESULT set_registers(struct processor *vp, const WHV_REGISTER_NAME *names, uint32_t count, const WHV_REGISTER_VALUE *values);
HRESULT get_xsave(struct processor *vp, void *buffer, uint32_t size, uint32_t *written);
HRESULT set_xsave(struct processor *vp, const void *buffer, uint32_t size);
void to_segment(const struct kvm_segment *from, WHV_X64_SEGMENT_REGISTER *to);

#endif
