# Real mode: prints a line to the port in DX, one byte at a time, and halts.
# In: DX port; CS base 0. Out: SI moved. No stack, no data segment.
.intel_syntax noprefix
.code16
.globl start
start:
	cld
	mov si, offset text
next:	lods al, byte ptr cs:[si]
	test al, al
	jz end
	out dx, al
	jmp next
end:	hlt
	jmp end
text:	.asciz "Hello from real mode.\n"
