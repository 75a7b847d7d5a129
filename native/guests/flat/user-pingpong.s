# Long mode, CPL3, for two processors on one memory: they take turns to add 1 to the word at RDI, RSI turns each, then the end.
# In: RDI address of a 64-bit word (0 at first), RSI turns (not 0), RDX side: 0 moves when the word is even, 1 when it is odd, RBX end address.
# Out: R8 turns in which the word had changed between the look and the increment. The end is a write of R8 to [RBX], which repeats if it is run again.
.intel_syntax noprefix
.code64
.globl start
start:
	xor r8, r8
	mov rcx, rsi
wait:	mov rax, [rdi]
	mov r9, rax
	and r9d, 1
	cmp r9, rdx
	je turn
	pause
	jmp wait
turn:	mov r9d, 1
	lock xadd [rdi], r9
	cmp r9, rax
	je good
	inc r8
good:	dec rcx
	jnz wait
end:	mov [rbx], r8
	jmp end
