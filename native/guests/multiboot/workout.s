# A guest that works with its monitor: a multiboot version 1 kernel that changes the visibility of the PAM segments (pam.inc), asks for
# device memory, for moving it and for taking it out, and asks to be moved to another hypervisor, counting laps (laps.inc) while it
# waits. Every check is a line that starts with "ok " or "FAILED ". Success: no check failed. Failure otherwise.
#
# It asks by a mailbox at 0x80000, 32 bits each: +0 the step it is at, +4 the last step that the monitor has done, +8 its result (0 when
# it did it, else the guest passes over the step; written before +4).
#   1  a page of device memory at 0xd0000000, whose first word is 0x6d62d001
#   2  the guest has written the complement of that word behind it; the same device memory at 0xd0100000 instead
#   3  the device memory out of the guest
#   4  to another hypervisor
# After a minute without an answer it goes on without.
# Memory: 0x80000-0x80010 and 0x200000-0x204000 beside its image. Ports: serial 0x3f8 to 0x3fd, PCI configuration 0xcf8 and 0xcfc to
# 0xcff, CMOS 0x70 and 0x71, exit 0xf4 (values in console.inc). No interrupts, no vectors.
.intel_syntax noprefix
.code32
.globl start
.include "image.inc"
.include "console.inc"
.include "laps.inc"
.include "pam.inc"

.set MAILBOX_STEP, 0x80000
.set MAILBOX_DONE, 0x80004
.set MAILBOX_RESULT, 0x80008
.set FIRST_PLACE, 0xd0000000
.set SECOND_PLACE, 0xd0100000
.set GREETING, 0x6d62d001
.set PATIENCE, 60			# seconds
.set CHUNK, 200				# laps between two looks at the clock

.macro ok text
	say "ok \text\n"
.endm

# Prints a failure and goes elsewhere unless flag Z is set.
.macro expect text, else
	je .Lexpect\@
	say "FAILED \text\n"
	inc dword ptr [failures]
	jmp \else
.Lexpect\@:
.endm

# Sets flag Z unless the word at a place is the greeting.
.macro is_gone place
	cmp dword ptr [\place], GREETING
	sete al
	test al, al
.endm

start:
	mov esp, offset stack_top
	cld
	mov dword ptr [digest+4], -1
	mov dword ptr [MAILBOX_STEP], 0
	say "The Membacking workout: visibility, device memory, and a move.\n"
	call check_pam

	say "asking for device memory at 0xd0000000\n"
	mov eax, 1
	call ask
	jne moving
	mov eax, [FIRST_PLACE]
	cmp eax, GREETING
	expect "device memory does not read as it was written by the monitor", moving
	not eax
	mov [FIRST_PLACE+4], eax
	cmp [FIRST_PLACE+4], eax
	expect "device memory does not hold what was written", moving
	ok "device memory at 0xd0000000 is read and written"

	say "asking to move it to 0xd0100000\n"
	mov eax, 2
	call ask
	jne moving
	mov eax, [SECOND_PLACE]
	cmp eax, GREETING
	expect "moved device memory has lost its first word", moving
	not eax
	cmp [SECOND_PLACE+4], eax
	expect "moved device memory has lost its second word", moving
	is_gone FIRST_PLACE
	expect "device memory is still where it was", moving
	ok "device memory has moved to 0xd0100000 with its contents"

	say "asking to take it out\n"
	mov eax, 3
	call ask
	jne moving
	is_gone SECOND_PLACE
	expect "device memory is still there", moving
	ok "device memory is gone"

moving:
	say "asking to be moved to another hypervisor, and counting until then\n"
	mov eax, [failures]
	mov [failures_before], eax
	mov eax, 4
	call ask
	jne ended
	mov ecx, 1000			# and some more where it is now
1:	push ecx
	call lap
	pop ecx
	dec ecx
	jnz 1b
	mov eax, [failures]
	cmp eax, [failures_before]
	expect "registers or memory were not as they were", ended
	say "ok moved in the course of "
	mov eax, [laps]
	call dec32
	say " laps, with registers and memory as they were\n"

ended:	cmp dword ptr [failures], 0
	mov al, FAILURE
	jne exit
	say "All checks passed.\n"
	mov al, SUCCESS
	jmp exit

# Asks for step EAX and counts laps until there is an answer. Out: flag Z if the monitor did it. Changes the other registers.
ask:	mov [MAILBOX_STEP], eax
	mov [step], eax
	mov dword ptr [patience], PATIENCE
1:	mov dword ptr [chunk], CHUNK
2:	call lap
	mov eax, [MAILBOX_DONE]
	cmp eax, [step]
	je 3f
	dec dword ptr [chunk]
	jnz 2b
	call same_second
	je 1b
	dec dword ptr [patience]
	jnz 1b
	say "nobody answers; going on without\n"
	or eax, 1
	ret
3:	cmp dword ptr [MAILBOX_RESULT], 0
	je 4f
	say "the monitor does not do that; going on without\n"
	or eax, 1
4:	ret

	.balign 4
failures:
	.long 0
failures_before:
	.long 0
laps:	.long 0
word_offset:
	.long 0
rounds:	.long 0
digest:	.long 0, 0
second:	.long 0
chunk:	.long 0
patience:
	.long 0
step:	.long 0
segment:
	.long 0
segment_end:
	.long 0
shift:	.byte 0

image_end
