# The guest for a machine without firmware: a multiboot version 1 kernel that prints a banner and the memory map, checks the memory and
# the PAM segments of an i440fx host bridge, and ends by the exit port.
# Every check is a line that starts with "ok " or "FAILED ". Success: no check failed. Failure otherwise.
#
# Memory: in every available range of the map below 4 GiB the last word of each MiB and of the range is written, read and put back.
# PAM: each of the 13 segments is made read-write, read-only, hidden and read-write again through PCI configuration registers
# 0x59 to 0x5f of 00:00.0; writes to it stick when it is read-write and at no other time, and when hidden something else is read.
# At the end 0xf0000-0x100000 is read-only and holds a routine that was run there, 0xe0000-0xf0000 is read-write, and
# 0xc0000-0xe0000 is hidden.
# Ports: serial 0x3f8 to 0x3fd, debug 0x402 (one line), PCI configuration 0xcf8 and 0xcfc to 0xcff, exit 0xf4 (values in console.inc).
.intel_syntax noprefix
.code32
.globl start
.include "image.inc"
.include "console.inc"

.set DEBUG, 0x402
.set HOST_BRIDGE, 0x12378086		# device 0x1237 of vendor 0x8086 (82441FX)
.set MIB, 0x100000
.set READ_WRITE, 3			# PAM: bit 0 reads go to RAM, bit 1 writes do
.set READ_ONLY, 1
.set HIDDEN, 0
.set PATTERN, 0x6d62a5c3
.set OTHER, 0x0badf00d

start:
	mov esp, offset stack_top
	cld
	mov ebp, eax			# what the loader left in EAX, until the map is printed
	mov esi, offset debug_banner
	mov edx, DEBUG
1:	lodsb
	test al, al
	jz 2f
	out dx, al
	jmp 1b
2:	say "Hello from the Membacking guest.\n"
	cmp ebp, MULTIBOOT_BOOTED
	jne no_map
	test dword ptr [ebx+INFO_FLAGS], 1 << 2
	jz 1f
	say "command line: "
	mov esi, [ebx+INFO_COMMAND_LINE]
	call puts
	say "\n"
1:	test dword ptr [ebx+INFO_FLAGS], 1 << 6
	jz no_map
	call put_map
	call check_memory
	jmp pam
no_map:
	say "FAILED no multiboot memory map\n"
	inc dword ptr [failures]
pam:	call check_pam
	cmp dword ptr [failures], 0
	jne 1f
	say "All checks passed.\n"
	mov al, SUCCESS
	jmp exit
1:	say "Checks that failed: "
	mov eax, [failures]
	call hex32
	say "\n"
	mov al, FAILURE
	jmp exit

# Checks the available ranges of the multiboot information at EBX. Keeps EBX.
check_memory:
	mov edi, [ebx+INFO_MAP]
	mov ebp, [ebx+INFO_MAP_LENGTH]
	add ebp, edi
1:	cmp edi, ebp
	jae 9f
	cmp dword ptr [edi+ENTRY_TYPE], 1
	jne 8f
	cmp dword ptr [edi+ENTRY_BASE+4], 0
	jne 8f				# above 4 GiB: not reached without paging
	mov eax, [edi+ENTRY_BASE]
	mov edx, [edi+ENTRY_LENGTH]
	mov ecx, [edi+ENTRY_LENGTH+4]
	add edx, eax
	adc ecx, 0			# ECX:EDX the end
	jz 2f
	xor edx, edx			# stop at 4 GiB
2:	sub edx, 4			# the last word
	add eax, MIB - 1
	and eax, -MIB
	add eax, MIB - 4		# the last word of the first whole MiB
3:	cmp eax, edx
	jae 4f
	call check_word
	jne 5f
	add eax, MIB
	jmp 3b
4:	mov eax, edx
	call check_word
	jne 5f
	say "ok memory "
	call put_range
	say "\n"
	jmp 8f
5:	say "FAILED memory at "
	call hex32
	say "\n"
	inc dword ptr [failures]
8:	add edi, [edi+ENTRY_SIZE]
	add edi, 4
	jmp 1b
9:	ret

# Writes and reads the word at EAX, and puts it back. Out: flag Z when it held what was written. Keeps all registers.
check_word:
	push ecx
	push esi
	mov esi, [eax]
	mov ecx, esi
	not ecx
	mov [eax], ecx
	cmp [eax], ecx
	mov [eax], esi
	pop esi
	pop ecx
	ret

# Reads the byte of PCI configuration register ECX of 00:00.0 into AL. Keeps the others.
pci_read:
	push edx
	call pci_address
	in al, dx
	pop edx
	ret

# Writes AL to it. Keeps all registers.
pci_write:
	push edx
	call pci_address
	out dx, al
	pop edx
	ret

# Selects it. Out: DX the data port.
pci_address:
	push eax
	mov eax, ecx
	and eax, ~3
	or eax, 0x80000000
	mov edx, 0xcf8
	out dx, eax
	mov edx, ecx
	and edx, 3
	add edx, 0xcfc
	pop eax
	ret

