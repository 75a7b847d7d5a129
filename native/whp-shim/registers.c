/* Registers by WHP's names: KVM's groups are read when first needed, changed, and written back in an order that KVM accepts. */
#include "shim.h"

#include <errno.h>
#include <string.h>

#ifndef KVM_GET_XSAVE2
#define KVM_GET_XSAVE2 _IOR(KVMIO, 0xcf, struct kvm_xsave)
#endif

enum { XSAVE_BYTES = 4096, FP_CONTROL = 0, FP_STATUS = 2, FP_TAG = 4, FP_OPCODE = 6, FP_RIP = 8, FP_RDP = 16, FP_MXCSR = 24,
    FP_ST = 32, FP_XMM = 160, XSTATE_BV = 512 };

struct groups {
    struct processor *vp;
    int loaded, changed;
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    struct kvm_debugregs debug;
    struct kvm_xcrs xcrs;
    struct kvm_vcpu_events events;
    uint8_t xsave[XSAVE_BYTES] __attribute__((aligned(64)));
};

static int load(struct groups *g, int group) {
    struct processor *vp = g->vp;
    if (g->loaded & group) return 0;
    int result = 0;
    switch (group) {
        case REGS:
            if (vp->fresh & REGS) g->regs = vp->run->s.regs.regs;
            else result = kvm_call(vp->fd, KVM_GET_REGS, &g->regs);
            break;
        case SREGS:
            if (vp->has_refused) g->sregs = vp->refused;
            else if (vp->fresh & SREGS) g->sregs = vp->run->s.regs.sregs;
            else result = kvm_call(vp->fd, KVM_GET_SREGS, &g->sregs);
            break;
        case FPU: result = kvm_call(vp->fd, KVM_GET_XSAVE, g->xsave); break;
        case DEBUG: result = kvm_call(vp->fd, KVM_GET_DEBUGREGS, &g->debug); break;
        case XCRS: result = kvm_call(vp->fd, KVM_GET_XCRS, &g->xcrs); break;
        case EVENTS: result = kvm_call(vp->fd, KVM_GET_VCPU_EVENTS, &g->events); break;
    }
    if (result == 0) g->loaded |= group;
    return result;
}

static int store(struct groups *g) {
    struct processor *vp = g->vp;
    if (g->changed & (SREGS | EVENTS)) vp->fresh &= ~SREGS; /* they tell of a pending interrupt, too */
    if (g->changed & SREGS) {
        if (kvm_call(vp->fd, KVM_SET_SREGS, &g->sregs) < 0) {
            if (errno != EINVAL) return -1;
            /* No processor can have these together. WHP says so when it is run, and they may be on their way to be valid. */
            vp->refused = g->sregs;
            vp->has_refused = 1;
        } else vp->has_refused = 0;
        vp->run->cr8 = g->sregs.cr8;
    }
    if (g->changed & REGS) set_general(vp, &g->regs);
    if (g->changed & XCRS && kvm_call(vp->fd, KVM_SET_XCRS, &g->xcrs) < 0) return -1;
    if (g->changed & FPU && kvm_call(vp->fd, KVM_SET_XSAVE, g->xsave) < 0) return -1;
    if (g->changed & DEBUG && kvm_call(vp->fd, KVM_SET_DEBUGREGS, &g->debug) < 0) return -1;
    if (g->changed & EVENTS) {
        g->events.flags |= KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW;
        if (kvm_call(vp->fd, KVM_SET_VCPU_EVENTS, &g->events) < 0) return -1;
    }
    return 0;
}

