/*
 * Running a processor, and turning KVM's exits into WHP's.
 *
 * WHP leaves a processor before the instruction that exits: the monitor decodes and emulates it, or maps memory and lets it run again.
 * KVM leaves it in the middle: a read waits for its value, and after a write or an OUT the instruction is already done. So every exit
 * is retired at once (KVM_RUN with immediate_exit, and zeros for what is read) and the state from before the instruction is put back:
 *
 *   reads and IN   KVM still has RIP at the instruction. Registers are taken from the exit and set again afterwards, and the few
 *                  instructions that store what they read have the bytes they store to put back as well. A repeated one is cut
 *                  down to one item, or it would go on by itself.
 *   writes, OUT    The instruction before RIP is looked for: the one of those that end there which writes what was written to where
 *                  it was written. Its effect on registers is undone. When several would have had this very effect, the
 *                  shortest is taken: running it gives what KVM saw.
 *
 * No single stepping: a write or an OUT is the one KVM_RUN, a read or an IN two, and what the monitor changes takes effect with the next.
 */
#define _GNU_SOURCE
#include "shim.h"
#include "x86.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

enum { MOST_PIECES = 64, MOST_RETRIES = 10, EXIT_MEMORY_FAULT = 39, ZF = 0x40, CF = 1, DF = 0x400, IF = 0x200 };

struct state {
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    struct kvm_vcpu_events events;
};

static void take_state(struct processor *vp, struct state *state) {
    state->regs = vp->run->s.regs.regs;
    state->sregs = vp->run->s.regs.sregs;
    state->events = vp->run->s.regs.events;
}

/* They take effect with the next KVM_RUN: a system call on a processor is the dear part of all this. */
void set_general(struct processor *vp, const struct kvm_regs *regs) {
    vp->run->s.regs.regs = *regs;
    vp->run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
    vp->fresh |= REGS;
}

/* ---- registers by number ---- */

static __u64 *reg(struct kvm_regs *regs, int number) {
    __u64 *all[] = {&regs->rax, &regs->rcx, &regs->rdx, &regs->rbx, &regs->rsp, &regs->rbp, &regs->rsi, &regs->rdi,
        &regs->r8, &regs->r9, &regs->r10, &regs->r11, &regs->r12, &regs->r13, &regs->r14, &regs->r15};
    return all[number];
}

static uint64_t mask(int bytes) {
    return bytes >= 8 ? ~0ull : (1ull << 8 * bytes) - 1;
}

static uint64_t get_reg(struct kvm_regs *regs, const struct insn *insn, int number, int bytes) {
    if (bytes == 1 && !insn->rex && number >= 4 && number < 8) return *reg(regs, number - 4) >> 8 & 0xff;
    return *reg(regs, number) & mask(bytes);
}

static void set_reg(struct kvm_regs *regs, const struct insn *insn, int number, int bytes, uint64_t value) {
    int high = bytes == 1 && !insn->rex && number >= 4 && number < 8;
    __u64 *at = reg(regs, high ? number - 4 : number);
    if (high) *at = (*at & ~0xff00ull) | (value & 0xff) << 8;
    else if (bytes == 4) *at = value & mask(4);
    else *at = (*at & ~mask(bytes)) | (value & mask(bytes));
}

/* Adds to an address register as an instruction of that address size does. */
static void advance(__u64 *at, int address, int64_t by) {
    *at = address == 2 ? (*at & ~0xffffull) | ((*at + by) & 0xffff) : (*at + by) & mask(address);
}

/* ---- addresses ---- */

static int code_bits(const struct kvm_sregs *sregs) {
    return sregs->efer >> 10 & 1 && sregs->cs.l ? 64 : sregs->cs.db ? 32 : 16;
}

static uint64_t linear(const struct kvm_sregs *sregs, int segment, uint64_t offset) {
    const struct kvm_segment *all[] = {&sregs->es, &sregs->cs, &sregs->ss, &sregs->ds, &sregs->fs, &sregs->gs};
    if (code_bits(sregs) == 64) return (segment >= FS ? all[segment]->base : 0) + offset;
    return (all[segment]->base + offset) & 0xffffffff;
}

static int stack_address(const struct kvm_sregs *sregs) {
    return code_bits(sregs) == 64 ? 8 : sregs->ss.db ? 4 : 2;
}

static uint64_t stack_top(const struct kvm_sregs *sregs, uint64_t rsp) {
    return linear(sregs, SS, rsp & mask(stack_address(sregs)));
}

/* The linear address of the operand in memory; next is where RIP is after the instruction. */
static int operand(const struct insn *insn, struct kvm_regs *regs, const struct kvm_sregs *sregs, uint64_t next, uint64_t *address) {
    uint64_t offset = insn->displacement;
    int segment = DS;
    if (insn->has_modrm && insn->mod != 3) {
        if (insn->base == -2) offset += next;
        if (insn->base >= 0) offset += *reg(regs, insn->base);
        if (insn->index >= 0) offset += *reg(regs, insn->index) << insn->scale;
        if (insn->base == RSP || insn->base == RBP) segment = SS;
    } else if (insn->map != 0 || insn->opcode < 0xa0 || insn->opcode > 0xa3) return 0;
    if (insn->segment >= 0) segment = insn->segment;
    *address = linear(sregs, segment, offset & mask(insn->address));
    return 1;
}

