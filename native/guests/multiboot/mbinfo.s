# A multiboot version 1 kernel that prints what its loader told it over serial, and ends by the exit port.
# Success: the loader's magic number was in EAX, and it gave a memory map. Failure otherwise.
# Ports: serial 0x3f8 to 0x3fd, exit 0xf4 (see console.inc for the values).
# Also assembled as ELF64 (see image.inc).
.intel_syntax noprefix
.code32
.globl start
.include "image.inc"
.include "console.inc"

start:
	mov esp, offset stack_top
	cld
	say "mbinfo\n"
	cmp eax, MULTIBOOT_BOOTED
	je booted
	say "FAILED not started by a multiboot loader: EAX "
	call hex32
	say "\n"
	mov al, FAILURE
	jmp exit
booted:
	say "flags "
	mov eax, [ebx+INFO_FLAGS]
	call hex32
	say "\n"
	test dword ptr [ebx+INFO_FLAGS], 1 << 2
	jz 1f
	say "command line: "
	mov esi, [ebx+INFO_COMMAND_LINE]
	call puts
	say "\n"
1:	test dword ptr [ebx+INFO_FLAGS], 1 << 9
	jz 1f
	say "loader: "
	mov esi, [ebx+INFO_LOADER_NAME]
	call puts
	say "\n"
1:	test dword ptr [ebx+INFO_FLAGS], 1 << 0
	jz 1f
	say "lower memory KiB "
	mov eax, [ebx+INFO_MEM_LOWER]
	call hex32
	say "\nupper memory KiB "
	mov eax, [ebx+INFO_MEM_UPPER]
	call hex32
	say "\n"
1:	test dword ptr [ebx+INFO_FLAGS], 1 << 6
	jz no_map
	call put_map
	say "end of mbinfo\n"
	mov al, SUCCESS
	jmp exit
no_map:
	say "FAILED no memory map\n"
	mov al, FAILURE
	jmp exit

image_end
