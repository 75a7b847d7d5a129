# Long mode, CPL3: writes 1, 2, 3, ... to the 64-bit word at RDI, RSI times, then the end.
# In: RDI address, RSI count (0 for ever), RBX end address.
# Out: R8 the last value written. The end is a write of R8 to [RBX], which repeats if it is run again.
.intel_syntax noprefix
.code64
.globl start
start:
	xor r8, r8
next:	inc r8
	mov [rdi], r8
	cmp r8, rsi
	jne next
end:	mov [rbx], r8
	jmp end
