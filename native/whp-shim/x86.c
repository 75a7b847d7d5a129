#include "x86.h"

#include <string.h>

enum immediate { NONE = 0, BYTE = 1, WORD = 2, Z = 3, V = 4, OFFSET = 5, FAR = 6, ENTER = 7 };

static int one_byte(struct insn *insn, int bits, enum immediate *immediate) {
    int op = insn->opcode, modrm = 0;
    *immediate = NONE;
    if (op < 0x40) {
        modrm = (op & 7) < 4;
        *immediate = (op & 7) == 4 ? BYTE : (op & 7) == 5 ? Z : NONE;
        return bits == 64 && (op & 7) > 5 ? -1 : modrm;
    }
    if (op < 0x60) return 0;
    if (op >= 0x70 && op < 0x80) return *immediate = BYTE, 0;
    if (op >= 0xb0 && op < 0xc0) return *immediate = op < 0xb8 ? BYTE : V, 0;
    switch (op) {
        case 0x62: return -1;
        case 0x63: return 1;
        case 0x68: *immediate = Z; return 0;
        case 0x69: *immediate = Z; return 1;
        case 0x6a: *immediate = BYTE; return 0;
        case 0x6b: case 0x80: case 0x83: case 0xc0: case 0xc1: case 0xc6: *immediate = BYTE; return 1;
        case 0x82: *immediate = BYTE; return bits == 64 ? -1 : 1;
        case 0x81: case 0xc7: *immediate = Z; return 1;
        case 0x84 ... 0x8f: case 0xd0 ... 0xd3: case 0xd8 ... 0xdf: case 0xfe: case 0xff: return 1;
        case 0x9a: case 0xea: *immediate = FAR; return bits == 64 ? -1 : 0;
        case 0xa0 ... 0xa3: *immediate = OFFSET; return 0;
        case 0xa8: case 0xcd: case 0xd4: case 0xd5: case 0xe0 ... 0xe7: case 0xeb: *immediate = BYTE; return 0;
        case 0xa9: case 0xe8: case 0xe9: *immediate = Z; return 0;
        case 0xc2: case 0xca: *immediate = WORD; return 0;
        case 0xc4: case 0xc5: return bits == 64 ? -1 : 1; /* LES and LDS; VEX is not for KVM's emulator */
        case 0xc8: *immediate = ENTER; return 0;
        case 0xf6: case 0xf7: return 1; /* the immediate depends on ModRM */
        default: return 0;
    }
}

static int two_byte(struct insn *insn, enum immediate *immediate) {
    int op = insn->opcode;
    *immediate = NONE;
    switch (op) {
        case 0x05 ... 0x0b: case 0x30 ... 0x37: case 0x77: case 0xa0 ... 0xa2: case 0xa8 ... 0xaa: case 0xc8 ... 0xcf: return 0;
        case 0x04: case 0x0c: case 0x0e: case 0x0f: case 0x24 ... 0x27: case 0x38 ... 0x3f: case 0x7a: case 0x7b: case 0xa6: case 0xa7: return -1;
        case 0x80 ... 0x8f: *immediate = Z; return 0;
        case 0x70 ... 0x73: case 0xa4: case 0xac: case 0xba: case 0xc2: case 0xc4 ... 0xc6: *immediate = BYTE; return 1;
        default: return 1;
    }
}

struct reader {
    const uint8_t *at;
    int left, bad;
};

static uint64_t take(struct reader *reader, int size) {
    uint64_t value = 0;
    if (reader->left < size) {
        reader->bad = 1;
        return 0;
    }
    memcpy(&value, reader->at, size);
    reader->at += size;
    reader->left -= size;
    return value;
}

static int64_t take_signed(struct reader *reader, int size) {
    uint64_t value = take(reader, size);
    int shift = 64 - 8 * size;
    return (int64_t)(value << shift) >> shift;
}

static void memory_operand(struct insn *insn, struct reader *reader, int bits) {
    int rm = insn->rm & 7, b = (insn->rex & 1) << 3, x = (insn->rex & 2) << 2;
    insn->base = insn->index = -1;
    if (insn->address == 2) {
        static const int8_t bases[] = {RBX, RBX, RBP, RBP, RSI, RDI, RBP, RBX}, indexes[] = {RSI, RDI, RSI, RDI, -1, -1, -1, -1};
        if (insn->mod == 0 && rm == 6) {
            insn->displacement = take_signed(reader, 2);
            return;
        }
        insn->base = bases[rm];
        insn->index = indexes[rm];
        if (insn->mod) insn->displacement = take_signed(reader, insn->mod);
        return;
    }
    if (rm == 4) {
        int sib = take(reader, 1);
        insn->scale = sib >> 6;
        insn->index = ((sib >> 3) & 7) | x;
        if (insn->index == 4) insn->index = -1;
        insn->base = (sib & 7) | b;
        if ((sib & 7) == 5 && insn->mod == 0) {
            insn->base = -1;
            insn->displacement = take_signed(reader, 4);
        }
    } else if (rm == 5 && insn->mod == 0) {
        insn->base = bits == 64 ? -2 : -1;
        insn->displacement = take_signed(reader, 4);
    } else {
        insn->base = rm | b;
    }
    if (insn->mod == 1) insn->displacement = take_signed(reader, 1);
    if (insn->mod == 2) insn->displacement = take_signed(reader, 4);
}