/* The number of the MSR that the name stands for, 0 if it is none. */
static uint32_t msr_of(uint32_t name) {
    switch (name) {
        case WHvX64RegisterTsc: return 0x10;
        case WHvX64RegisterKernelGsBase: return 0xc0000102;
        case WHvX64RegisterPat: return 0x277;
        case WHvX64RegisterSysenterCs: return 0x174;
        case WHvX64RegisterSysenterEip: return 0x176;
        case WHvX64RegisterSysenterEsp: return 0x175;
        case WHvX64RegisterStar: return 0xc0000081;
        case WHvX64RegisterLstar: return 0xc0000082;
        case WHvX64RegisterCstar: return 0xc0000083;
        case WHvX64RegisterSfmask: return 0xc0000084;
        case WHvX64RegisterMsrMtrrCap: return 0xfe;
        case WHvX64RegisterMsrMtrrDefType: return 0x2ff;
        case WHvX64RegisterMsrMtrrFix64k00000: return 0x250;
        case WHvX64RegisterMsrMtrrFix16k80000: return 0x258;
        case WHvX64RegisterMsrMtrrFix16kA0000: return 0x259;
        case WHvX64RegisterTscAux: return 0xc0000103;
        case WHvX64RegisterSpecCtrl: return 0x48;
        case WHvX64RegisterPredCmd: return 0x49;
        case WHvX64RegisterTsxCtrl: return 0x122;
        case WHvX64RegisterXss: return 0xda0;
        case WHvX64RegisterTscDeadline: return 0x6e0;
        case WHvX64RegisterTscAdjust: return 0x3b;
        case WHvX64RegisterUmwaitControl: return 0xe1;
        case WHvX64RegisterXfd: return 0x1c4;
        case WHvX64RegisterXfdErr: return 0x1c5;
        default: break;
    }
    if (name >= WHvX64RegisterMsrMtrrFix4kC0000 && name <= WHvX64RegisterMsrMtrrFix4kF8000)
        return 0x268 + name - WHvX64RegisterMsrMtrrFix4kC0000;
    /* KVM has eight variable ranges. */
    if (name >= WHvX64RegisterMsrMtrrPhysBase0 && name < WHvX64RegisterMsrMtrrPhysBase0 + 8)
        return 0x200 + 2 * (name - WHvX64RegisterMsrMtrrPhysBase0);
    if (name >= WHvX64RegisterMsrMtrrPhysMask0 && name < WHvX64RegisterMsrMtrrPhysMask0 + 8)
        return 0x201 + 2 * (name - WHvX64RegisterMsrMtrrPhysMask0);
    return 0;
}

struct one_msr {
    struct kvm_msrs head;
    struct kvm_msr_entry entry;
};

static int get_msr(struct processor *vp, uint32_t number, uint64_t *value) {
    struct one_msr msr = {.head = {.nmsrs = 1}, .entry = {.index = number}};
    if (kvm_call(vp->fd, KVM_GET_MSRS, &msr) != 1) return -1;
    *value = msr.entry.data;
    return 0;
}

static int set_msr(struct processor *vp, uint32_t number, uint64_t value) {
    struct one_msr msr = {.head = {.nmsrs = 1}, .entry = {.index = number, .data = value}};
    return kvm_call(vp->fd, KVM_SET_MSRS, &msr) == 1 ? 0 : -1;
}

/* ---- segments and tables ---- */

void to_segment(const struct kvm_segment *from, WHV_X64_SEGMENT_REGISTER *to) {
    to->Base = from->base;
    to->Limit = from->limit;
    to->Selector = from->selector;
    to->Attributes = from->type | from->s << 4 | from->dpl << 5 | (from->present && !from->unusable) << 7 | from->avl << 12
        | from->l << 13 | from->db << 14 | from->g << 15;
}

static void from_segment(const WHV_X64_SEGMENT_REGISTER *from, struct kvm_segment *to) {
    unsigned a = from->Attributes;
    memset(to, 0, sizeof *to);
    to->base = from->Base;
    to->limit = from->Limit;
    to->selector = from->Selector;
    to->type = a & 15;
    to->s = a >> 4 & 1;
    to->dpl = a >> 5 & 3;
    to->present = a >> 7 & 1;
    to->unusable = !to->present;
    to->avl = a >> 12 & 1;
    to->l = a >> 13 & 1;
    to->db = a >> 14 & 1;
    to->g = a >> 15 & 1;
}

static __u64 *general(struct kvm_regs *r, uint32_t name) {
    __u64 *all[] = {&r->rax, &r->rcx, &r->rdx, &r->rbx, &r->rsp, &r->rbp, &r->rsi, &r->rdi, &r->r8, &r->r9, &r->r10, &r->r11,
        &r->r12, &r->r13, &r->r14, &r->r15, &r->rip, &r->rflags};
    return all[name];
}

static struct kvm_segment *segment(struct kvm_sregs *s, uint32_t name) {
    struct kvm_segment *all[] = {&s->es, &s->cs, &s->ss, &s->ds, &s->fs, &s->gs, &s->ldt, &s->tr};
    return all[name - WHvX64RegisterEs];
}