static uint64_t string_source(const struct insn *insn, const struct kvm_regs *regs, const struct kvm_sregs *sregs) {
    return linear(sregs, insn->segment >= 0 ? insn->segment : DS, regs->rsi & mask(insn->address));
}

static uint64_t string_target(const struct insn *insn, const struct kvm_regs *regs, const struct kvm_sregs *sregs) {
    return linear(sregs, ES, regs->rdi & mask(insn->address));
}

/* Whether an access of size bytes there is the one that exited at gpa: its first byte, or its first on the second page. */
static int reaches(struct partition *p, const struct kvm_sregs *sregs, uint64_t address, int size, uint64_t gpa, uint64_t *gva) {
    for (int i = 0; i < 3; i++) {
        uint64_t at = i == 0 ? address : i == 1 ? (address + size - 1) & ~(PAGE - 1ull) : address + 8;
        if (at < address || at >= address + size) continue;
        struct walk found = walk(p, sregs, at);
        if (found.result == WHvTranslateGvaResultSuccess && found.gpa == gpa) {
            *gva = at;
            return 1;
        }
    }
    return 0;
}

/* Reads or writes through the page tables, page by page; returns the bytes done. */
static int copy_linear(struct partition *p, const struct kvm_sregs *sregs, uint64_t address, void *buffer, int size, int write) {
    int done = 0;
    while (done < size) {
        struct walk at = walk(p, sregs, address + done);
        int left = PAGE - ((address + done) & (PAGE - 1)), part = size - done < left ? size - done : left;
        if (at.result != WHvTranslateGvaResultSuccess) break;
        if (write ? !guest_write(p, at.gpa, (char *)buffer + done, part) : !guest_read(p, at.gpa, (char *)buffer + done, part)) break;
        done += part;
    }
    return done;
}

/* The instruction at RIP and its bytes; returns whether it is known. */
static int instruction_at(struct partition *p, const struct state *state, uint8_t *bytes, int *count, struct insn *insn) {
    *count = copy_linear(p, &state->sregs, linear(&state->sregs, CS, state->regs.rip), bytes, 16, 0);
    return x86_decode(bytes, *count, code_bits(&state->sregs), insn);
}

/* ---- undoing what is done: writes and OUT ---- */

struct access {
    int is_port, write, size, count;
    uint64_t gpa; /* or the port */
    uint64_t data;
    int more; /* bytes of the same access that followed */
    int changed; /* memory may have been changed since: what an instruction found there proves nothing */
};

/* Whether the result that was written is what this instruction makes of memory; finds the carry it began with. */
static int undo_arithmetic(struct partition *p, const struct insn *insn, struct kvm_regs *regs, const struct access *access, int size) {
    uint64_t old = 0, value;
    int op = insn->opcode, kind;
    if (access->changed) return 1;
    if (!guest_read(p, access->gpa, &old, access->size)) return 0; /* it would have exited to read */
    if (insn->map != 0) return 1;
    if (op < 0x40) kind = op >> 3, value = get_reg(regs, insn, insn->reg, size);
    else if (op >= 0x80 && op <= 0x83) kind = insn->reg & 7, value = insn->immediate;
    else return 1;
    uint64_t results[] = {old + value, old | value, old + value, old - value, old & value, old - value, old ^ value};
    uint64_t difference = (access->data - results[kind]) & mask(size);
    if (kind != 2 && kind != 3) return difference == 0;
    int carry = difference != 0;
    if (carry && difference != (kind == 2 ? 1 : mask(size))) return 0;
    regs->rflags = (regs->rflags & ~(uint64_t)CF) | carry;
    return 1;
}

/* CF, PF, AF, ZF, SF and OF of a comparison. */
static uint64_t compare(uint64_t a, uint64_t b, int size) {
    uint64_t difference = (a - b) & mask(size), sign = 1ull << (8 * size - 1);
    return (a < b) | !__builtin_parity(difference & 0xff) << 2 | ((a ^ b ^ difference) & 0x10) | (uint64_t)!difference << 6
        | (uint64_t)!!(difference & sign) << 7 | (uint64_t)!!((a ^ b) & (a ^ difference) & sign) << 11;
}

/* What could have been compared with this to give these flags: what was is lost, but this does the same again. */
static uint64_t compared(uint64_t with, uint64_t flags, int size) {
    uint64_t sign = 1ull << (8 * size - 1), high = with & ~0xffull;
    uint64_t highs[] = {high, high - 0x100, high + 0x100, 0, sign, sign - 0x100, sign + 0x100, ~0xffull, high ^ sign};
    for (unsigned i = 0; i < sizeof highs / sizeof *highs; i++)
        for (unsigned low = 0; low < 0x100; low++) {
            uint64_t value = (highs[i] | low) & mask(size);
            if (compare(value, with, size) == (flags & 0x8d5)) return value;
        }
    return ~with;
}

