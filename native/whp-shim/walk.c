/* The guest's page tables, walked as the processor does. */
#include "shim.h"

#include <string.h>

enum { PRESENT = 1, WRITE = 2, USER = 4, LARGE = 0x80 };
#define ADDRESS_BITS 0x000ffffffffff000ull
#define NO_EXECUTE (1ull << 63)

static struct walk stop(WHV_TRANSLATE_GVA_RESULT_CODE result, uint64_t gpa) {
    return (struct walk){.result = result, .gpa = gpa};
}

struct walk walk(struct partition *p, const struct kvm_sregs *sregs, uint64_t gva) {
    if (!(sregs->cr0 & 1ull << 31))
        return (struct walk){.gpa = gva & 0xffffffff, .page_size = PAGE, .writable = 1, .user = 1};
    int pae = sregs->cr4 >> 5 & 1, lma = sregs->efer >> 10 & 1, pse = sregs->cr4 >> 4 & 1;
    int levels = lma ? (sregs->cr4 >> 12 & 1 ? 5 : 4) : pae ? 3 : 2, bits = pae || lma ? 9 : 10, entry_size = bits == 9 ? 8 : 4;
    struct walk walk = {.writable = 1, .user = 1};
    uint64_t table = sregs->cr3 & (lma ? ADDRESS_BITS : pae ? 0xffffffe0 : 0xfffff000);
    if (!lma) gva &= 0xffffffff;
    for (int level = levels; level; level--) {
        int shift = 12 + (level - 1) * bits;
        uint64_t entry = 0, at = table + (gva >> shift & ((1u << bits) - 1)) * entry_size;
        int top_of_pae = levels == 3 && level == 3;
        if (!guest_read(p, at, &entry, entry_size)) return stop(WHvTranslateGvaResultGpaUnmapped, at);
        if (!(entry & PRESENT)) return stop(WHvTranslateGvaResultPageNotPresent, at);
        if (!top_of_pae) {
            walk.writable &= !!(entry & WRITE);
            walk.user &= !!(entry & USER);
            if (entry_size == 8) walk.no_execute |= entry & NO_EXECUTE && sregs->efer >> 11 & 1;
        }
        uint64_t address = entry_size == 8 ? entry & ADDRESS_BITS : entry & 0xfffff000;
        if (level == 1 || (entry & LARGE && !top_of_pae && (entry_size == 8 || pse))) {
            if (level > 3) return stop(WHvTranslateGvaResultInvalidPageTableFlags, at);
            walk.page_size = 1ull << shift;
            if (entry_size == 4 && level == 2) address = (entry & 0xffc00000) | (entry & 0x1fe000) << 19;
            walk.gpa = (address & ~(walk.page_size - 1)) | (gva & (walk.page_size - 1));
            return walk;
        }
        table = address;
    }
    return stop(WHvTranslateGvaResultInvalidPageTableFlags, 0);
}

static void populate_table(struct partition *p, uint64_t table, int level, int entry_size, int top_of_pae) {
    uint64_t entries[512];
    if (!range_at(p, table)) return;
    if (!populated_at(p, table)) populate_page(p, table);
    if (level == 1 || !guest_read(p, table & ~(PAGE - 1ull), entries, sizeof entries)) return;
    int count = top_of_pae ? 4 : PAGE / entry_size;
    for (int i = 0; i < count; i++) {
        uint64_t entry = entry_size == 8 ? entries[i] : ((uint32_t *)entries)[i];
        if (entry & PRESENT && (top_of_pae || !(entry & LARGE)))
            populate_table(p, entry & (entry_size == 8 ? ADDRESS_BITS : 0xfffff000), level - 1, entry_size, 0);
    }
}

/* KVM takes a page table that is not there for one that is empty: the page tables are populated before anything runs on them. */
void populate_tables(struct partition *p, const struct kvm_sregs *sregs) {
    if (!(sregs->cr0 & 1ull << 31)) return;
    int pae = sregs->cr4 >> 5 & 1, lma = sregs->efer >> 10 & 1;
    int levels = lma ? (sregs->cr4 >> 12 & 1 ? 5 : 4) : pae ? 3 : 2;
    populate_table(p, sregs->cr3 & (lma ? ADDRESS_BITS : 0xfffff000), levels, lma || pae ? 8 : 4, levels == 3);
}