static __u64 *system_register(struct kvm_sregs *s, uint32_t name) {
    switch (name) {
        case WHvX64RegisterCr0: return &s->cr0;
        case WHvX64RegisterCr2: return &s->cr2;
        case WHvX64RegisterCr3: return &s->cr3;
        case WHvX64RegisterCr4: return &s->cr4;
        case WHvX64RegisterCr8: return &s->cr8;
        case WHvX64RegisterEfer: return &s->efer;
        case WHvX64RegisterApicBase: return &s->apic_base;
        default: return NULL;
    }
}

static __u64 *debug_register(struct kvm_debugregs *d, uint32_t name) {
    if (name == WHvX64RegisterDr6) return &d->dr6;
    if (name == WHvX64RegisterDr7) return &d->dr7;
    return &d->db[name - WHvX64RegisterDr0];
}

/* ---- events ---- */

static uint64_t pending_interruption(const struct kvm_vcpu_events *e) {
    if (e->exception.injected)
        return 1 | WHvX64PendingException << 1 | !!e->exception.has_error_code << 4 | (uint64_t)e->exception.nr << 16
            | (uint64_t)e->exception.error_code << 32;
    if (e->nmi.injected) return 1 | WHvX64PendingNmi << 1 | 2 << 16;
    if (e->interrupt.injected) return 1 | WHvX64PendingInterrupt << 1 | (uint64_t)e->interrupt.nr << 16;
    return 0;
}

static int set_pending_interruption(struct kvm_vcpu_events *e, uint64_t value) {
    uint8_t vector = value >> 16;
    e->exception.injected = e->exception.pending = e->nmi.injected = e->interrupt.injected = 0;
    if (!(value & 1)) return 0;
    switch (value >> 1 & 7) {
        case WHvX64PendingInterrupt: e->interrupt.injected = 1; e->interrupt.nr = vector; e->interrupt.soft = 0; return 0;
        case WHvX64PendingNmi: e->nmi.injected = 1; return 0;
        case WHvX64PendingException:
            e->exception.injected = 1;
            e->exception.nr = vector;
            e->exception.has_error_code = value >> 4 & 1;
            e->exception.error_code = value >> 32;
            return 0;
        default: return -1;
    }
}

/* ---- one register ---- */