/* Turns the registers after the instruction into those before, if the instruction did this access. */
static int undo_store(struct partition *p, const struct insn *insn, struct state *state, const struct access *access, int under_way,
        uint64_t *gva) {
    struct kvm_regs *regs = &state->regs, after = *regs;
    const struct kvm_sregs *sregs = &state->sregs;
    int size, bits = code_bits(sregs);
    enum effect effect = x86_store(insn, bits, &size);
    uint64_t address, old, now = 0, stored = 0, data = access->data & mask(access->size);
    int tells = 0; /* whether it is known what the instruction stored */
    int string = effect == STRING_STORE || effect == STRING_MOVE;
    if (effect == NO_STORE || (size && access->size > size)) return 0;
    if (insn->lock && effect < EXCHANGE) return 0;
    if (under_way && !(string && insn->rep)) return 0;
    if (string && insn->rep && !under_way) return 0; /* KVM leaves RIP there even after the last item */
    if (!under_way) regs->rip -= insn->length;
    int whole = access->size == size;
    /* Of a sum that crosses pages KVM may have stored the other piece already: it cannot be done again. */
    if (effect >= EXCHANGE && !whole) return 0;
    switch (effect) {
        case STRING_STORE: case STRING_MOVE: {
            int64_t step = after.rflags & DF ? -size : size;
            advance(&regs->rdi, insn->address, -step);
            if (effect == STRING_MOVE) advance(&regs->rsi, insn->address, -step);
            if (insn->rep) advance(&regs->rcx, insn->address, 1);
            stored = after.rax;
            tells = effect == STRING_STORE;
            address = string_target(insn, regs, sregs);
            break;
        }
        case PUSH:
            address = stack_top(sregs, after.rsp);
            advance(&regs->rsp, stack_address(sregs), size);
            tells = insn->map == 0 && insn->opcode >= 0x50 && insn->opcode <= 0x57 && (insn->opcode & 7) != RSP;
            if (tells) stored = *reg(regs, (insn->opcode & 7) | (insn->rex & 1) << 3);
            break;
        case POP_TO_MEMORY:
            if (!operand(insn, &after, sregs, after.rip, &address)) return 0;
            advance(&regs->rsp, stack_address(sregs), -size);
            break;
        case EXCHANGE: case ADD_EXCHANGE: /* the register has what memory had */
            old = get_reg(&after, insn, insn->reg, size);
            if (!access->changed && (!guest_read(p, access->gpa, &now, size) || old != (now & mask(size)))) return 0;
            set_reg(regs, insn, insn->reg, size, effect == EXCHANGE ? data : data - old);
            if (!operand(insn, regs, sregs, after.rip, &address)) return 0;
            break;
        case COMPARE_EXCHANGE: /* after a failure RAX has what memory had */
            if (after.rflags & ZF ? get_reg(&after, insn, insn->reg, size) != data : get_reg(&after, insn, RAX, size) != data) return 0;
            if (!(after.rflags & ZF)) set_reg(regs, insn, RAX, size, compared(data, after.rflags, size));
            if (!operand(insn, regs, sregs, after.rip, &address)) return 0;
            break;
        case ARITHMETIC:
            if (!undo_arithmetic(p, insn, regs, access, size)) return 0;
            if (!operand(insn, regs, sregs, after.rip, &address)) return 0;
            break;
        default: {
            int op = insn->opcode;
            if (!operand(insn, regs, sregs, after.rip, &address)) return 0;
            tells = insn->map == 0;
            if (op == 0x88 || op == 0x89) stored = get_reg(regs, insn, insn->reg, size);
            else if (op == 0xa2 || op == 0xa3) stored = regs->rax;
            else if (op == 0xc6 || op == 0xc7) stored = insn->immediate;
            else tells = 0;
        }
    }
    if (!reaches(p, sregs, address, size ? size : 512, access->gpa, gva)) return 0;
    if (!size) return 1;
    /* What exits is whole, up to 8 bytes at a time, or the piece of it on this page; pieces that exited later belong to it as well. */
    uint64_t before = *gva - address, left = size - before, on_page = PAGE - (*gva & (PAGE - 1));
    uint64_t piece = left < 8 ? left : 8;
    if (access->size != (int)(piece < on_page ? piece : on_page) || (access->more && access->size + access->more != (int)left)) return 0;
    return !tells || (stored >> 8 * before & mask(access->size)) == data;
}

static int port_size(const struct insn *insn) {
    return !(insn->opcode & 1) ? 1 : insn->operand == 2 ? 2 : 4;
}

static int port_matches(const struct insn *insn, const struct kvm_regs *regs, const struct access *access) {
    int op = insn->opcode, out = access->write ? 2 : 0;
    if (insn->map != 0 || port_size(insn) != access->size) return 0;
    if ((op & ~1) == 0xe4 + out) return (insn->immediate & 0xff) == (int64_t)access->gpa;
    return ((op & ~1) == 0xec + out || (op & ~1) == 0x6c + out) && (regs->rdx & 0xffff) == access->gpa;
}

static int undo_out(const struct insn *insn, struct state *state, const struct access *access, int under_way) {
    struct kvm_regs *regs = &state->regs;
    if (!port_matches(insn, regs, access)) return 0;
    int string = (insn->opcode & ~1) == 0x6e;
    if (under_way && !(string && insn->rep)) return 0;
    if (string) {
        if (insn->rep && !under_way) return 0;
        int64_t step = (regs->rflags & DF ? -access->size : access->size) * (int64_t)access->count;
        advance(&regs->rsi, insn->address, -step);
        if (insn->rep) advance(&regs->rcx, insn->address, access->count);
    }
    if (!under_way) regs->rip -= insn->length;
    return 1;
}

