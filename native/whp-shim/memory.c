/* Guest-physical ranges and the memory slots that make them. */
#define _GNU_SOURCE
#include "shim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>
#include <fcntl.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

static int first_range(struct partition *p, uint64_t gpa) {
    int low = 0, high = p->range_count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (p->ranges[middle].gpa + p->ranges[middle].size <= gpa) low = middle + 1;
        else high = middle;
    }
    return low;
}

static int first_slot(struct partition *p, uint64_t gpa) {
    int low = 0, high = p->slot_count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (p->slots[middle].gpa + p->slots[middle].size <= gpa) low = middle + 1;
        else high = middle;
    }
    return low;
}

struct range *range_at(struct partition *p, uint64_t gpa) {
    int i = first_range(p, gpa);
    return i < p->range_count && p->ranges[i].gpa <= gpa ? &p->ranges[i] : NULL;
}

int populated_at(struct partition *p, uint64_t gpa) {
    struct range *range = range_at(p, gpa);
    return range && (!range->populated || range->populated[(gpa - range->gpa) / PAGE]);
}

/* ---- slots ---- */

static int set_slot(struct partition *p, const struct slot *slot, int present) {
    struct kvm_userspace_memory_region region = {
        slot->id, present ? slot->flags : 0, slot->gpa, present ? slot->size : 0, (uintptr_t)slot->host};
    return kvm_call(p->vm, KVM_SET_USER_MEMORY_REGION, &region);
}

static int new_slot_id(struct partition *p, uint32_t *id) {
    uint32_t most = kvm_system()->slots;
    for (uint32_t i = 0; i < most; i++) {
        uint32_t candidate = (p->next_slot_id + i) % most;
        if (!p->slot_ids[candidate]) {
            p->slot_ids[candidate] = 1;
            p->next_slot_id = candidate + 1;
            *id = candidate;
            return 0;
        }
    }
    errno = ENOSPC;
    return -1;
}

/* Puts count elements in the place of those from i to j of a growing array. */
static int put_in(void **array, int *length, int *room, size_t element, int i, int j, const void *with, int count) {
    int after = *length - j, total = i + count + after;
    if (total > *room) {
        int bigger = total * 2 + 16;
        void *grown = realloc(*array, bigger * element);
        if (!grown) return -1;
        *array = grown;
        *room = bigger;
    }
    char *bytes = *array;
    if (after) memmove(bytes + (i + count) * element, bytes + j * element, after * element);
    if (count) memcpy(bytes + i * element, with, count * element);
    *length = total;
    return 0;
}

struct slots {
    struct slot *at;
    int count, room;
};

static int add_slot(struct slots *slots, struct slot slot) {
    return put_in((void **)&slots->at, &slots->count, &slots->room, sizeof slot, slots->count, slots->count, &slot, 1);
}

/* The slots that a range needs: one, or one for each run of populated pages. */
static int slots_of(const struct range *range, struct slots *slots) {
    uint32_t flags = (range->flags & WHvMapGpaRangeFlagWrite ? 0 : KVM_MEM_READONLY)
        | (range->flags & WHvMapGpaRangeFlagTrackDirtyPages ? KVM_MEM_LOG_DIRTY_PAGES : 0);
    if (!range->populated) return add_slot(slots, (struct slot){range->gpa, range->size, range->host, flags, 0});
    uint64_t pages = range->size / PAGE;
    for (uint64_t i = 0, end; i < pages; i = end + 1) {
        for (; i < pages && !range->populated[i]; i++);
        for (end = i; end < pages && range->populated[end]; end++);
        if (i < pages
                && add_slot(slots, (struct slot){range->gpa + i * PAGE, (end - i) * PAGE, range->host + i * PAGE, flags, 0}) < 0)
            return -1;
    }
    return 0;
}

static int same_slot(const struct slot *a, const struct slot *b) {
    return a->gpa == b->gpa && a->size == b->size && a->host == b->host && a->flags == b->flags;
}

/* Keeps the processors out of the guest while memory is replaced: no guest sees the hole between delete and add. */
static void hold(struct partition *p) {
    p->holding++;
    for (uint32_t i = 0; i < MOST_PROCESSORS; i++)
        if (p->processors[i].in_guest) kick(&p->processors[i]);
    while (p->inside) pthread_cond_wait(&p->changed, &p->lock);
}

static void let_go(struct partition *p) {
    p->holding--;
    pthread_cond_broadcast(&p->changed);
}

/*
 * Makes the slots between low and high those that the ranges there need. No range and no slot may cross low or high.
 * Returns 0, or -1 with errno and the slots as they were.
 */