/* Returns S_OK or an error; *value arrives zeroed. */
static HRESULT get_one(struct groups *g, uint32_t name, WHV_REGISTER_VALUE *value) {
    struct processor *vp = g->vp;
    uint8_t *fp = g->xsave;
    if (name <= WHvX64RegisterRflags) {
        if (load(g, REGS) < 0) return E_UNEXPECTED;
        value->Reg64 = *general(&g->regs, name);
    } else if (name <= WHvX64RegisterGdtr) {
        if (load(g, SREGS) < 0) return E_UNEXPECTED;
        if (name >= WHvX64RegisterIdtr) {
            struct kvm_dtable *table = name == WHvX64RegisterIdtr ? &g->sregs.idt : &g->sregs.gdt;
            value->Table.Base = table->base;
            value->Table.Limit = table->limit;
        } else to_segment(segment(&g->sregs, name), &value->Segment);
    } else if (name <= WHvX64RegisterCr8 || name == WHvX64RegisterEfer || name == WHvX64RegisterApicBase) {
        if (load(g, SREGS) < 0) return E_UNEXPECTED;
        value->Reg64 = *system_register(&g->sregs, name);
    } else if (name >= WHvX64RegisterDr0 && name <= WHvX64RegisterDr7) {
        if (load(g, DEBUG) < 0) return E_UNEXPECTED;
        value->Reg64 = *debug_register(&g->debug, name);
    } else if (name == WHvX64RegisterXCr0) {
        if (load(g, XCRS) < 0) return E_UNEXPECTED;
        value->Reg64 = g->xcrs.nr_xcrs ? g->xcrs.xcrs[0].value : 1;
    } else if (name >= WHvX64RegisterXmm0 && name <= WHvX64RegisterXmmControlStatus) {
        if (load(g, FPU) < 0) return E_UNEXPECTED;
        if (name <= WHvX64RegisterXmm15) memcpy(value, fp + FP_XMM + 16 * (name - WHvX64RegisterXmm0), 16);
        else if (name <= WHvX64RegisterFpMmx7) memcpy(value, fp + FP_ST + 16 * (name - WHvX64RegisterFpMmx0), 10);
        else if (name == WHvX64RegisterFpControlStatus) {
            memcpy(&value->FpControlStatus.FpControl, fp + FP_CONTROL, 2);
            memcpy(&value->FpControlStatus.FpStatus, fp + FP_STATUS, 2);
            value->FpControlStatus.FpTag = fp[FP_TAG];
            memcpy(&value->FpControlStatus.LastFpOp, fp + FP_OPCODE, 2);
            memcpy(&value->FpControlStatus.LastFpRip, fp + FP_RIP, 8);
        } else {
            memcpy(&value->XmmControlStatus.LastFpRdp, fp + FP_RDP, 8);
            memcpy(&value->XmmControlStatus.XmmStatusControl, fp + FP_MXCSR, 8);
        }
    } else if (name == WHvX64RegisterInitialApicId) value->Reg64 = vp->index;
    else if (msr_of(name)) {
        uint64_t data;
        if (get_msr(vp, msr_of(name), &data) < 0) return WHV_E_INVALID_VP_REGISTER_NAME;
        value->Reg64 = data;
    } else if (name == (uint32_t)WHvRegisterPendingInterruption) {
        if (load(g, EVENTS) < 0) return E_UNEXPECTED;
        value->Reg64 = pending_interruption(&g->events);
    } else if (name == (uint32_t)WHvRegisterInterruptState) {
        if (load(g, EVENTS) < 0) return E_UNEXPECTED;
        value->Reg64 = (g->events.interrupt.shadow != 0) | (g->events.nmi.masked != 0) << 1;
    } else if (name == (uint32_t)WHvRegisterPendingEvent) {
        if (vp->pending_vector >= 0) value->Reg64 = 1 | WHvX64PendingEventExtInt << 1 | (uint64_t)vp->pending_vector << 8;
    } else if (name == (uint32_t)WHvX64RegisterDeliverabilityNotifications) value->Reg64 = vp->notifications;
    else if (name == (uint32_t)WHvRegisterInternalActivityState) value->Reg64 = vp->activity;
    else return WHV_E_INVALID_VP_REGISTER_NAME;
    return S_OK;
}

