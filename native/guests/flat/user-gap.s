# Long mode, CPL3: finds how long it stood still. Counts laps in [RDI] and keeps the last time-stamp in [RDI+16], for ever; in [RDI+8]
# the largest of as many steps of the time-stamp counter, from lap to lap, as the host says in [RDI+24]: more than one, for it may be
# stopped with a step in hand.
# In: RDI address of four 64-bit words.
.intel_syntax noprefix
.code64
.globl start
start:
	rdtsc
	shl rdx, 32
	or rax, rdx
	mov r9, rax
lap:	rdtsc
	shl rdx, 32
	or rax, rdx
	mov rcx, rax
	sub rcx, r9
	mov r9, rax
	cmp qword ptr [rdi+24], 0
	je same
	dec qword ptr [rdi+24]
	cmp rcx, [rdi+8]
	jbe same
	mov [rdi+8], rcx
same:	mov [rdi+16], r9
	inc r8
	mov [rdi], r8
	jmp lap