static int sync_slots(struct partition *p, uint64_t low, uint64_t high) {
    struct slots want = {0};
    int result = -1, saved = 0;
    for (int i = first_range(p, low); i < p->range_count && p->ranges[i].gpa < high; i++)
        if (slots_of(&p->ranges[i], &want) < 0) goto out;
    int from = first_slot(p, low), to = from, delete = 0, add = 0;
    while (to < p->slot_count && p->slots[to].gpa < high) to++;
    int have = to - from;
    uint8_t *keep = calloc(have + want.count + 1, 1), *kept = keep + have;
    struct slot *old = malloc((have + 1) * sizeof *old);
    if (!keep || !old) goto free;
    if (have) memcpy(old, p->slots + from, have * sizeof *old);
    for (int i = 0, j = 0; i < have && j < want.count;) {
        if (same_slot(&old[i], &want.at[j])) {
            want.at[j].id = old[i].id;
            keep[i++] = kept[j++] = 1;
        } else if (old[i].gpa < want.at[j].gpa || (old[i].gpa == want.at[j].gpa && old[i].size < want.at[j].size)) i++;
        else j++;
    }
    for (int i = 0; i < have; i++) delete += !keep[i];
    for (int j = 0; j < want.count; j++) add += !kept[j];
    if (delete && add) hold(p);
    int deleted = 0, added = 0;
    for (; deleted < have; deleted++)
        if (!keep[deleted] && set_slot(p, &old[deleted], 0) < 0) break;
    if (deleted == have) {
        for (; added < want.count; added++) {
            if (kept[added]) continue;
            if (new_slot_id(p, &want.at[added].id) < 0) break;
            if (set_slot(p, &want.at[added], 1) < 0) {
                saved = errno;
                p->slot_ids[want.at[added].id] = 0;
                errno = saved;
                break;
            }
        }
    }
    if (deleted == have && added == want.count
            && put_in((void **)&p->slots, &p->slot_count, &p->slot_room, sizeof *p->slots, from, to, want.at, want.count) == 0) {
        for (int i = 0; i < have; i++)
            if (!keep[i]) p->slot_ids[old[i].id] = 0;
        result = 0;
    } else {
        saved = errno;
        for (int j = 0; j < added; j++)
            if (!kept[j]) set_slot(p, &want.at[j], 0), p->slot_ids[want.at[j].id] = 0;
        for (int i = 0; i < deleted; i++)
            if (!keep[i]) set_slot(p, &old[i], 1);
    }
    if (delete && add) let_go(p);
free:
    free(keep);
    free(old);
out:
    free(want.at);
    if (result < 0 && saved) errno = saved;
    return result;
}

static HRESULT failed(void) {
    switch (errno) {
        case ENOMEM: case ENOSPC: return E_OUTOFMEMORY;
        default: return E_INVALIDARG;
    }
}

/* ---- dirty pages ---- */

static uint64_t words(uint64_t size) {
    return (size / PAGE + 63) / 64;
}

static void set_bit(uint64_t *bits, uint64_t i) {
    bits[i / 64] |= 1ull << (i % 64);
}

static int get_bit(const uint64_t *bits, uint64_t i) {
    return bits[i / 64] >> (i % 64) & 1;
}

/* Takes what KVM logged into the range's own bitmap. */
static void harvest(struct partition *p, struct range *range) {
    if (!range->dirty) return;
    for (int i = first_slot(p, range->gpa); i < p->slot_count && p->slots[i].gpa < range->gpa + range->size; i++) {
        struct slot *slot = &p->slots[i];
        if (!(slot->flags & KVM_MEM_LOG_DIRTY_PAGES)) continue;
        uint64_t *bits = calloc(words(slot->size), 8), first = (slot->gpa - range->gpa) / PAGE;
        struct kvm_dirty_log log = {.slot = slot->id, .dirty_bitmap = bits};
        if (bits && kvm_call(p->vm, KVM_GET_DIRTY_LOG, &log) == 0)
            for (uint64_t k = 0; k < slot->size / PAGE; k++)
                if (get_bit(bits, k)) set_bit(range->dirty, first + k);
        free(bits);
    }
}

int hide_slot(struct partition *p, uint64_t gpa, struct slot *hidden) {
    int i = first_slot(p, gpa);
    if (i == p->slot_count || p->slots[i].gpa > gpa) return 0;
    hold(p);
    harvest(p, range_at(p, gpa));
    *hidden = p->slots[i];
    set_slot(p, hidden, 0);
    return 1;
}

void show_slot(struct partition *p, const struct slot *hidden) {
    set_slot(p, hidden, 1);
    let_go(p);
}