/* Whether these bytes are one instruction that did this access; makes the state the one before it. */
static int ends_here(struct partition *p, const uint8_t *bytes, int length, const struct access *access, struct insn *insn,
        struct state *state, uint64_t *gva) {
    return x86_decode(bytes, length, code_bits(&state->sregs), insn) && insn->length == length
        && (access->is_port ? undo_out(insn, state, access, 0) : undo_store(p, insn, state, access, 0, gva));
}

/* Finds the instruction that ends at RIP, or a repeated one at RIP, which did this access, and makes the state the one before it. */
static int undo(struct partition *p, struct state *state, const struct access *access, struct insn *insn, uint64_t *gva) {
    uint64_t rip = linear(&state->sregs, CS, state->regs.rip);
    uint8_t bytes[16];
    int on_page = rip & (PAGE - 1), known = 15;
    if (copy_linear(p, &state->sregs, rip - 15, bytes, 15, 0) != 15) {
        known = on_page < 15 ? on_page : 15;
        if (copy_linear(p, &state->sregs, rip - known, bytes + 15 - known, known, 0) != known) known = 0;
    }
    for (int length = 1; length <= known; length++) {
        struct state before = *state;
        if (!ends_here(p, bytes + 15 - length, length, access, insn, &before, gva)) continue;
        /* A LOCK changes nothing that can be seen here, but is hardly there by chance. */
        struct state locked = *state;
        struct insn longer;
        if (length < known && bytes[14 - length] == 0xf0
                && ends_here(p, bytes + 14 - length, length + 1, access, &longer, &locked, gva)) {
            *insn = longer;
            before = locked;
        }
        *state = before;
        return 1;
    }
    struct state before = *state;
    int count;
    uint8_t here[16];
    if (instruction_at(p, state, here, &count, insn)
            && (access->is_port ? undo_out(insn, &before, access, 1) : undo_store(p, insn, &before, access, 1, gva))) {
        *state = before;
        return 1;
    }
    struct access changed = *access;
    changed.changed = 1;
    for (int length = known; length >= 1 && !access->is_port; length--) {
        before = *state;
        if (!ends_here(p, bytes + 15 - length, length, &changed, insn, &before, gva)) continue;
        *state = before;
        return 1;
    }
    return 0;
}

/* ---- retiring ---- */

/* Ends the instruction that KVM has under way, reading zeros. Returns the bytes that it wrote on the way. */
static int retire(struct processor *vp) {
    struct kvm_run *run = vp->run;
    int written = 0;
    for (int i = 0; i < MOST_PIECES; i++) {
        if (run->exit_reason == KVM_EXIT_MMIO && !run->mmio.is_write) memset(run->mmio.data, 0, sizeof run->mmio.data);
        else if (run->exit_reason == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_IN)
            memset((char *)run + run->io.data_offset, 0, (size_t)run->io.size * run->io.count);
        run->immediate_exit = 1;
        if (ioctl(vp->fd, KVM_RUN, 0) < 0) break; /* EINTR: done */
        if (run->exit_reason != KVM_EXIT_MMIO && run->exit_reason != KVM_EXIT_IO) break;
        if (run->exit_reason == KVM_EXIT_MMIO && run->mmio.is_write) written += run->mmio.len;
    }
    return written;
}

/* Makes the processor's state this one, after retiring changed it. */
static void restore(struct processor *vp, struct state *state) {
    struct kvm_sync_regs *now = &vp->run->s.regs;
    set_general(vp, &state->regs);
    if (memcmp(&now->sregs, &state->sregs, sizeof state->sregs)) {
        vp->fresh &= ~SREGS;
        kvm_call(vp->fd, KVM_SET_SREGS, &state->sregs);
    }
    if (memcmp(&now->events, &state->events, sizeof state->events)) {
        vp->fresh &= ~SREGS;
        kvm_call(vp->fd, KVM_SET_VCPU_EVENTS, &state->events);
    }
}

/*
 * Retires a read or an IN, and puts back what that stored. gpa is what could not be read, or -1. Since then memory may have been mapped
 * there, and an instruction that changes what it reads would write zeros and a bit to it: it is taken away meanwhile.
 */
