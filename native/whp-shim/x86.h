/* Lengths, operands and effects of the x86 instructions that can exit: enough to undo what KVM did of one. */
#ifndef X86_H
#define X86_H

#include <stdint.h>

enum { ES, CS, SS, DS, FS, GS };
enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI };

struct insn {
    uint8_t length, map, opcode; /* map: 0 one byte, 1 0F, 2 0F 38, 3 0F 3A */
    uint8_t has_modrm, mod, reg, rm; /* with the REX bits */
    uint8_t rex, lock, rep; /* rep: 0, 0xf2 or 0xf3 */
    uint8_t operand, address; /* bytes: 2, 4 or 8 */
    int8_t segment; /* of the override, or -1 */
    int8_t base, index; /* registers, -1 for none, -2 for RIP */
    uint8_t scale;
    int64_t displacement; /* or the offset of A0 to A3 */
    int64_t immediate;
};

/* What a store changed besides memory and RIP. */
enum effect { NO_STORE, PLAIN, STRING_STORE, STRING_MOVE, PUSH, POP_TO_MEMORY, EXCHANGE, ADD_EXCHANGE, COMPARE_EXCHANGE, ARITHMETIC };

/* bits: 16, 32 or 64. Returns whether the bytes are an instruction that this knows. */
int x86_decode(const uint8_t *bytes, int count, int bits, struct insn *insn);

/* Its effect if it writes memory, and to size the bytes written, 0 where they depend on the mode. */
enum effect x86_store(const struct insn *insn, int bits, int *size);

/* Whether it reads or writes x87, MMX or XMM registers. */
int x86_uses_fpu(const struct insn *insn);

/* Whether it is one of the string instructions. */
int x86_is_string(const struct insn *insn);

#endif
