# Protected mode: reads a 32-bit word ECX times and compares it with two permitted values, then halts.
# In: EBX address, ECX count (not 0), EAX and EDX the permitted values.
# Out: EDI reads that were neither, ESI reads that differed from the read before, EBP the last value read.
# ESP is used as a plain register: there is no stack.
.intel_syntax noprefix
.code32
.globl start
start:
	xor edi, edi
	xor esi, esi
	mov ebp, [ebx]
	jmp check
next:
	mov esp, [ebx]
	cmp esp, ebp
	je check
	inc esi
	mov ebp, esp
check:	cmp ebp, eax
	je good
	cmp ebp, edx
	je good
	inc edi
good:	dec ecx
	jnz next
end:	hlt
	jmp end