static void cancel_read(struct processor *vp, struct state *state, const struct insn *insn, int known, uint64_t gpa) {
    struct slot hidden;
    int ignored, hide = gpa != ~0ull && (!known || x86_store(insn, code_bits(&state->sregs), &ignored) != NO_STORE)
        && hide_slot(vp->partition, gpa, &hidden);
    struct partition *p = vp->partition;
    struct kvm_xsave xsave;
    uint8_t memory[16], now[16];
    uint64_t at = 0;
    int size = 0, fpu = known && x86_uses_fpu(insn);
    if (known && insn->map == 0) {
        int op = insn->opcode, stack = stack_address(&state->sregs);
        if ((op & ~1) == 0xa4 || (op & ~1) == 0x6c) {
            size = (op & ~1) == 0x6c ? port_size(insn) : op & 1 ? insn->operand : 1;
            at = string_target(insn, &state->regs, &state->sregs);
        } else if (op == 0xff && (insn->reg & 7) >= 2 && (insn->reg & 7) != 4 && (insn->reg & 7) != 5) {
            size = 16;
            __u64 rsp = state->regs.rsp;
            advance(&rsp, stack, -size);
            at = stack_top(&state->sregs, rsp);
        } else if (op == 0x8f && operand(insn, &state->regs, &state->sregs, state->regs.rip + insn->length, &at)) size = 8;
    }
    if (known && x86_is_string(insn) && insn->rep) {
        struct kvm_regs once = state->regs;
        once.rcx = 1;
        set_general(vp, &once);
    }
    if (size) size = copy_linear(p, &state->sregs, at, memory, size, 0);
    if (fpu && kvm_call(vp->fd, KVM_GET_XSAVE, &xsave) < 0) fpu = 0;
    retire(vp);
    if (hide) show_slot(p, &hidden);
    if (fpu) kvm_call(vp->fd, KVM_SET_XSAVE, &xsave);
    if (size && copy_linear(p, &state->sregs, at, now, size, 0) == size && memcmp(memory, now, size))
        copy_linear(p, &state->sregs, at, memory, size, 1);
    restore(vp, state);
}

/* ---- contexts ---- */

static void fill(struct processor *vp, WHV_RUN_VP_EXIT_CONTEXT *context, WHV_RUN_VP_EXIT_REASON reason, const struct state *state,
        int length) {
    WHV_VP_EXIT_CONTEXT *c = &context->VpContext;
    const struct kvm_sregs *s = &state->sregs;
    memset(context, 0, sizeof *context);
    context->ExitReason = reason;
    int cpl = s->cr0 & 1 ? s->ss.dpl : 0;
    int pending = state->events.exception.injected || state->events.interrupt.injected || state->events.nmi.injected;
    c->ExecutionState.AsUINT16 = cpl | (s->cr0 & 1) << 2 | (s->cr0 >> 18 & 1) << 3 | (s->efer >> 10 & 1) << 4 | pending << 6
        | !!state->events.interrupt.shadow << 12;
    c->InstructionLength = length;
    c->Cr8 = vp->run->cr8;
    to_segment(&s->cs, &c->Cs);
    c->Rip = state->regs.rip;
    c->Rflags = state->regs.rflags;
}

static int copy_bytes(const uint8_t *bytes, int count, UINT8 *to) {
    if (count > 16) count = 16;
    if (count > switches.instruction_bytes) count = switches.instruction_bytes < 0 ? 0 : switches.instruction_bytes;
    memcpy(to, bytes, count);
    return count;
}

/* KVM's own idea of where RIP is, for monitors that must cope with it. */
static void leave_rip(struct processor *vp, struct state *state, const struct insn *insn) {
    if (switches.exact_rip || (x86_is_string(insn) && insn->rep)) return;
    state->regs.rip += insn->length;
    set_general(vp, &state->regs);
}

static void unsupported(struct processor *vp, WHV_RUN_VP_EXIT_CONTEXT *context, const struct state *state, uint64_t parameter) {
    fill(vp, context, WHvRunVpExitReasonUnsupportedFeature, state, 0);
    context->UnsupportedFeature.FeatureCode = WHvUnsupportedFeatureIntercept;
    context->UnsupportedFeature.FeatureParameter = parameter;
}

/*
 * Reports an access to memory, or makes the page available where population is lazy and it can be had. Both locks held.
 * Returns whether there is an exit to report.
 */
static int memory_exit(struct processor *vp, WHV_RUN_VP_EXIT_CONTEXT *context, const struct state *state, uint64_t gpa,
        WHV_MEMORY_ACCESS_TYPE type, const uint64_t *gva, const uint8_t *bytes, int count) {
    struct partition *p = vp->partition;
    int mapped = range_at(p, gpa) != NULL;
    if (mapped && !populated_at(p, gpa)) {
        if (populate_touched(p, gpa)) return 0;
        if (switches.lazy == 2 && !(p->extended_exits >> 14 & 1) && populate_page(p, gpa) == 0) return 0;
    }
    fill(vp, context, WHvRunVpExitReasonMemoryAccess, state, 0);
    WHV_MEMORY_ACCESS_CONTEXT *access = &context->MemoryAccess;
    access->InstructionByteCount = copy_bytes(bytes, count, access->InstructionBytes);
    access->AccessInfo.AsUINT32 = type | (uint32_t)!mapped << 2 | (uint32_t)!!gva << 3;
    access->Gpa = gpa;
    access->Gva = gva ? *gva : 0;
    return 1;
}

