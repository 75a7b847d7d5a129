# A guest to be moved while it runs: a multiboot version 1 kernel that counts laps (laps.inc) and prints a line a second by the real time
# clock, whatever the speed of its processor. With lines=N on its command line it ends by the exit port after N lines; a byte on the
# serial port ends it too. Success: no check failed. Failure otherwise.
# Memory: 0x200000-0x204000 beside its image. Ports: serial 0x3f8 to 0x3fd, CMOS 0x70 and 0x71, exit 0xf4 (values in console.inc).
# No interrupts, no vectors.
.intel_syntax noprefix
.code32
.globl start
.include "image.inc"
.include "console.inc"
.include "laps.inc"

.set CHUNK, 500				# laps between two looks at clock and serial port

start:
	mov esp, offset stack_top
	cld
	mov dword ptr [digest+4], -1
	cmp eax, MULTIBOOT_BOOTED
	jne 3f
	test dword ptr [ebx+INFO_FLAGS], 1 << 2
	jz 3f
	mov esi, [ebx+INFO_COMMAND_LINE]
1:	cmp byte ptr [esi], 0
	je 3f
	cmp dword ptr [esi], 0x656e696c	# "line"
	jne 2f
	cmp word ptr [esi+4], 0x3d73	# "s="
	je number
2:	inc esi
	jmp 1b
number:
	add esi, 6
	xor ecx, ecx
1:	movzx eax, byte ptr [esi]
	sub eax, '0'
	cmp eax, 9
	ja 2f
	imul ecx, ecx, 10
	add ecx, eax
	inc esi
	jmp 1b
2:	mov [limit], ecx
3:	say "The Membacking counter: a line a second, with the laps done and whether anything was wrong.\n"
	call same_second

count:
	mov dword ptr [chunk], CHUNK
1:	call lap
	dec dword ptr [chunk]
	jnz 1b
	mov edx, SERIAL_STATUS
	in al, dx
	cmp al, 0xff			# no serial port
	je 2f
	test al, 1
	jnz stopped
2:	call same_second
	je count
	inc dword ptr [lines]
	say "counter "
	mov eax, [lines]
	call dec32
	say ": "
	mov eax, [laps]
	call dec32
	say " laps, "
	cmp dword ptr [failures], 0
	jne 3f
	say "nothing wrong\n"
	jmp 4f
3:	mov eax, [failures]
	call dec32
	say " checks FAILED\n"
4:	mov eax, [lines]
	cmp eax, [limit]		# 0 for ever
	jne count
	jmp done
stopped:
	mov edx, SERIAL
	in al, dx
	say "counter: stopped\n"
done:	cmp dword ptr [failures], 0
	mov al, FAILURE
	jne exit
	say "All checks passed.\n"
	mov al, SUCCESS
	jmp exit

	.balign 4
failures:
	.long 0
laps:	.long 0
word_offset:
	.long 0
rounds:	.long 0
digest:	.long 0, 0
second:	.long 0
chunk:	.long 0
lines:	.long 0
limit:	.long 0

image_end
