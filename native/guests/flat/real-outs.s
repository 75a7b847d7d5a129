# Real mode: string output, CX bytes from DS:SI to the port in DX, then halts.
# In: DS:SI source, CX count, DX port. Out: CX 0, SI past the source.
.intel_syntax noprefix
.code16
.globl start
start:
	cld
	rep outsb
end:	hlt
	jmp end