HRESULT query_dirty(struct partition *p, uint64_t gpa, uint64_t size, uint64_t *bitmap, uint32_t bytes) {
    if (gpa % PAGE || size % PAGE || !size || gpa + size < gpa || (uintptr_t)bitmap % 8) return E_INVALIDARG;
    if (bytes && !bitmap) return E_INVALIDARG;
    if (bytes && bytes < words(size) * 8) return WHV_E_INSUFFICIENT_BUFFER;
    int first = first_range(p, gpa), i = first;
    for (uint64_t at = gpa; at < gpa + size; at = p->ranges[i].gpa + p->ranges[i].size, i++)
        if (i == p->range_count || p->ranges[i].gpa > at || !p->ranges[i].dirty) return WHV_E_GPA_RANGE_NOT_FOUND;
    if (bytes) memset(bitmap, 0, words(size) * 8);
    for (i = first; i < p->range_count && p->ranges[i].gpa < gpa + size; i++) {
        struct range *range = &p->ranges[i];
        harvest(p, range);
        for (uint64_t k = 0; k < range->size / PAGE; k++) {
            uint64_t at = range->gpa + k * PAGE;
            if (at < gpa || at >= gpa + size || !get_bit(range->dirty, k)) continue;
            range->dirty[k / 64] &= ~(1ull << (k % 64));
            if (bytes) set_bit(bitmap, (at - gpa) / PAGE);
        }
    }
    return S_OK;
}

/* ---- ranges ---- */

void release_view(struct view *view) {
    if (view && --view->references == 0) {
        munmap(view->address, view->size);
        free(view);
        __atomic_fetch_sub(&live_views, 1, __ATOMIC_RELAXED);
    }
}

static void free_range(struct range *range) {
    free(range->pinned);
    free(range->dirty);
    free(range->populated);
    release_view(range->view);
}

/* A part of a range, as a range of its own. */
static int part_of(const struct range *range, uint64_t gpa, uint64_t size, struct range *part) {
    uint64_t first = (gpa - range->gpa) / PAGE, pages = size / PAGE;
    *part = *range;
    part->gpa = gpa;
    part->size = size;
    part->host += gpa - range->gpa;
    part->dirty = NULL;
    part->populated = part->pinned = NULL;
    if (range->dirty) {
        if (!(part->dirty = calloc(words(size), 8))) return -1;
        for (uint64_t i = 0; i < pages; i++)
            if (get_bit(range->dirty, first + i)) set_bit(part->dirty, i);
    }
    if (range->populated) {
        if (!(part->populated = malloc(pages))) return free(part->dirty), -1;
        memcpy(part->populated, range->populated + first, pages);
    }
    if (range->pinned) {
        if (!(part->pinned = malloc(pages))) return free(part->dirty), free(part->populated), -1;
        memcpy(part->pinned, range->pinned + first, pages);
    }
    if (part->view) part->view->references++;
    return 0;
}

/* What is no longer mapped is no longer pinned. */
static void unpin(struct range *range, uint64_t low, uint64_t high) {
    for (uint64_t i = 0; range->pinned && i < range->size / PAGE; i++) {
        uint64_t gpa = range->gpa + i * PAGE;
        if (!range->pinned[i] || gpa < low || gpa >= high) continue;
        munlock(range->host + i * PAGE, PAGE);
        __atomic_fetch_sub(&live_pinned, 1, __ATOMIC_RELAXED);
    }
}

/* Takes the range out of the ranges from i to j, whose dirty logs it saves, and puts one in its place, if given. */
static HRESULT replace(struct partition *p, int i, int j, uint64_t gpa, uint64_t size, struct range *with) {
    struct range fresh[3] = {{0}}, *old = NULL;
    uint64_t low = gpa, high = gpa + size;
    int count = 0, own = -1;
    HRESULT result = E_OUTOFMEMORY;
    for (int k = i; k < j; k++) harvest(p, &p->ranges[k]);
    if (i < j) {
        struct range *first = &p->ranges[i], *last = &p->ranges[j - 1];
        if (first->gpa < gpa) {
            low = first->gpa;
            if (part_of(first, low, gpa - low, &fresh[count]) < 0) goto out;
            count++;
        }
        if (with) fresh[own = count++] = *with;
        if (last->gpa + last->size > high) {
            uint64_t end = last->gpa + last->size;
            if (part_of(last, high, end - high, &fresh[count]) < 0) goto out;
            count++;
            high = end;
        }
        if (!(old = malloc((j - i) * sizeof *old))) goto out;
        memcpy(old, p->ranges + i, (j - i) * sizeof *old);
    } else if (with) fresh[own = count++] = *with;
    if (put_in((void **)&p->ranges, &p->range_count, &p->range_room, sizeof *p->ranges, i, j, fresh, count) < 0) goto out;
    if (sync_slots(p, low, high) < 0) {
        result = failed();
        /* There is room for as many as there were. */
        put_in((void **)&p->ranges, &p->range_count, &p->range_room, sizeof *p->ranges, i, i + count, old, j - i);
        goto out;
    }
    for (int k = 0; k < j - i; k++) {
        unpin(&old[k], gpa, gpa + size);
        free_range(&old[k]);
    }
    __atomic_fetch_add(&live_ranges, count - (j - i), __ATOMIC_RELAXED);
    free(old);
    return S_OK;
out:
    for (int k = 0; k < count; k++)
        if (k != own) free_range(&fresh[k]);
    free(old);
    return result;
}

