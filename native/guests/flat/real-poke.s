# Real mode: writes AL to ES:BX, reads the byte back, writes what it read to the port in DX, and halts.
# In: ES:BX address, AL value, DX port. Out: AL the byte read back (AH keeps the value written).
.intel_syntax noprefix
.code16
.globl start
start:
	mov ah, al
	mov es:[bx], al
	mov al, es:[bx]
	out dx, al
end:	hlt
	jmp end
