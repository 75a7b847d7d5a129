# Long mode, CPL3: a program to be moved between hypervisors, some of which hold vectors without executing them. As user-checker it fills
# registers and a range of memory with patterns, checks them and counts laps, until it is stopped; but the host says when it may execute
# vector instructions.
# In: RDI address of a status page, all zeros; RSI address of the range (multiple of 8, not in the status page), RDX its length in bytes
# (multiple of 8, not 0), RCX 0 to hold XMM0 to XMM15, 1 to hold YMM0 to YMM15, RBX end address.
# Status page: +0 laps done, +8 stop (the host writes not 0), +16 checks that failed (at most one of integers and one of vectors a lap),
# +24 number of the first: 1 to 12 RCX RBP RSP R8 to R14 RAX R15, 0x20 to 0x2f vectors, 0x30 MXCSR, 0x31 carry, 0x32 x87, 0x33 memory,
# 0x34 a parameter. +32 phase asked for (the host writes 1 integer, 0 vector), +40 phase it is in (1: no vector or x87 instruction before
# +32 is 0), +48 returns to the vector phase, +56 digest of the laps. +64 to +704 is its own.
# In the vector phase vectors, MXCSR and x87 are set and checked every lap; set in the last lap before an integer phase, they are checked
# in the lap that returns from it.
# The host enables SSE (CR4 OSFXSR and OSXMMEXCPT), x87 (CR0 EM and TS clear) and, for YMM, AVX (CR4 OSXSAVE, XCR0 7).
# The end is a write of the checks that failed (R8) to [RBX], which repeats if it is run again.
.intel_syntax noprefix
.code64
.globl start
.set LAPS, 0
.set STOP, 8
.set WRONG, 16
.set FIRST, 24
.set ASKED, 32
.set PHASE, 40
.set RETURNS, 48
.set DIGEST, 56
.set PARAMS, 64
.set WIDE, 88
.set PLACE, 96			# of the word of this lap
.set ROUND, 104			# how often the range was written
.set HELD, 112			# what the vectors were made from
.set X87, 120
.set MXCSR, 128
.set X87_CONTROL, 132
.set VECTORS, 192		# 16 of 32 bytes
.set STEP, 0x01234567
.set MXCSR_VALUE, 0x7f80	# all masked, round towards zero: not the default
.set X87_VALUE, 0x0c7f		# likewise, 24 bits of precision

.macro fail_if cc, number, to=wrong
	j\cc 1f
	jmp 2f
1:	mov ecx, \number
	jmp \to
2:
.endm

start:
	mov [rdi+PARAMS], rsi
	mov [rdi+PARAMS+8], rdx
	mov [rdi+PARAMS+16], rbx
	mov [rdi+WIDE], rcx
	xor r15d, r15d
lap:
	movabs r11, 0x9e3779b97f4a7c15
	mov rax, [rdi+LAPS]
	imul rax, r11
	cmp qword ptr [rdi+PHASE], 0
	je set_vectors
integers:
	cmp r15, [rdi+DIGEST]
	fail_if ne, 12
	add r15, rax
	rol r15, 7
	mov [rdi+DIGEST], r15
	# One word of the range: it must hold what the round before wrote there.
	mov r9, [rdi+PLACE]
	lea r10, [rsi+r9]
	mov r12, [rdi+ROUND]
	mov r13, r12
	imul r13, r11
	xor r13, r10
	mov r14, [r10]			# before
	lea r8, [r12+1]
	imul r8, r11
	xor r8, r10
	mov [r10], r8
	add r9, 8
	cmp r9, rdx
	jb 1f
	xor r9d, r9d
	inc qword ptr [rdi+ROUND]
1:	mov [rdi+PLACE], r9
	test r12, r12
	jz 2f				# the first round only writes
	cmp r14, r13
	fail_if ne, 0x33
2:
	lea rsp, [rax+STEP*3]
	shl rsp, 17			# canonical: there are hypervisors that do not bear another RSP
	shr rsp, 17
	stc
	lea rcx, [rax+STEP*1]
	lea rbp, [rax+STEP*2]
	lea r8, [rax+STEP*4]
	lea r9, [rax+STEP*5]
	lea r10, [rax+STEP*6]
	lea r11, [rax+STEP*7]
	lea r12, [rax+STEP*8]
	lea r13, [rax+STEP*9]
	lea r14, [rax+STEP*10]
.rept 32				# a while in which everything is live
	nop
.endr
	fail_if nc, 0x31
.macro check register, number
	sub \register, rax
	cmp \register, STEP*\number
	fail_if ne, \number
