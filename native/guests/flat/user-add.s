# Long mode, CPL3, for several processors on one memory: atomic increments of the word at RDI, RSI times, then the end.
# All wait at the start for each other: the word at [RDI+8] counts those that have come.
# In: RDI address of two 64-bit words (sum, arrived; both 0 at first), RSI count (not 0), RDX number of processors, RBX end address.
# Out: R8 the sum after the last increment of this processor. The end is a write of R8 to [RBX], which repeats if it is run again.
.intel_syntax noprefix
.code64
.globl start
start:
	lock inc qword ptr [rdi+8]
wait:	cmp [rdi+8], rdx
	jae go
	pause
	jmp wait
go:	mov rcx, rsi
next:	mov r8d, 1
	lock xadd [rdi], r8
	dec rcx
	jnz next
	inc r8
end:	mov [rbx], r8
	jmp end
