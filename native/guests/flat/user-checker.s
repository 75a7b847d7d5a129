# Long mode, CPL3: fills its own registers and a range of memory with patterns, checks them, and counts laps, until it is stopped.
# Checked: 12 general registers, the carry flag, XMM0 to XMM15, MXCSR, one x87 register, the parameters, and the range, one word a lap.
# In: RDI address of a status page, all zeros; RSI address of the range (multiple of 8, not in the status page),
# RDX its length in bytes (multiple of 8, not 0), RBX end address.
# Status page: +0 laps done, +8 stop (the host writes not 0), +16 laps that were wrong, +24 number of the first check that failed:
# 1 to 12 RCX RBP RSP R8 to R15 RAX, 0x20 to 0x2f XMM, 0x30 MXCSR, 0x31 carry, 0x32 x87, 0x33 memory, 0x34 a parameter.
# +32 to +328 is its own.
# The host enables SSE (CR4 OSFXSR and OSXMMEXCPT) and x87 (CR0 EM and TS clear).
# The end is a write of the wrong laps (R8) to [RBX], which repeats if it is run again.
.intel_syntax noprefix
.code64
.globl start
.set LAPS, 0
.set STOP, 8
.set WRONG, 16
.set FIRST, 24
.set PARAMS, 32
.set X87, 56
.set XMM, 64
.set MXCSR, 320
.set STEP, 0x01234567

.macro fail_if cc, number
	j\cc 1f
	jmp 2f
1:	mov ecx, \number
	jmp wrong
2:
.endm

start:
	mov [rdi+PARAMS], rsi
	mov [rdi+PARAMS+8], rdx
	mov [rdi+PARAMS+16], rbx
	fninit
	mov dword ptr [rdi+MXCSR], 0x7f80	# all masked, round towards zero: not the default
	ldmxcsr [rdi+MXCSR]
lap:
	# One word of the range: it must hold what the round before wrote there.
	mov r9, rdx
	shr r9, 3
	mov rax, [rdi+LAPS]
	xor edx, edx
	div r9					# RAX round, RDX word
	lea r10, [rsi+rdx*8]
	mov rdx, [rdi+PARAMS+8]
	movabs r11, 0x9e3779b97f4a7c15
	mov r12, rax
	dec r12
	imul r12, r11
	xor r12, r10
	mov r13, rax
	imul r13, r11
	xor r13, r10
	mov r14, [r10]
	mov [r10], r13
	test rax, rax
	jz filled				# the first round only writes
	cmp r14, r12
	fail_if ne, 0x33
filled:
	mov rax, [rdi+LAPS]
	imul rax, r11
	fild qword ptr [rdi+LAPS]
.irp k, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	lea rcx, [rax+STEP*(\k+20)]
	movq xmm\k, rcx
	punpcklqdq xmm\k, xmm\k
.endr
	lea rsp, [rax+STEP*3]
	shl rsp, 17				# canonical: there are hypervisors that do not bear another RSP
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
	lea r15, [rax+STEP*11]
.rept 64					# a while in which everything is live
	nop
.endr
	# x87 first: whatever fails, its stack is level at the next lap.
	fistp qword ptr [rdi+X87]
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
	check r15, 11
	movabs rcx, 0x9e3779b97f4a7c15
	imul rcx, [rdi+LAPS]
	cmp rcx, rax
	fail_if ne, 12
.irp k, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	movdqu [rdi+XMM+16*\k], xmm\k
	lea rcx, [rax+STEP*(\k+20)]
	cmp [rdi+XMM+16*\k], rcx
	fail_if ne, (0x20+\k)
	cmp [rdi+XMM+16*\k+8], rcx
	fail_if ne, (0x20+\k)
.endr
	stmxcsr [rdi+MXCSR]
	and dword ptr [rdi+MXCSR], ~0x3f	# sticky exception bits
	cmp dword ptr [rdi+MXCSR], 0x7f80
	fail_if ne, 0x30
	mov rcx, [rdi+X87]
	cmp rcx, [rdi+LAPS]
	fail_if ne, 0x32
	cmp rsi, [rdi+PARAMS]
	fail_if ne, 0x34
	cmp rdx, [rdi+PARAMS+8]
	fail_if ne, 0x34
	cmp rbx, [rdi+PARAMS+16]
	fail_if ne, 0x34
next:
	inc qword ptr [rdi+LAPS]
	cmp qword ptr [rdi+STOP], 0
	je lap
	mov r8, [rdi+WRONG]
end:	mov [rbx], r8
	jmp end
wrong:
	inc qword ptr [rdi+WRONG]
	cmp qword ptr [rdi+FIRST], 0
	jne next
	mov [rdi+FIRST], rcx
	jmp next