int x86_decode(const uint8_t *bytes, int count, int bits, struct insn *insn) {
    struct reader reader = {bytes, count > 15 ? 15 : count, 0};
    enum immediate immediate = NONE;
    int modrm, operand_override = 0, address_override = 0, op;
    memset(insn, 0, sizeof *insn);
    insn->segment = insn->base = insn->index = -1;
    for (;;) {
        op = take(&reader, 1);
        if (reader.bad) return 0;
        int prefix = 1;
        switch (op) {
            case 0x26: insn->segment = ES; break;
            case 0x2e: insn->segment = CS; break;
            case 0x36: insn->segment = SS; break;
            case 0x3e: insn->segment = DS; break;
            case 0x64: insn->segment = FS; break;
            case 0x65: insn->segment = GS; break;
            case 0x66: operand_override = 1; break;
            case 0x67: address_override = 1; break;
            case 0xf0: insn->lock = 1; break;
            case 0xf2: case 0xf3: insn->rep = op; break;
            default: prefix = 0;
        }
        if (!prefix) break;
    }
    if (bits == 64 && (op & 0xf0) == 0x40) {
        insn->rex = op;
        op = take(&reader, 1);
    }
    insn->operand = bits == 64 ? (insn->rex & 8 ? 8 : operand_override ? 2 : 4) : (bits == 32) != operand_override ? 4 : 2;
    insn->address = bits == 64 ? (address_override ? 4 : 8) : (bits == 32) != address_override ? 4 : 2;
    if (op == 0x0f) {
        op = take(&reader, 1);
        insn->map = 1;
        if (op == 0x38 || op == 0x3a) {
            insn->map = op == 0x38 ? 2 : 3;
            op = take(&reader, 1);
        }
    }
    insn->opcode = op;
    if (insn->map == 0) modrm = one_byte(insn, bits, &immediate);
    else if (insn->map == 1) modrm = two_byte(insn, &immediate);
    else modrm = 1, immediate = insn->map == 3 ? BYTE : NONE;
    if (modrm < 0 || reader.bad) return 0;
    if (modrm) {
        int byte = take(&reader, 1);
        insn->has_modrm = 1;
        insn->mod = byte >> 6;
        insn->reg = ((byte >> 3) & 7) | (insn->rex & 4) << 1;
        insn->rm = byte & 7;
        if (insn->mod != 3) memory_operand(insn, &reader, bits);
        else insn->rm |= (insn->rex & 1) << 3;
        if (insn->map == 0 && (op == 0xf6 || op == 0xf7) && (insn->reg & 7) < 2) immediate = op == 0xf6 ? BYTE : Z;
    }
    switch (immediate) {
        case NONE: break;
        case BYTE: insn->immediate = take_signed(&reader, 1); break;
        case WORD: insn->immediate = take_signed(&reader, 2); break;
        case Z: insn->immediate = take_signed(&reader, insn->operand == 2 ? 2 : 4); break;
        case V: insn->immediate = take_signed(&reader, insn->operand); break;
        case OFFSET: insn->displacement = take(&reader, insn->address); break;
        case FAR: take(&reader, insn->operand + 2); break;
        case ENTER: take(&reader, 3); break;
    }
    if (reader.bad) return 0;
    insn->length = reader.at - bytes;
    return 1;
}

int x86_is_string(const struct insn *insn) {
    int op = insn->opcode;
    return insn->map == 0 && ((op >= 0x6c && op <= 0x6f) || (op >= 0xa4 && op <= 0xa7) || (op >= 0xaa && op <= 0xaf));
}

int x86_uses_fpu(const struct insn *insn) {
    int op = insn->opcode;
    if (insn->map == 0) return op == 0x9b || (op >= 0xd8 && op <= 0xdf);
    if (insn->map > 1) return 1;
    return (op >= 0x10 && op <= 0x17) || (op >= 0x28 && op <= 0x2f) || (op >= 0x50 && op <= 0x7f) || op == 0xae || op == 0xc2
        || (op >= 0xc4 && op <= 0xc6) || op >= 0xd0;
}

static enum effect sized(int bytes, int *size, enum effect effect) {
    *size = bytes;
    return effect;
}