/* Into the groups; what belongs to none is set at once, when apply says so. */
static HRESULT set_one(struct groups *g, uint32_t name, const WHV_REGISTER_VALUE *value, int apply) {
    struct processor *vp = g->vp;
    uint8_t *fp = g->xsave;
    int group = 0;
    if (name <= WHvX64RegisterRflags) {
        if (load(g, group = REGS) < 0) return E_UNEXPECTED;
        *general(&g->regs, name) = name == WHvX64RegisterRflags ? value->Reg64 | 2 : value->Reg64;
    } else if (name <= WHvX64RegisterGdtr) {
        if (load(g, group = SREGS) < 0) return E_UNEXPECTED;
        if (name >= WHvX64RegisterIdtr) {
            struct kvm_dtable *table = name == WHvX64RegisterIdtr ? &g->sregs.idt : &g->sregs.gdt;
            table->base = value->Table.Base;
            table->limit = value->Table.Limit;
        } else from_segment(&value->Segment, segment(&g->sregs, name));
    } else if (name <= WHvX64RegisterCr8 || name == WHvX64RegisterEfer || name == WHvX64RegisterApicBase) {
        if (load(g, group = SREGS) < 0) return E_UNEXPECTED;
        *system_register(&g->sregs, name) = value->Reg64;
    } else if (name >= WHvX64RegisterDr0 && name <= WHvX64RegisterDr7) {
        if (load(g, group = DEBUG) < 0) return E_UNEXPECTED;
        *debug_register(&g->debug, name) = value->Reg64;
    } else if (name == WHvX64RegisterXCr0) {
        if (load(g, group = XCRS) < 0) return E_UNEXPECTED;
        g->xcrs.nr_xcrs = 1;
        g->xcrs.xcrs[0].xcr = 0;
        g->xcrs.xcrs[0].value = value->Reg64;
    } else if (name >= WHvX64RegisterXmm0 && name <= WHvX64RegisterXmmControlStatus) {
        if (load(g, group = FPU) < 0) return E_UNEXPECTED;
        if (name <= WHvX64RegisterXmm15) memcpy(fp + FP_XMM + 16 * (name - WHvX64RegisterXmm0), value, 16);
        else if (name <= WHvX64RegisterFpMmx7) memcpy(fp + FP_ST + 16 * (name - WHvX64RegisterFpMmx0), value, 10);
        else if (name == WHvX64RegisterFpControlStatus) {
            memcpy(fp + FP_CONTROL, &value->FpControlStatus.FpControl, 2);
            memcpy(fp + FP_STATUS, &value->FpControlStatus.FpStatus, 2);
            fp[FP_TAG] = value->FpControlStatus.FpTag;
            memcpy(fp + FP_OPCODE, &value->FpControlStatus.LastFpOp, 2);
            memcpy(fp + FP_RIP, &value->FpControlStatus.LastFpRip, 8);
        } else {
            memcpy(fp + FP_RDP, &value->XmmControlStatus.LastFpRdp, 8);
            memcpy(fp + FP_MXCSR, &value->XmmControlStatus.XmmStatusControl, 4); /* the mask is the processor's */
        }
        fp[XSTATE_BV] |= 3; /* x87 and SSE are no longer in their initial state */
    } else if (name == WHvX64RegisterInitialApicId) return value->Reg64 == vp->index ? S_OK : E_INVALIDARG;
    else if (msr_of(name)) {
        uint64_t now;
        if (!apply) return get_msr(vp, msr_of(name), &now) < 0 ? WHV_E_INVALID_VP_REGISTER_NAME : S_OK;
        if (set_msr(vp, msr_of(name), value->Reg64) < 0) {
            /* One that cannot be written, or not so: setting what it has is no harm. */
            if (get_msr(vp, msr_of(name), &now) < 0 || now != value->Reg64) return E_INVALIDARG;
        }
    } else if (name == (uint32_t)WHvRegisterPendingInterruption) {
        if (load(g, group = EVENTS) < 0) return E_UNEXPECTED;
        if (set_pending_interruption(&g->events, value->Reg64) < 0) return E_INVALIDARG;
    } else if (name == (uint32_t)WHvRegisterInterruptState) {
        if (load(g, group = EVENTS) < 0) return E_UNEXPECTED;
        g->events.interrupt.shadow = value->Reg64 & 1 ? KVM_X86_SHADOW_INT_STI : 0;
        g->events.nmi.masked = value->Reg64 >> 1 & 1;
    } else if (name == (uint32_t)WHvRegisterPendingEvent) {
        int pending = value->Reg64 & 1, type = value->Reg64 >> 1 & 7;
        if (pending && type == WHvX64PendingEventException) {
            if (load(g, group = EVENTS) < 0) return E_UNEXPECTED;
            g->events.exception.injected = 1;
            g->events.exception.nr = value->Reg64 >> 16;
            g->events.exception.has_error_code = value->Reg64 >> 8 & 1;
            g->events.exception.error_code = value->Reg64 >> 32;
        } else if (pending && type != WHvX64PendingEventExtInt) return E_INVALIDARG;
        else if (apply) vp->pending_vector = pending ? (int)(value->Reg64 >> 8 & 0xff) : -1;
    } else if (name == (uint32_t)WHvX64RegisterDeliverabilityNotifications) {
        if (apply) vp->notifications = value->Reg64 & 0x3f;
    } else if (name == (uint32_t)WHvRegisterInternalActivityState) {
        if (apply) vp->activity = value->Reg64 & 7;
    } else return WHV_E_INVALID_VP_REGISTER_NAME;
    g->changed |= group;
    return S_OK;
}

HRESULT get_registers(struct processor *vp, const WHV_REGISTER_NAME *names, uint32_t count, WHV_REGISTER_VALUE *values) {
    struct groups g;
    g.vp = vp;
    g.loaded = g.changed = 0;
    for (uint32_t i = 0; i < count; i++) {
        WHV_REGISTER_VALUE value;
        memset(&value, 0, sizeof value);
        HRESULT result = get_one(&g, names[i], &value);
        if (result != S_OK) return result;
        memcpy((char *)values + i * sizeof value, &value, sizeof value); /* the caller's need not be aligned */
    }
    return S_OK;
}