static int mmio_exit(struct processor *vp, WHV_RUN_VP_EXIT_CONTEXT *context) {
    struct partition *p = vp->partition;
    struct access access = {.write = vp->run->mmio.is_write, .size = vp->run->mmio.len, .count = 1, .gpa = vp->run->mmio.phys_addr};
    struct state state;
    struct insn insn;
    uint8_t bytes[16];
    uint64_t gva = 0;
    int count = 0, known, valid = 0;
    take_state(vp, &state);
    memcpy(&access.data, vp->run->mmio.data, access.size);
    if (access.write) {
        struct state after = state;
        int size, retired = ((access.gpa + access.size) & (PAGE - 1)) == 0;
        if (retired) access.more = retire(vp); /* another piece may follow on the next page */
        known = undo(p, &state, &access, &insn, &gva);
        /* One piece is all: KVM has nothing more to do for it, and goes on from wherever RIP is by then. */
        x86_store(&insn, code_bits(&state.sregs), &size);
        if (!retired && (!known || size == 0 || size > 8)) retire(vp);
        restore(vp, known ? &state : &after);
        if (!known) {
            unsupported(vp, context, &after, access.gpa);
            return 1;
        }
        known = instruction_at(p, &state, bytes, &count, &insn);
        valid = 1;
    } else {
        known = instruction_at(p, &state, bytes, &count, &insn);
        cancel_read(vp, &state, &insn, known, access.gpa);
        uint64_t at;
        if (known && operand(&insn, &state.regs, &state.sregs, state.regs.rip + insn.length, &at))
            valid = reaches(p, &state.sregs, at, 16, access.gpa, &gva);
        if (known && !valid && x86_is_string(&insn))
            valid = reaches(p, &state.sregs, string_source(&insn, &state.regs, &state.sregs), 8, access.gpa, &gva)
                || reaches(p, &state.sregs, string_target(&insn, &state.regs, &state.sregs), 8, access.gpa, &gva);
        if (known && !valid) valid = reaches(p, &state.sregs, stack_top(&state.sregs, state.regs.rsp), 8, access.gpa, &gva);
    }
    if (!memory_exit(vp, context, &state, access.gpa, access.write ? WHvMemoryAccessWrite : WHvMemoryAccessRead, valid ? &gva : NULL,
            bytes, count))
        return 0;
    if (known) {
        leave_rip(vp, &state, &insn);
        context->VpContext.Rip = state.regs.rip;
    }
    return 1;
}

static int port_exit(struct processor *vp, WHV_RUN_VP_EXIT_CONTEXT *context) {
    struct partition *p = vp->partition;
    struct kvm_run *run = vp->run;
    struct access access = {.is_port = 1, .write = run->io.direction == KVM_EXIT_IO_OUT, .size = run->io.size,
        .count = run->io.count, .gpa = run->io.port};
    struct state state;
    struct insn insn;
    uint8_t bytes[16];
    uint64_t gva;
    int count = 0, known;
    take_state(vp, &state);
    if (access.write) {
        struct state after = state;
        /* Hardware that exits at OUT itself leaves RIP to be advanced by retiring; an emulated OUT is done. */
        known = instruction_at(p, &state, bytes, &count, &insn) && !x86_is_string(&insn) && port_matches(&insn, &state.regs, &access);
        if (known) {
            retire(vp);
            known = run->s.regs.regs.rip != state.regs.rip;
        }
        known = known || undo(p, &state, &access, &insn, &gva);
        restore(vp, known ? &state : &after);
        if (known) known = instruction_at(p, &state, bytes, &count, &insn);
    } else {
        known = instruction_at(p, &state, bytes, &count, &insn);
        cancel_read(vp, &state, &insn, known, ~0ull);
    }
    if (!known) {
        unsupported(vp, context, &state, access.gpa);
        return 1;
    }
    leave_rip(vp, &state, &insn);
    fill(vp, context, WHvRunVpExitReasonX64IoPortAccess, &state, insn.length);
    WHV_X64_IO_PORT_ACCESS_CONTEXT *io = &context->IoPortAccess;
    io->InstructionByteCount = copy_bytes(bytes, count, io->InstructionBytes);
    io->AccessInfo.AsUINT32 = access.write | access.size << 1 | x86_is_string(&insn) << 4 | (x86_is_string(&insn) && insn.rep) << 5;
    io->PortNumber = access.gpa;
    io->Rax = state.regs.rax;
    io->Rcx = state.regs.rcx;
    io->Rsi = state.regs.rsi;
    io->Rdi = state.regs.rdi;
    to_segment(&state.sregs.ds, &io->Ds);
    to_segment(&state.sregs.es, &io->Es);
    return 1;
}

