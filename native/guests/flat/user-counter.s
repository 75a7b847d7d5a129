# Long mode, CPL3: adds 1 to R8 and stores it at [RDI] until the word at [RDI+8] is not 0, then the end.
# In: RDI address of two 64-bit words (count, stop), R8 where to start, RBX end address.
# Out: R8 the last value stored. The end is a write of R8 to [RBX], which repeats if it is run again.
.intel_syntax noprefix
.code64
.globl start
start:
	inc r8
	mov [rdi], r8
	cmp qword ptr [rdi+8], 0
	je start
end:	mov [rbx], r8
	jmp end
