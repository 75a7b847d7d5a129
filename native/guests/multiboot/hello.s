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
.set MIB, 0x100000

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

.include "pam.inc"

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
