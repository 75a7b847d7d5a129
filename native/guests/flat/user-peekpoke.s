# Long mode, CPL3: one 64-bit read, one 64-bit write, one read back, then the end.
# In: RDI address to read, RSI address to write, RDX value to write, RBX end address.
# Out: R8 what was read at RDI, R9 what was read back at RSI. The end is a write of R8 to [RBX], which repeats if it is run again.
.intel_syntax noprefix
.code64
.globl start
start:
	mov r8, [rdi]
	mov [rsi], rdx
	mov r9, [rsi]
end:	mov [rbx], r8
	jmp end