HRESULT set_registers(struct processor *vp, const WHV_REGISTER_NAME *names, uint32_t count, const WHV_REGISTER_VALUE *values) {
    struct groups g;
    /* First without effect, so that a bad name changes nothing. */
    g.vp = vp;
    g.loaded = g.changed = 0;
    for (int apply = 0; apply < 2; apply++) {
        for (uint32_t i = 0; i < count; i++) {
            WHV_REGISTER_VALUE value;
            memcpy(&value, (const char *)values + i * sizeof value, sizeof value);
            HRESULT result = set_one(&g, names[i], &value, apply);
            if (result != S_OK) return result;
        }
    }
    return store(&g) < 0 ? E_INVALIDARG : S_OK;
}

/* ---- XSAVE: KVM has the standard form; Windows is said to have the compacted one ---- */

enum { XCOMP_BV = XSTATE_BV + 8, HEADER_END = 576, LARGEST_AREA = 65536 };
#define COMPACTED (1ull << 63)

/* Where a component lies in the compacted form; its standard place comes from CPUID. Returns where the next one may begin. */
static uint32_t place(uint64_t components, int component, uint32_t at, const struct kvm_cpuid_entry2 **leaf) {
    *leaf = cpuid_entry(0xd, component);
    if (!(components >> component & 1)) return at;
    if ((*leaf)->ecx & 2) at = (at + 63) & ~63u;
    return at;
}

static uint64_t components(void) {
    const struct kvm_cpuid_entry2 *leaf = cpuid_entry(0xd, 0);
    return leaf->eax | (uint64_t)leaf->edx << 32;
}

/* Copies between the forms, and returns the compacted one's size. */
static uint32_t convert(uint8_t *standard, uint8_t *compacted, uint64_t present, int to_compacted) {
    uint32_t at = HEADER_END;
    for (int i = 2; i < 63; i++) {
        const struct kvm_cpuid_entry2 *leaf;
        at = place(present, i, at, &leaf);
        if (!(present >> i & 1)) continue;
        if (to_compacted > 0) memcpy(compacted + at, standard + leaf->ebx, leaf->eax);
        if (to_compacted < 0) memcpy(standard + leaf->ebx, compacted + at, leaf->eax);
        at += leaf->eax;
    }
    return at;
}

HRESULT get_xsave(struct processor *vp, void *buffer, uint32_t size, uint32_t *written) {
    static __thread uint8_t area[LARGEST_AREA] __attribute__((aligned(64)));
    uint32_t standard = kvm_system()->xsave_size;
    uint32_t needed = switches.xsave_compacted ? convert(NULL, NULL, components(), 0) : standard;
    if (standard > sizeof area) return E_UNEXPECTED;
    if (written) *written = needed;
    if (size < needed) return WHV_E_INSUFFICIENT_BUFFER;
    if (!buffer) return E_INVALIDARG;
    if (kvm_call(vp->fd, standard > XSAVE_BYTES ? KVM_GET_XSAVE2 : KVM_GET_XSAVE, area) < 0) return E_UNEXPECTED;
    if (switches.xsave_compacted) {
        uint64_t form = COMPACTED | components();
        memcpy(area + XCOMP_BV, &form, 8);
        memcpy(buffer, area, HEADER_END);
        convert(area, buffer, components(), 1);
    } else memcpy(buffer, area, needed);
    return S_OK;
}

HRESULT set_xsave(struct processor *vp, const void *buffer, uint32_t size) {
    static __thread uint8_t area[LARGEST_AREA] __attribute__((aligned(64)));
    uint32_t needed = kvm_system()->xsave_size;
    uint64_t form;
    if (!buffer || size < HEADER_END || needed > sizeof area) return E_INVALIDARG;
    memset(area, 0, sizeof area);
    memcpy(area, buffer, HEADER_END);
    memcpy(&form, area + XCOMP_BV, 8);
    if (form & COMPACTED) {
        form &= ~COMPACTED;
        if (form & ~components() || size < convert(NULL, NULL, form, 0)) return E_INVALIDARG;
        convert(area, (uint8_t *)buffer, form, -1);
        memset(area + XCOMP_BV, 0, 8);
    } else if (switches.xsave_compacted || size < needed) return E_INVALIDARG;
    else memcpy(area, buffer, needed);
    return kvm_call(vp->fd, KVM_SET_XSAVE, area) < 0 ? E_INVALIDARG : S_OK;
}