.endm
	check rcx, 1
	check rbp, 2
	lea rcx, [rax+STEP*3]
	shl rcx, 17
	shr rcx, 17
	cmp rsp, rcx
	fail_if ne, 3
	check r8, 4
	check r9, 5
	check r10, 6
	check r11, 7
	check r12, 8
	check r13, 9
	check r14, 10
	movabs rcx, 0x9e3779b97f4a7c15
	imul rcx, [rdi+LAPS]
	cmp rcx, rax
	fail_if ne, 11
	cmp rsi, [rdi+PARAMS]
	fail_if ne, 0x34
	cmp rdx, [rdi+PARAMS+8]
	fail_if ne, 0x34
	cmp rbx, [rdi+PARAMS+16]
	fail_if ne, 0x34
phase:
	cmp qword ptr [rdi+ASKED], 0
	je vectors
	mov qword ptr [rdi+PHASE], 1
next:
	inc qword ptr [rdi+LAPS]
	cmp qword ptr [rdi+STOP], 0
	je lap
	mov r8, [rdi+WRONG]
end:	mov [rbx], r8
	jmp end

# A check of integers failed: what lives on from lap to lap is put right, so that it counts once.
wrong:
	mov rsi, [rdi+PARAMS]
	mov rdx, [rdi+PARAMS+8]
	mov rbx, [rdi+PARAMS+16]
	mov r15, [rdi+DIGEST]
	inc qword ptr [rdi+WRONG]
	cmp qword ptr [rdi+FIRST], 0
	jne phase
	mov [rdi+FIRST], rcx
	jmp phase

# A check of vectors failed.
wrong_vector:
	inc qword ptr [rdi+WRONG]
	cmp qword ptr [rdi+FIRST], 0
	jne next
	mov [rdi+FIRST], rcx
	jmp next

# A vector is made of a word and, in the upper half of a YMM, its complement. RAX is the lap's value, kept.
set_vectors:
	mov [rdi+HELD], rax
	fninit
	mov dword ptr [rdi+X87_CONTROL], X87_VALUE
	fldcw [rdi+X87_CONTROL]
	fild qword ptr [rdi+LAPS]
	mov rcx, [rdi+LAPS]
	mov [rdi+X87], rcx
	mov dword ptr [rdi+MXCSR], MXCSR_VALUE
	ldmxcsr [rdi+MXCSR]
	lea rcx, [rdi+VECTORS]
	lea r8, [rax+STEP*20]
	mov r9d, 16
1:	mov [rcx], r8
	mov [rcx+8], r8
	mov r10, r8
	not r10
	mov [rcx+16], r10
	mov [rcx+24], r10
	add r8, STEP
	add rcx, 32
	dec r9d
	jnz 1b
	cmp qword ptr [rdi+WIDE], 0
	jne 2f
.irp k, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	movups xmm\k, [rdi+VECTORS+32*\k]
.endr
	jmp integers
2:
.irp k, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	vmovups ymm\k, [rdi+VECTORS+32*\k]
.endr
	jmp integers

vectors:
	cmp qword ptr [rdi+PHASE], 0
	je 1f
	mov qword ptr [rdi+PHASE], 0
	inc qword ptr [rdi+RETURNS]
1:	cmp qword ptr [rdi+WIDE], 0
	jne 2f
.irp k, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	movups [rdi+VECTORS+32*\k], xmm\k	# the upper halves are as they were filled
.endr
	jmp 3f
2:
.irp k, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	vmovups [rdi+VECTORS+32*\k], ymm\k
.endr
3:	lea r9, [rdi+VECTORS]
	mov r8, [rdi+HELD]
	add r8, STEP*20
	mov ecx, 0x20
4:	cmp [r9], r8
	jne wrong_vector
	cmp [r9+8], r8
	jne wrong_vector
	mov r10, r8
	not r10
	cmp [r9+16], r10
	jne wrong_vector
	cmp [r9+24], r10
	jne wrong_vector
	add r8, STEP
	add r9, 32
	inc ecx
	cmp ecx, 0x30
	jb 4b
	stmxcsr [rdi+MXCSR]
	mov ecx, [rdi+MXCSR]
	and ecx, ~0x3f			# sticky exception bits
	cmp ecx, MXCSR_VALUE
	fail_if ne, 0x30, wrong_vector
	fnstcw [rdi+X87_CONTROL]
	cmp word ptr [rdi+X87_CONTROL], X87_VALUE
	fail_if ne, 0x32, wrong_vector
	mov rcx, [rdi+X87]
	fistp qword ptr [rdi+X87]
	cmp rcx, [rdi+X87]
	fail_if ne, 0x32, wrong_vector
	jmp next
