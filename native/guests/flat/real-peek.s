# Real mode: reads the byte at ES:BX, writes it to the port in DX, and halts.
# In: ES:BX address, DX port. Out: AL the byte.
.intel_syntax noprefix
.code16
.globl start
start:
	mov al, es:[bx]
	out dx, al
end:	hlt
	jmp end
