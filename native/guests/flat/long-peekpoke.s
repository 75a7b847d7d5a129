# Long mode, CPL0: one 64-bit read, one 64-bit write, one read back, then halts.
# In: RBX address to read, RCX address to write, RAX value to write.
# Out: RDX what was read at RBX, RSI what was read back at RCX.
.intel_syntax noprefix
.code64
.globl start
start:
	mov rdx, [rbx]
	mov [rcx], rax
	mov rsi, [rcx]
end:	hlt
	jmp end