static int bad_range(uint64_t gpa, uint64_t size) {
    int bits = physical_bits();
    if (switches.large_address_bits && switches.large_address_bits < bits) bits = switches.large_address_bits;
    return gpa % PAGE || size % PAGE || !size || gpa + size < gpa || (bits < 64 && gpa + size > 1ull << bits);
}

HRESULT map_range(struct partition *p, uint8_t *host, uint64_t gpa, uint64_t size, uint32_t flags, struct view *view) {
    struct range range = {.gpa = gpa, .size = size, .host = host, .flags = flags, .view = view};
    if (bad_range(gpa, size) || (uintptr_t)host % PAGE || !host || !(flags & WHvMapGpaRangeFlagRead) || flags & ~15u
            || (flags & WHvMapGpaRangeFlagTrackDirtyPages && !switches.dirty_tracking))
        return E_INVALIDARG;
    int i = first_range(p, gpa), j = i;
    while (j < p->range_count && p->ranges[j].gpa < gpa + size) j++;
    if (i < j && !switches.overlap) return E_INVALIDARG;
    if (flags & WHvMapGpaRangeFlagTrackDirtyPages && !(range.dirty = calloc(words(size), 8))) return E_OUTOFMEMORY;
    if (switches.lazy && !(range.populated = calloc(size / PAGE, 1))) return free(range.dirty), E_OUTOFMEMORY;
    HRESULT result = replace(p, i, j, gpa, size, &range);
    if (result != S_OK) free(range.dirty), free(range.populated);
    return result;
}

HRESULT unmap_range(struct partition *p, uint64_t gpa, uint64_t size) {
    if (bad_range(gpa, size)) return E_INVALIDARG;
    int i = first_range(p, gpa), j = i;
    for (uint64_t at = gpa; at < gpa + size; at = p->ranges[j].gpa + p->ranges[j].size, j++)
        if (j == p->range_count || p->ranges[j].gpa > at) return WHV_E_GPA_RANGE_NOT_FOUND;
    struct range *first = &p->ranges[i], *last = &p->ranges[j - 1];
    if (!switches.partial_unmap && (first->gpa < gpa || last->gpa + last->size > gpa + size)) return WHV_E_GPA_RANGE_NOT_FOUND;
    return replace(p, i, j, gpa, size, NULL);
}

void drop_ranges(struct partition *p) {
    for (int i = 0; i < p->range_count; i++) {
        unpin(&p->ranges[i], 0, ~0ull);
        free_range(&p->ranges[i]);
    }
    __atomic_fetch_sub(&live_ranges, p->range_count, __ATOMIC_RELAXED);
    free(p->ranges);
    free(p->slots);
    free(p->slot_ids);
    p->ranges = NULL;
    p->slots = NULL;
    p->range_count = p->slot_count = 0;
}

/* ---- population and pinning ---- */

static int populate(struct partition *p, struct range *range, uint64_t gpa, uint64_t size) {
    if (!range->populated) return 0;
    uint64_t first = (gpa - range->gpa) / PAGE;
    uint8_t *before = malloc(range->size / PAGE);
    if (!before) return -1;
    harvest(p, range);
    memcpy(before, range->populated, range->size / PAGE);
    memset(range->populated + first, 1, size / PAGE);
    int result = sync_slots(p, range->gpa, range->gpa + range->size);
    if (result < 0) memcpy(range->populated, before, range->size / PAGE);
    free(before);
    return result;
}

int populate_page(struct partition *p, uint64_t gpa) {
    struct range *range = range_at(p, gpa);
    return range ? populate(p, range, gpa & ~(PAGE - 1ull), PAGE) : -1;
}

