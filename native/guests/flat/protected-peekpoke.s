# Protected mode: one 32-bit read, one 32-bit write, one read back, then halts.
# In: EBX address to read, ECX address to write, EAX value to write.
# Out: EDX what was read at EBX, ESI what was read back at ECX.
.intel_syntax noprefix
.code32
.globl start
start:
	mov edx, [ebx]
	mov [ecx], eax
	mov esi, [ecx]
end:	hlt
	jmp end
