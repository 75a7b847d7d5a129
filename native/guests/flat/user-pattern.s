# Long mode, CPL3: fills a range with a pattern that depends on the address, or verifies it, or both, then the end.
# The 64-bit word at address a is (a * 0x9e3779b97f4a7c15) xor RDX.
# In: RDI address (multiple of 8), RSI length in bytes (multiple of 8, not 0), RDX seed, RCX 1 fill, 2 verify, 3 both, RBX end address.
# Out: R8 words that were wrong, R9 the address of the last wrong one. The end is a write of R8 to [RBX], which repeats if it is run again.
.intel_syntax noprefix
.code64
.globl start
start:
	xor r8, r8
	xor r9, r9
	lea r10, [rdi+rsi]
	movabs r11, 0x9e3779b97f4a7c15
	test cl, 1
	jz verify
	mov rax, rdi
fill:	mov rbp, rax
	imul rbp, r11
	xor rbp, rdx
	mov [rax], rbp
	add rax, 8
	cmp rax, r10
	jne fill
verify:	test cl, 2
	jz end
	mov rax, rdi
next:	mov rbp, rax
	imul rbp, r11
	xor rbp, rdx
	cmp [rax], rbp
	je good
	inc r8
	mov r9, rax
good:	add rax, 8
	cmp rax, r10
	jne next
end:	mov [rbx], r8
	jmp end
