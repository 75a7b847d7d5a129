# Long mode, CPL3: reads a 64-bit word RSI times and compares it with two permitted values, then the end.
# In: RDI address, RSI count (0 for ever), RDX and RCX the permitted values, RBX end address.
# Out: R8 reads that were neither, R9 reads that differed from the read before, R10 the last value read,
# R11 the last wrong value, R12 reads done. The end is a write of R8 to [RBX], which repeats if it is run again.
.intel_syntax noprefix
.code64
.globl start
start:
	xor r8, r8
	xor r9, r9
	xor r11, r11
	xor r12, r12
	mov r10, [rdi]
	jmp check
next:	mov rax, [rdi]
	cmp rax, r10
	je check
	inc r9
	mov r10, rax
check:	cmp r10, rdx
	je good
	cmp r10, rcx
	je good
	inc r8
	mov r11, r10
good:	inc r12
	cmp r12, rsi
	jne next
end:	mov [rbx], r8
	jmp end
