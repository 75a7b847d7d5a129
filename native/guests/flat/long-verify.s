# Long mode, CPL0: reads a 64-bit word RCX times and compares it with two permitted values, then halts.
# In: RBX address, RCX count (not 0), RAX and RDX the permitted values.
# Out: R8 reads that were neither, R9 reads that differed from the read before, R10 the last value read.
.intel_syntax noprefix
.code64
.globl start
start:
	xor r8, r8
	xor r9, r9
	mov r10, [rbx]
	jmp check
next:	mov r11, [rbx]
	cmp r11, r10
	je check
	inc r9
	mov r10, r11
check:	cmp r10, rax
	je good
	cmp r10, rdx
	je good
	inc r8
good:	dec rcx
	jnz next
end:	hlt
	jmp end