/* KVM cannot fetch or emulate: because there is no memory under RIP, or because it does not know the instruction. */
static int failed_instruction(struct processor *vp, WHV_RUN_VP_EXIT_CONTEXT *context) {
    struct partition *p = vp->partition;
    struct state state;
    struct insn insn;
    uint8_t bytes[16] = {0};
    int count;
    take_state(vp, &state);
    int known = instruction_at(p, &state, bytes, &count, &insn);
    uint64_t rip = linear(&state.sregs, CS, state.regs.rip), gva = rip;
    for (int i = 0; i < 2; i++) {
        struct walk at = walk(p, &state.sregs, gva);
        if (at.result == WHvTranslateGvaResultGpaUnmapped)
            return memory_exit(vp, context, &state, at.gpa, WHvMemoryAccessRead, NULL, bytes, 0);
        if (at.result == WHvTranslateGvaResultSuccess && !populated_at(p, at.gpa))
            return memory_exit(vp, context, &state, at.gpa, WHvMemoryAccessExecute, &gva, bytes, i ? count : 0);
        if (known) break;
        gva = (rip + 14) & ~(PAGE - 1ull);
        if (gva <= rip) break;
    }
    uint64_t operand_at;
    if (known && switches.lazy && operand(&insn, &state.regs, &state.sregs, state.regs.rip + insn.length, &operand_at)) {
        struct walk at = walk(p, &state.sregs, operand_at);
        if (at.result == WHvTranslateGvaResultSuccess && range_at(p, at.gpa) && !populated_at(p, at.gpa)) {
            int size;
            return memory_exit(vp, context, &state, at.gpa,
                x86_store(&insn, code_bits(&state.sregs), &size) ? WHvMemoryAccessWrite : WHvMemoryAccessRead, &operand_at, bytes, count);
        }
    }
    /*
     * Without the bytes that KVM's emulator did not like it was not the emulator: seen here now and then when memory comes to be mapped
     * just where a processor at CPL3 meets nothing. It goes well the next time.
     */
    if (vp->run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION && vp->run->exit_reason == KVM_EXIT_INTERNAL_ERROR
            && !(vp->run->internal.data[0] & 1) && vp->retries++ < MOST_RETRIES)
        return 0;
    uint64_t parameter;
    memcpy(&parameter, bytes, 8);
    unsupported(vp, context, &state, parameter);
    return 1;
}

/* The host has no memory where a mapping says it has: the access that met it, as far as it can be told. */
static int missing_host_memory(struct processor *vp, WHV_RUN_VP_EXIT_CONTEXT *context) {
    struct partition *p = vp->partition;
    struct state state;
    struct insn insn;
    uint8_t bytes[16];
    uint64_t at, *told = (uint64_t *)vp->run->padding;
    int count, size;
    take_state(vp, &state);
    int known = instruction_at(p, &state, bytes, &count, &insn);
    int write = known && x86_store(&insn, code_bits(&state.sregs), &size) != NO_STORE;
    uint64_t gpa = 0, gva = linear(&state.sregs, CS, state.regs.rip);
    WHV_MEMORY_ACCESS_TYPE type = known ? (write ? WHvMemoryAccessWrite : WHvMemoryAccessRead) : WHvMemoryAccessExecute;
    if (known && operand(&insn, &state.regs, &state.sregs, state.regs.rip + insn.length, &at)) gva = at;
    struct walk found = walk(p, &state.sregs, gva);
    if (found.result == WHvTranslateGvaResultSuccess) gpa = found.gpa;
    if (vp->run->exit_reason == EXIT_MEMORY_FAULT) gpa = told[1];
    return memory_exit(vp, context, &state, gpa, type, found.gpa == gpa ? &gva : NULL, bytes, known ? count : 0);
}

/* ---- running ---- */

static int is_quiet_halt(struct processor *vp) {
    struct kvm_vcpu_events events;
    if (!(vp->activity & 2)) return 0;
    kvm_call(vp->fd, KVM_GET_VCPU_EVENTS, &events);
    if (!events.interrupt.injected && !events.nmi.injected && !events.nmi.pending && vp->pending_vector < 0) return 1;
    vp->activity &= ~2ull;
    return 0;
}

static void read_state(struct processor *vp, struct state *state) {
    if (vp->fresh & REGS) state->regs = vp->run->s.regs.regs;
    else kvm_call(vp->fd, KVM_GET_REGS, &state->regs);
    if (vp->has_refused) state->sregs = vp->refused;
    else if (vp->fresh & SREGS) state->sregs = vp->run->s.regs.sregs;
    else kvm_call(vp->fd, KVM_GET_SREGS, &state->sregs);
    kvm_call(vp->fd, KVM_GET_VCPU_EVENTS, &state->events);
}

static int waits_for_interrupts(const struct processor *vp) {
    return vp->pending_vector >= 0 || vp->notifications & 2;
}

/* Delivers what waits for interrupts to be enabled, now that they are. Returns whether that is an exit. */
static int window_opened(struct processor *vp, WHV_RUN_VP_EXIT_CONTEXT *context, const struct state *state) {
    if (vp->pending_vector >= 0) {
        struct kvm_interrupt interrupt = {vp->pending_vector};
        vp->fresh &= ~SREGS;
        if (kvm_call(vp->fd, KVM_INTERRUPT, &interrupt) == 0) vp->pending_vector = -1;
        return 0;
    }
    if (!(vp->notifications & 2)) return 0;
    vp->notifications = 0; /* asked for anew each time */
    fill(vp, context, WHvRunVpExitReasonX64InterruptWindow, state, 0);
    context->InterruptWindow.DeliverableType = WHvX64PendingInterrupt;
    return 1;
}

static int window_is_open(const struct state *state) {
    return state->regs.rflags & IF && !state->events.interrupt.shadow && !state->events.interrupt.injected
        && !state->events.exception.injected && !state->events.nmi.injected;
}