enum effect x86_store(const struct insn *insn, int bits, int *size) {
    int op = insn->opcode, memory = insn->has_modrm && insn->mod != 3, reg = insn->reg & 7;
    int width = op & 1 ? insn->operand : 1, stack = bits == 64 && insn->operand != 2 ? 8 : insn->operand;
    *size = 0;
    if (insn->map == 0) {
        if (op < 0x40 && (op & 7) < 2) return memory && op < 0x38 ? sized(width, size, ARITHMETIC) : NO_STORE;
        if (op < 0x40 && (op & 7) == 6 && op < 0x20) return sized(stack, size, PUSH);
        switch (op) {
            case 0x50 ... 0x57: case 0x68: case 0x6a: case 0x9c: return sized(stack, size, PUSH);
            case 0x80 ... 0x83: return memory && reg != 7 ? sized(width, size, ARITHMETIC) : NO_STORE;
            case 0x86: case 0x87: return memory ? sized(width, size, EXCHANGE) : NO_STORE;
            case 0x88: case 0x89: return memory ? sized(width, size, PLAIN) : NO_STORE;
            case 0xc6: case 0xc7: return memory && reg == 0 ? sized(width, size, PLAIN) : NO_STORE;
            case 0xa2: case 0xa3: return sized(width, size, PLAIN);
            case 0x8c: return memory ? sized(2, size, PLAIN) : NO_STORE;
            case 0x8f: return memory && reg == 0 ? sized(stack, size, POP_TO_MEMORY) : NO_STORE;
            case 0xa4: case 0xa5: return sized(width, size, STRING_MOVE);
            case 0xaa: case 0xab: return sized(width, size, STRING_STORE);
            case 0xc0: case 0xc1: case 0xd0 ... 0xd3: return memory ? sized(width, size, ARITHMETIC) : NO_STORE;
            case 0xf6: case 0xf7: return memory && (reg == 2 || reg == 3) ? sized(width, size, ARITHMETIC) : NO_STORE;
            case 0xfe: return memory && reg < 2 ? sized(1, size, ARITHMETIC) : NO_STORE;
            case 0xff:
                return reg == 6 ? sized(stack, size, PUSH) : memory && reg < 2 ? sized(width, size, ARITHMETIC) : NO_STORE;
            case 0xd9: return memory && (reg == 2 || reg == 3 || reg >= 6) ? PLAIN : NO_STORE;
            case 0xdb: return memory && (reg == 2 || reg == 3 || reg == 1 || reg == 7) ? PLAIN : NO_STORE;
            case 0xdd: return memory && reg != 0 && reg != 4 && reg != 5 ? PLAIN : NO_STORE;
            case 0xdf: return memory && reg != 0 && reg != 4 && reg != 5 ? PLAIN : NO_STORE;
            default: return NO_STORE;
        }
    }
    if (insn->map != 1) return NO_STORE;
    switch (op) {
        case 0x00: return memory && reg < 2 ? sized(2, size, PLAIN) : NO_STORE;
        case 0x01: return memory && (reg < 2 || reg == 4) ? PLAIN : NO_STORE;
        case 0x11: return memory ? sized(insn->rep == 0xf3 ? 4 : insn->rep == 0xf2 ? 8 : 16, size, PLAIN) : NO_STORE;
        case 0x13: case 0x17: case 0xd6: return memory ? sized(8, size, PLAIN) : NO_STORE;
        case 0x29: case 0x2b: case 0x7f: case 0xe7: return memory ? PLAIN : NO_STORE;
        case 0x7e: return memory && insn->rep != 0xf3 ? sized(insn->operand == 8 ? 8 : 4, size, PLAIN) : NO_STORE;
        case 0x90 ... 0x9f: return memory ? sized(1, size, PLAIN) : NO_STORE;
        case 0xa0: case 0xa8: return sized(stack, size, PUSH);
        case 0xa4: case 0xa5: case 0xac: case 0xad: return memory ? sized(insn->operand, size, ARITHMETIC) : NO_STORE;
        case 0xab: case 0xb3: case 0xbb: return memory ? sized(insn->operand, size, ARITHMETIC) : NO_STORE;
        case 0xba: return memory && reg >= 5 ? sized(insn->operand, size, ARITHMETIC) : NO_STORE;
        case 0xae: return memory && (reg == 0 || reg == 3) ? PLAIN : NO_STORE;
        case 0xb0: case 0xb1: return memory ? sized(width, size, COMPARE_EXCHANGE) : NO_STORE;
        case 0xc0: case 0xc1: return memory ? sized(width, size, ADD_EXCHANGE) : NO_STORE;
        case 0xc3: return memory ? sized(insn->operand, size, PLAIN) : NO_STORE;
        default: return NO_STORE;
    }
}
