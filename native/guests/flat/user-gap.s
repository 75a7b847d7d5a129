# Long mode, CPL3: finds the longest time that it did not run. Counts laps in [RDI], keeps the largest step of the time-stamp counter
# between two laps in [RDI+8] (the host sets it to 0 to begin anew) and the last time-stamp in [RDI+16], for ever.
# In: RDI address of three 64-bit words.
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
	cmp rcx, [rdi+8]
	jbe same
	mov [rdi+8], rcx
same:	mov [rdi+16], r9
	inc r8
	mov [rdi], r8
	jmp lap