/* Whether this process has the page in its tables: it touched it. Sections that other processes touched do not count. */
static int touched(const uint8_t *host) {
    uint64_t entry = 0;
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t got = pread(fd, &entry, 8, (uintptr_t)host / PAGE * 8);
    close(fd);
    return got == 8 && entry >> 62;
}

int populate_touched(struct partition *p, uint64_t gpa) {
    struct range *range = range_at(p, gpa);
    return range && range->populated && !range->populated[(gpa - range->gpa) / PAGE]
        && touched(range->host + ((gpa - range->gpa) & ~(PAGE - 1ull))) && populate_page(p, gpa) == 0;
}

static HRESULT set_pinned(struct range *range, uint64_t gpa, uint64_t size, int pinned) {
    if (!range->pinned && !pinned) return S_OK;
    if (!range->pinned && !(range->pinned = calloc(range->size / PAGE, 1))) return E_OUTOFMEMORY;
    for (uint64_t i = (gpa - range->gpa) / PAGE; size; i++, size -= PAGE) {
        __atomic_fetch_add(&live_pinned, pinned - range->pinned[i], __ATOMIC_RELAXED);
        range->pinned[i] = pinned;
    }
    return S_OK;
}

static HRESULT advise_part(struct partition *p, struct range *range, uint64_t gpa, uint64_t size, WHV_ADVISE_GPA_RANGE_CODE advice) {
    uint8_t *host = range->host + (gpa - range->gpa);
    switch (advice) {
        case WHvAdviseGpaRangeCodePopulate:
            if (madvise(host, size, range->flags & WHvMapGpaRangeFlagWrite ? MADV_POPULATE_WRITE : MADV_POPULATE_READ) < 0
                    && errno != EINVAL)
                return errno == ENOMEM || errno == EFAULT ? E_INVALIDARG : failed();
            return populate(p, range, gpa, size) < 0 ? failed() : S_OK;
        case WHvAdviseGpaRangeCodePin:
            if (mlock(host, size) < 0) return errno == EPERM ? E_ACCESSDENIED : E_OUTOFMEMORY;
            if (populate(p, range, gpa, size) < 0) return failed();
            return set_pinned(range, gpa, size, 1);
        default:
            munlock(host, size);
            return set_pinned(range, gpa, size, 0);
    }
}

HRESULT advise_range(struct partition *p, uint64_t gpa, uint64_t size, WHV_ADVISE_GPA_RANGE_CODE advice) {
    if (bad_range(gpa, size)) return E_INVALIDARG;
    int first = first_range(p, gpa), i = first;
    for (uint64_t at = gpa; at < gpa + size; at = p->ranges[i].gpa + p->ranges[i].size, i++)
        if (i == p->range_count || p->ranges[i].gpa > at) return WHV_E_GPA_RANGE_NOT_FOUND;
    for (i = first; i < p->range_count && p->ranges[i].gpa < gpa + size; i++) {
        struct range *range = &p->ranges[i];
        uint64_t from = range->gpa > gpa ? range->gpa : gpa, end = range->gpa + range->size;
        if (end > gpa + size) end = gpa + size;
        HRESULT result = advise_part(p, range, from, end - from, advice);
        if (result != S_OK) return result;
    }
    return S_OK;
}

/* ---- access: through the system, so that memory which the caller took away is an error here and not a fault ---- */

static int guest_copy(struct partition *p, uint64_t gpa, void *buffer, size_t size, int write) {
    for (char *at = buffer; size;) {
        struct range *range = range_at(p, gpa);
        if (!range) return 0;
        uint64_t left = range->gpa + range->size - gpa, part = size < left ? size : left;
        if (range->populated) { /* to touch a page here would make it one that the host touched */
            uint64_t on_page = PAGE - (gpa & (PAGE - 1));
            if (part > on_page) part = on_page;
            if (!range->populated[(gpa - range->gpa) / PAGE] && !touched(range->host + ((gpa - range->gpa) & ~(PAGE - 1ull)))) return 0;
        }
        struct iovec here = {at, part}, there = {range->host + (gpa - range->gpa), part};
        ssize_t done = write ? process_vm_writev(getpid(), &here, 1, &there, 1, 0) : process_vm_readv(getpid(), &here, 1, &there, 1, 0);
        if (done != (ssize_t)part) return 0;
        at += part;
        gpa += part;
        size -= part;
    }
    return 1;
}

int guest_read(struct partition *p, uint64_t gpa, void *buffer, size_t size) {
    return guest_copy(p, gpa, buffer, size, 0);
}

int guest_write(struct partition *p, uint64_t gpa, const void *buffer, size_t size) {
    return guest_copy(p, gpa, (void *)buffer, size, 1);
}
