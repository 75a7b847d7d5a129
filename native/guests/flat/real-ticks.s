# Real mode: counts the interrupts of a PC's timer. Sets up interrupt controllers and counter 0 (mode 2) itself, halts between ticks,
# and checks at each that general registers and stack are as they were; until it is stopped.
# Status page at 0x9000: +0 ticks (32 bits), +4 ticks at which a check failed (32 bits), +8 stop (the host writes not 0, seen at the
# next tick), +10 count for the timer (16 bits, 0 for 65,536; the host writes it before the start).
# Needs interrupt controllers and a timer, the stack it is given, and that it is loaded at 0x8000. The end is a HLT with interrupts off.
.intel_syntax noprefix
.code16
.globl start
.set TICKS, 0x9000
.set WRONG, 0x9004
.set STOP, 0x9008
.set COUNT, 0x900a

start:
	cli
	xor ax, ax
	mov ds, ax
	mov word ptr [0x20], offset tick	# vector 8, interrupt line 0
	mov [0x22], ax
	mov al, 0x11			# both controllers: edges, cascaded, ICW4 follows
	out 0x20, al
	out 0xa0, al
	mov al, 8			# vectors from 8 and from 0x70
	out 0x21, al
	mov al, 0x70
	out 0xa1, al
	mov al, 4
	out 0x21, al
	mov al, 2
	out 0xa1, al
	mov al, 1			# ends by command
	out 0x21, al
	out 0xa1, al
	mov al, 0xfe			# all masked but line 0
	out 0x21, al
	mov al, 0xff
	out 0xa1, al
	mov al, 0x34			# counter 0, both bytes, mode 2
	out 0x43, al
	mov al, [COUNT]
	out 0x40, al
	mov al, [COUNT+1]
	out 0x40, al
	mov bp, sp
	push 0x1234
wait:	mov eax, 0x11111111
	mov ebx, 0x22222222
	mov ecx, 0x33333333
	mov edx, 0x44444444
	mov esi, 0x55555555
	mov edi, 0x66666666
	sti
	hlt
	cli
	cmp eax, 0x11111111
	jne wrong
	cmp ebx, 0x22222222
	jne wrong
	cmp ecx, 0x33333333
	jne wrong
	cmp edx, 0x44444444
	jne wrong
	cmp esi, 0x55555555
	jne wrong
	cmp edi, 0x66666666
	jne wrong
	cmp word ptr [bp-2], 0x1234
	jne wrong
	lea cx, [bp-2]
	cmp cx, sp
	jne wrong
more:	cmp byte ptr [STOP], 0
	je wait
end:	cli
	hlt
	jmp end
wrong:	inc dword ptr [WRONG]
	jmp more

tick:	push ax
	inc dword ptr [TICKS]
	mov al, 0x20			# end of interrupt
	out 0x20, al
	pop ax
	iret