/* Whether there is an exit without entering. */
static int exit_before_entry(struct processor *vp, WHV_RUN_VP_EXIT_CONTEXT *context) {
    int halt = 0;
    if (!vp->has_refused && waits_for_interrupts(vp)) {
        struct state state;
        read_state(vp, &state);
        if (window_is_open(&state) && window_opened(vp, context, &state)) return 1;
    }
    if (!vp->has_refused && !(halt = is_quiet_halt(vp))) return 0;
    struct state state;
    read_state(vp, &state);
    fill(vp, context, halt ? WHvRunVpExitReasonX64Halt : WHvRunVpExitReasonInvalidVpRegisterValue, &state, 0);
    return 1;
}

/* Enters the guest once. Returns 0, or an errno, or -1 when the run was cancelled. */
static int enter(struct processor *vp) {
    struct partition *p = vp->partition;
    pthread_mutex_lock(&p->lock);
    while (p->holding && !vp->cancelled && !p->closing) pthread_cond_wait(&p->changed, &p->lock);
    if (vp->cancelled || p->closing) {
        vp->cancelled = 0;
        pthread_mutex_unlock(&p->lock);
        return -1;
    }
    vp->run->immediate_exit = 0;
    vp->run->request_interrupt_window = waits_for_interrupts(vp);
    vp->run->exit_reason = KVM_EXIT_UNKNOWN;
    vp->thread = pthread_self();
    vp->in_guest = 1;
    p->inside++;
    pthread_mutex_unlock(&p->lock);
    int result = ioctl(vp->fd, KVM_RUN, 0) < 0 ? errno : 0;
    vp->fresh = REGS | SREGS;
    pthread_mutex_lock(&p->lock);
    vp->in_guest = 0;
    p->inside--;
    if (p->holding) pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    return result;
}

/*
 * A software processor emulates up to a HLT without a look at the window. The interrupt came before the HLT then, unless STI was
 * just before it, which lets the HLT go first.
 */
static int halted(struct processor *vp, WHV_RUN_VP_EXIT_CONTEXT *context, struct state *state) {
    if (waits_for_interrupts(vp) && state->regs.rflags & IF) {
        uint8_t bytes[2] = {0};
        uint64_t rip = linear(&state->sregs, CS, state->regs.rip);
        if (copy_linear(vp->partition, &state->sregs, rip - 2, bytes, 2, 0) == 2 && bytes[0] != 0xfb && bytes[1] == 0xf4) {
            state->regs.rip--;
            set_general(vp, &state->regs);
        }
        return window_opened(vp, context, state);
    }
    fill(vp, context, WHvRunVpExitReasonX64Halt, state, 1);
    return 1;
}

/* Whether the processor is out for good; both locks held. */
static int handle_exit(struct processor *vp, int error, WHV_RUN_VP_EXIT_CONTEXT *context, HRESULT *result) {
    struct state state;
    if (error == EFAULT || error == EHWPOISON) return missing_host_memory(vp, context);
    if (error == ENOSPC) return failed_instruction(vp, context); /* shadow paging has no tables before the first slot */
    if (error) {
        *result = E_UNEXPECTED;
        return 1;
    }
    switch (vp->run->exit_reason) {
        case KVM_EXIT_MMIO: return mmio_exit(vp, context);
        case KVM_EXIT_IO: return port_exit(vp, context);
        case KVM_EXIT_INTERNAL_ERROR: return failed_instruction(vp, context);
        case EXIT_MEMORY_FAULT: return missing_host_memory(vp, context);
        case KVM_EXIT_INTR: case KVM_EXIT_SET_TPR: return 0;
        default: break;
    }
    take_state(vp, &state);
    switch (vp->run->exit_reason) {
        case KVM_EXIT_HLT: return halted(vp, context, &state);
        case KVM_EXIT_SHUTDOWN: fill(vp, context, WHvRunVpExitReasonUnrecoverableException, &state, 0); return 1;
        case KVM_EXIT_FAIL_ENTRY: fill(vp, context, WHvRunVpExitReasonInvalidVpRegisterValue, &state, 0); return 1;
        case KVM_EXIT_IRQ_WINDOW_OPEN:
            return window_opened(vp, context, &state);
        default: unsupported(vp, context, &state, vp->run->exit_reason); return 1;
    }
}

HRESULT run_processor(struct processor *vp, WHV_RUN_VP_EXIT_CONTEXT *context) {
    struct partition *p = vp->partition;
    HRESULT result = S_OK;
    if (switches.lazy) {
        struct state state;
        read_state(vp, &state);
        pthread_mutex_lock(&p->change);
        pthread_mutex_lock(&p->lock);
        populate_tables(p, &state.sregs);
        pthread_mutex_unlock(&p->lock);
        pthread_mutex_unlock(&p->change);
    }
    vp->retries = 0;
    for (;;) {
        if (exit_before_entry(vp, context)) return S_OK;
        int error = enter(vp), done;
        if (error == EINTR || error == EAGAIN) continue;
        if (error < 0) {
            struct state state;
            read_state(vp, &state);
            fill(vp, context, WHvRunVpExitReasonCanceled, &state, 0);
            context->CancelReason.CancelReason = WhvRunVpCancelReasonUser;
            return S_OK;
        }
        pthread_mutex_lock(&p->change);
        pthread_mutex_lock(&p->lock);
        done = handle_exit(vp, error, context, &result);
        pthread_mutex_unlock(&p->lock);
        pthread_mutex_unlock(&p->change);
        if (done) return result;
    }
}