check_pam:
	mov eax, 0x80000000
	mov edx, 0xcf8
	out dx, eax
	mov edx, 0xcfc
	in eax, dx
	cmp eax, HOST_BRIDGE
	je 1f
	say "FAILED no i440fx host bridge at 00:00.0 but "
	call hex32
	say "\n"
	inc dword ptr [failures]
	ret
1:	say "ok i440fx host bridge\n"

	# 0xc0000 to 0xf0000: 12 segments of 0x4000, two to a register from 0x5a on, the lower one in bits 0 to 3.
	mov dword ptr [segment], 0xc0000
	mov dword ptr [segment_end], 0xc4000
	mov ecx, 0x5a
2:	mov byte ptr [shift], 0
	call check_segment
	add dword ptr [segment], 0x4000
	add dword ptr [segment_end], 0x4000
	mov byte ptr [shift], 4
	call check_segment
	add dword ptr [segment], 0x4000
	add dword ptr [segment_end], 0x4000
	inc ecx
	cmp ecx, 0x60
	jne 2b
	# 0xf0000 to 0x100000: bits 4 to 7 of 0x59.
	mov dword ptr [segment_end], 0x100000
	mov ecx, 0x59
	call check_segment

	# A routine runs where it was shadowed, read-only.
	mov esi, offset routine
	mov edi, 0xf0000
	mov ecx, offset routine_end - routine
	rep movsb
	mov ecx, 0x59
	mov al, READ_ONLY
	call set_segment
	mov eax, 0xf0000
	call eax
	cmp eax, PATTERN
	jne 3f
	say "ok code runs in 0xf0000-0x100000, read-only\n"
	jmp 4f
3:	say "FAILED code in 0xf0000-0x100000, read-only\n"
	inc dword ptr [failures]
4:	mov ecx, 0x5a			# 0xc0000 to 0xe0000 hidden
	xor eax, eax
5:	call pci_write
	inc ecx
	cmp ecx, 0x5e
	jne 5b
	ret

routine:
	mov eax, PATTERN
	ret
routine_end:

# Sets the segment of register ECX and [shift] to AL. Out: flag Z when the register reads back so.
set_segment:
	push eax
	push edx
	push ecx
	mov dl, 0xf
	mov cl, [shift]
	shl dl, cl
	not dl				# what belongs to the other segment
	mov dh, al
	shl dh, cl
	pop ecx
	call pci_read
	and al, dl
	or al, dh
	mov dl, al
	call pci_write
	call pci_read
	cmp al, dl
	pop edx
	pop eax
	ret

# Says in ESI what is being done, for the case that it fails.
.macro stage text
	.pushsection .text, 1
.Lstage\@:
	.asciz "\text"
	.popsection
	mov esi, offset .Lstage\@
.endm

# Checks the segment of ECX, [shift], [segment] and [segment_end]; it is left read-write. Keeps ECX.
check_segment:
	mov edi, [segment]
	mov ebp, [segment_end]
	sub ebp, 4			# its first and its last word
	stage "setting read-write"
	mov al, READ_WRITE
	call set_segment
	jne 8f
	stage "writing when read-write"
	mov eax, PATTERN
	xor eax, edi
	mov [edi], eax
	mov [ebp], eax
	call holds
	jne 8f
	stage "setting read-only"
	mov al, READ_ONLY
	call set_segment
	jne 8f
	stage "reading when read-only"
	call holds
	jne 8f
	stage "writing when read-only: it must not stick"
	mov dword ptr [edi], OTHER
	mov dword ptr [ebp], OTHER
	call holds
	jne 8f
	stage "setting hidden"
	mov al, HIDDEN
	call set_segment
	jne 8f
	stage "reading when hidden: it must not show"
	mov eax, PATTERN
	xor eax, edi
	cmp [edi], eax
	je 8f
	cmp [ebp], eax
	je 8f
	mov dword ptr [edi], OTHER
	mov dword ptr [ebp], OTHER
	stage "setting read-write again"
	mov al, READ_WRITE
	call set_segment
	jne 8f
	stage "reading when read-write again: it must be as before it was hidden"
	call holds
	jne 8f
	say "ok segment "
	call put_segment
	say " read-write, read-only, hidden, read-write\n"
	ret
8:	push esi
	say "FAILED segment "
	call put_segment
	say " "
	pop esi
	call puts
	say "\n"
	inc dword ptr [failures]
	mov al, READ_WRITE
	call set_segment
	ret

# Out: flag Z when the words at EDI and EBP hold the pattern. Changes EAX.
holds:	mov eax, PATTERN
	xor eax, edi
	cmp [edi], eax
	jne 1f
	cmp [ebp], eax
1:	ret

put_segment:
	mov eax, [segment]
	call hex32
	say "-"
	mov eax, [segment_end]
	call hex32
	ret

debug_banner:
	.asciz "Hello from the Membacking guest, by the debug port.\n"
	.balign 4
failures:
	.long 0
segment:
	.long 0
segment_end:
	.long 0
shift:	.byte 0

image_end
