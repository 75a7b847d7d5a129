# Real mode: string input, CX bytes from the port in DX to ES:DI, then halts.
# In: ES:DI destination, CX count, DX port. Out: CX 0, DI past the destination.
.intel_syntax noprefix
.code16
.globl start
start:
	cld
	rep insb
end:	hlt
	jmp end
