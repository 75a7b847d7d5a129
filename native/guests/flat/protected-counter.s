# Protected mode: adds 1 to the 32-bit word at EBX for ever.
# In: EBX address.
.intel_syntax noprefix
.code32
.globl start
start:
	inc dword ptr [ebx]
	jmp start
